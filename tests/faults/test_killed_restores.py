"""
Restores and undos that are killed by SIGKILL at every step: old or new afterwards, nothing in between.

Each test kills one recovery after the other over the same shop, a step later each time, until one is
not killed any more. After each, `repair` must leave the shop exactly as it was before or exactly as it
was to be, and the way back must lead to exactly the other one.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.domain.restores.journal import RestorePhase
from app.sandbox.server import PrivateServer
from tests.corpora.shops import CHANGES, SHOP
from tests.fixtures.accounts import databases
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.cli import Cli
from tests.fixtures.killed_restores import ForkedRestores
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import Snapshot, assert_same, snapshot


# How many tests share the steps of one restore, so that several processes can run them.
SLICES = series(30, 3)
SOME_SLICES = series([3], [1, 2, 3])
# Some tests kill at every so manieth step.
STRIDE = series(5, 1)
SOME_STRIDE = series(14, 2)
REPAIR_STRIDE = series(25, 4)
# Statements whose effect depends on what others do at that moment.
WAITING = ("ALTER ", "RENAME ", "SET GLOBAL ")
RENAME = ("RENAME ",)
OVER = {RestorePhase.DONE, RestorePhase.FORGOTTEN}


class Shop:
    """
    A shop that was changed after its backup, and a process that kills its restores.

    Attributes:
        url: Of the server.
        drive: Lets a restore begin, and die.
        backstay: The services that come after.
        backup_id: The backup.
        guarded: Whether its owner has made the server read-only.
        old: The shop before a restore.
        new: The shop after one.
    """

    def __init__(self, url: str, backups: Path) -> None:
        self.url = url
        self.backstay = Backstay(url, backups)
        self.drive = ForkedRestores(self.backstay)
        self._resetting = Backstay(url, backups, undo_minutes=0)
        self.sql = Sql(url)
        self.guarded = False

    async def open(self) -> None:
        """Make it anew, and find out what it looks like before and after a restore."""
        self.sql.script(["SET GLOBAL read_only = 0", "SET foreign_key_checks = 0"])
        self.sql.script(
            f"DROP DATABASE `{name}`"
            for name in databases(self.sql)
            if name.startswith(("shop", "beside"))
        )
        self.sql.script(["SET foreign_key_checks = 1", *SHOP])
        self.backup_id = (await self.backstay.backup("shop")).backup_id
        self.sql.script(CHANGES)
        self.old, self._beside = self.snapshot("shop"), self.snapshot("beside")
        await self.expect()

    def snapshot(self, database: str) -> Snapshot:
        """Read a database."""
        return snapshot(self.sql, database)

    async def expect(self, *tables: str) -> None:
        """Find out what the shop looks like after a restore of some tables."""
        self.drive("restore", self.backup_id, options={"tables": tables})
        self.new = self.snapshot("shop")
        assert self.new != self.old
        assert await self.undo() == "old"

    async def close(self) -> None:
        """Let go of the server."""
        self.sql.close()
        for backstay in (self.backstay, self._resetting):
            await backstay.target.close()

    @property
    def newest(self) -> str:
        """Id of the restore that can be undone."""
        journals = self.backstay.journals.all()
        return next(
            journal.restore_id for journal in journals if journal.phase is RestorePhase.DONE
        )

    async def repair(self) -> str:
        """Put right what was killed, and say which state that is."""
        self.wait_until_the_server_let_go()
        repairs = await self.backstay.recoveries.repair()
        assert {repair.outcome for repair in repairs} <= {"undone", "finished", "forgotten"}, [
            (repair.outcome, str(repair.error)) for repair in repairs
        ]
        return self.state()

    async def undo(self, *, keep: bool = False) -> str:
        """Undo the newest restore, and say which state that is."""
        backstay = self.backstay if keep else self._resetting
        await backstay.recoveries.undo(self.newest)
        return self.state()

    def is_read_only(self) -> bool:
        """Tell whether only administrators may write."""
        return self.sql.run("SELECT @@GLOBAL.read_only") == [(1,)]

    def wait_until_the_server_let_go(self) -> None:
        """Wait until the last statement of a killed process is over, and its locks are free."""
        deadline = time.monotonic() + 60
        while self.sql.run(
            "SELECT IS_USED_LOCK(CONCAT('backstay:', LEFT(SHA2('shop', 256), 32)))"
        ) != [(None,)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def events(self) -> dict[str, str]:
        """Names of the shop's events, and whether they are enabled."""
        rows = self.sql.run(
            "SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'shop'"
        )
        return dict(rows)

    def state(self) -> str:
        """Say whether the shop is old or new; whatever is half done fails."""
        assert self.is_read_only() == self.guarded
        assert not [name for name in databases(self.sql) if "__bk_new_" in name]
        assert {journal.phase for journal in self.backstay.journals.all()} <= OVER
        assert_same(self._beside, self.snapshot("beside"))
        found = self.snapshot("shop")
        if found == self.old:
            return "old"
        assert_same(self.new, found)
        return "new"


@pytest_asyncio.fixture
async def shop(module_server: PrivateServer, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop, changed after its backup."""
    made = Shop(module_server.url, tmp_path / "backups")
    await made.open()
    yield made
    await made.close()


async def restores(shop: Shop, first: int, stride: int, **options) -> Counter[str]:
    """Kill restores at every so manieth step; count what they left."""
    seen: Counter[str] = Counter()
    at = first
    while shop.drive("restore", shop.backup_id, at=at, **options).killed:
        seen[state := await shop.repair()] += 1
        if state == "new":
            assert await shop.undo() == "old"
        at += stride
    assert await shop.repair() == "new"
    return seen


async def undos(shop: Shop, first: int, stride: int, **options) -> Counter[str]:
    """Kill undos at every so manieth step; count what they left."""
    seen: Counter[str] = Counter()
    at = first
    shop.drive("restore", shop.backup_id)
    while shop.drive("undo", shop.newest, at=at, **options).killed:
        seen[state := await shop.repair()] += 1
        if state == "old":
            assert await shop.undo(keep=True) == "new"
        at += stride
    assert await shop.repair() == "old"
    return seen


@pytest.mark.long
@pytest.mark.parametrize("first", SOME_SLICES)
async def test_a_restore_killed_before_any_step_leaves_old_or_new(first, shop):
    """From its first journal to its last, a restore that dies leaves old or new."""
    seen = await restores(shop, first, SLICES, since="loading")

    assert set(seen) == {"old", "new"}
    assert seen.total() > 60 // SLICES


@pytest.mark.long
async def test_a_restore_killed_in_a_statement_leaves_old_or_new(shop):
    """What the server does with a statement whose sender has died is found out, not assumed."""
    seen = await restores(shop, 1, STRIDE, statements=WAITING, sent=True)

    assert set(seen) == {"old", "new"}


@pytest.mark.long
@pytest.mark.parametrize("first", SOME_SLICES)
async def test_an_undo_killed_before_any_step_leaves_old_or_new(first, shop):
    """An undo that dies leaves old or new, and the way back from either stays open."""
    seen = await undos(shop, first, SLICES)

    assert set(seen) == {"old", "new"}
    assert seen.total() > 36 // SLICES


@pytest.mark.long
async def test_an_undo_killed_in_a_statement_leaves_old_or_new(shop):
    """An undo whose last statement nobody waits for leaves old or new."""
    seen = await undos(shop, 1, STRIDE, statements=WAITING, sent=True)

    assert set(seen) == {"old", "new"}


@pytest.mark.long
async def test_a_killed_restore_of_some_tables_leaves_others_alone(shop):
    """A restore of some tables that dies leaves all other tables, views and routines alone."""
    tables = ["customers", "orders"]
    await shop.expect(*tables)
    seen = await restores(shop, 1, SOME_STRIDE, options={"tables": tables})

    assert set(seen) == {"old", "new"}


@pytest.mark.long
@pytest.mark.parametrize(("sent", "state"), [(False, "old"), (True, "new")])
async def test_a_killed_repair_is_repaired(sent, state, shop):
    """A repair that dies is itself repaired, whichever way it went."""
    at, killed = 1, True
    while killed:
        shop.drive("restore", shop.backup_id, at=1, statements=RENAME, sent=sent)
        killed = shop.drive("repair", at=at).killed
        assert await shop.repair() == state
        if state == "new":
            assert await shop.undo() == "old"
        at += REPAIR_STRIDE

    assert at > 30


@pytest.mark.long
async def test_a_way_back_that_is_killed_leaves_old_or_new(shop):
    """A restore that fails after the RENAME and dies on its way back leaves old or new."""
    at, seen = 1, Counter[str]()
    cut = "CREATE DEFINER=" if IS_MYSQL else "CREATE OR REPLACE DEFINER="
    while (end := shop.drive("restore", shop.backup_id, at=at, cut=cut)).killed:
        seen[state := await shop.repair()] += 1
        if state == "new":
            assert await shop.undo() == "old"
        at += REPAIR_STRIDE

    assert end.error.startswith("connection-lost")
    assert shop.state() == "old"
    assert set(seen) == {"old", "new"}


async def test_the_fence_of_a_killed_restore_comes_down(shop):
    """Writers are kept out until the repair, and not longer, whichever way that goes."""
    for sent in (False, True):
        shop.drive("restore", shop.backup_id, at=1, statements=RENAME, sent=sent)
        fenced = shop.is_read_only()
        await shop.repair()

        assert fenced
        assert not shop.is_read_only()


async def test_a_read_only_that_others_have_set_stays(shop):
    """A server that its owner has made read-only is so after the repair too."""
    shop.sql.run("SET GLOBAL read_only = 1")
    shop.guarded = True
    for sent, state in ((False, "old"), (True, "new")):
        shop.drive("restore", shop.backup_id, at=1, statements=RENAME, sent=sent)

        assert await shop.repair() == state
        assert shop.is_read_only()


async def test_events_are_enabled_as_they_were_after_a_killed_restore(shop):
    """Events are enabled as they were before, or as they are in the backup."""
    before = {"tidy": "DISABLED", "wake": "ENABLED"}
    for sent, events in ((False, before), (True, {"tidy": "ENABLED"})):
        shop.drive("restore", shop.backup_id, at=1, statements=RENAME, sent=sent)
        await shop.repair()

        assert shop.events() == events


@pytest.mark.parametrize(
    ("sent", "state", "outcome"), [(False, "old", "undone"), (True, "new", "finished")]
)
async def test_the_doctor_repairs_a_killed_restore(sent, state, outcome, shop, tmp_path):
    """The doctor names the interrupted restore and its remedy, which puts everything right."""
    cli = Cli(shop.url, tmp_path)
    shop.drive("restore", shop.backup_id, at=1, statements=RENAME, sent=sent)
    shop.wait_until_the_server_let_go()
    interrupted = shop.backstay.journals.all()[0]
    sick = cli.json("doctor", code=11)
    (found,) = [check for check in sick["checks"] if check["name"] == "restores"]
    well = cli.json("doctor", "--repair")
    (repair,) = well["repairs"]

    assert found["state"] == "fail"
    assert "was interrupted" in found["detail"]
    assert "doctor --repair" in found["remedy"]
    assert repair == {
        "restore_id": interrupted.restore_id,
        "databases": ["shop"],
        "outcome": outcome,
        "message": "",
    }
    assert shop.state() == state
    assert cli.json("doctor")["repairs"] == []
