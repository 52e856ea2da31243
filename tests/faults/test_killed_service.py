"""
The service killed by SIGKILL while it works: afterwards its history is true and the database whole.

The moments are what others can see: files of a backup, schemas and journals of a restore. Whether the
kill comes right then or a little later does not matter, what is required is the same for all. One comes
while the run is held at a gate, and one when it is over, so both ends are seen for certain.
"""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.bootstrap.service import open_service
from app.config import Settings
from app.domain.restores.journal import RestorePhase
from tests.corpora.shops import CHANGES, SHOP
from tests.fixtures.accounts import databases
from tests.fixtures.api import SECRET, Api, finished
from tests.fixtures.cli import PROGRAM, Started, wait_until
from tests.fixtures.gate import Gate, gate
from tests.fixtures.series import some
from tests.fixtures.servers import OwnServers, Sql
from tests.oracle.snapshots import Snapshot, assert_same, snapshot


BACKUP = "/api/admin/backup"
ALWAYS = {".htaccess", ".lock", "metadata.json"}
# 3 MB: long enough to be held in, short enough to be done often.
SOME_BYTES = 1 << 20
BIG = (
    "CREATE TABLE shop.big (id INT PRIMARY KEY, s VARCHAR(250))",
    "INSERT INTO shop.big SELECT seq, CONCAT(SHA2(seq, 512), MD5(seq)) FROM seq_1_to_15000",
)

PHASES = [phase.value for phase in RestorePhase]

# Looks at the files that are new since the run began.
Moment = Callable[[set[Path]], bool]


class Shop:
    """
    A shop that was changed after its backup, and the service that looks after it.

    Attributes:
        api: The service.
        way: Its way to the server.
        client: Who asks it; a new one after each start.
        backup_id: The backup from before the changes.
        old: The shop as it is while nothing is restored.
        new: The shop after a restore of that backup.
    """

    def __init__(self, api: Api, way: Gate) -> None:
        self.api = api
        self.way = way
        self.sql = Sql(way.url)
        self.client: httpx.Client

    def open(self) -> None:
        """Make it, start the service, and change it after its backup."""
        self.sql.script((*SHOP, *BIG))
        self.start()
        self.backup_id = self.do("create", databases=["shop"])["backup_id"]
        self.sql.script(CHANGES)
        self.old = self.snapshot()

    def expect(self) -> None:
        """Find out what a restore makes of it."""
        done = self.restore()
        self.new = self.snapshot()
        assert self.new != self.old
        self.undo(done)

    def start(self) -> None:
        """Start the service, again."""
        self.client = self.api.start().client()

    def begin(self, action: str, **body: Any) -> dict[str, Any]:
        """Begin a run and return it."""
        answer = self.client.post(f"{BACKUP}/{action}", json=body)
        assert answer.status_code == 202, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def do(self, action: str, **body: Any) -> dict[str, Any]:
        """Begin a run, wait for its end, and return it; it succeeds."""
        run = finished(self.client, self.begin(action, **body)["run_id"])
        assert run["state"] == "succeeded", run
        return run

    def restore(self) -> dict[str, Any]:
        """Restore the backup; what would be there twice is left out."""
        return self.do(f"restore/{self.backup_id}", create_backup=False)

    def undo(self, restored: dict[str, Any]) -> None:
        """Take a restore back."""
        self.do(f"undo/{restored['restore_id']}")
        assert_same(self.old, self.snapshot())

    def killed(self, action: str, moment: Moment, **body: Any) -> dict[str, Any]:
        """Kill the service in the middle of a run, start it again, and return what became of the run."""
        before = self.paths()
        if moment is at_the_gate:
            self.way.close_after(**{"read" if action == "create" else "sent": SOME_BYTES})
        run = self.begin(action, **body)
        wait_until(lambda: moment(self.paths() - before) or self.way.is_full, "the moment is there")
        self.api.kill()
        self.way.open()
        self.start()
        return finished(self.client, run["run_id"])

    def snapshot(self) -> Snapshot:
        """Read the whole shop; a certificate store for each connection would take long."""
        held = self.sql.connection
        source = {"host": held.host, "port": held.port, "user": held.user, "ssl_disabled": True}
        return snapshot(source, "shop")

    def paths(self) -> set[Path]:
        """Files of backups and journals of restores."""
        return {*self.api.backups.glob("*"), *(self.api.state / "recoveries").glob("*.json")}

    def files(self, pattern: str = "*") -> set[str]:
        """Names in the backup directory, without those that are always there."""
        return {path.name for path in self.api.backups.glob(pattern)} - ALWAYS

    def backups(self) -> set[str]:
        """Ids that the list has."""
        listed = self.client.get(f"{BACKUP}/list", params={"limit": 500}).json()
        assert not listed.get("problems")
        return {backup["backup_id"] for backup in listed["backups"]}

    def require_order(self) -> None:
        """Require that nothing is half done: no file without a backup, no schema, no fence."""
        ids = self.backups()
        owners = {
            match[0] for name in self.files() for match in re.finditer(r"backup_\w{13}", name)
        }
        assert owners == ids
        assert not self.files("*.partial")
        assert not [name for name in databases(self.sql) if "__bk_new_" in name]
        assert self.sql.run("SELECT @@GLOBAL.read_only") == [(0,)]
        # The last thing that goes: everybody is told of an end before.
        wait_until(
            lambda: not list((self.api.state / "runs").glob("run_*")), "the locks of runs go"
        )

    def require_audit(self) -> None:
        """Require that the audit is whole."""
        verified = self.api.cli("audit", "verify")
        assert verified.returncode == 0, verified.stderr


def at_once(_fresh: set[Path]) -> bool:
    """Do not wait."""
    return True


def at_the_gate(_fresh: set[Path]) -> bool:
    """Wait until some of the rows have passed, and no more do."""
    return False


def file(pattern: str, size: int = 0) -> Moment:
    """Wait for a new file of such a name and size, or until it can come no more."""
    return lambda fresh: any(
        (path.match(pattern) and size_of(path) >= size) or path.match("backup_*.manifest.json")
        for path in fresh
    )


def journal(phase: str) -> Moment:
    """Wait until a new journal says so, or can say so no more."""
    phases = "|".join(PHASES[PHASES.index(phase) :])
    return lambda fresh: any(
        re.search(f'"phase": "({phases})"', text_of(path))
        for path in fresh
        if path.match("restore_*.json")
    )


def size_of(path: Path) -> int:
    """Size of a file that may be gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def text_of(path: Path) -> str:
    """Text of a file that may be gone."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


@pytest.fixture
def shop(own_server: OwnServers, own_api: Callable[[str], Api]) -> Iterator[Shop]:
    """A shop with a service of its own."""
    with gate(own_server().url) as way:
        made = Shop(own_api(way.url), way)
        made.open()
        yield made
        made.sql.close()


@pytest.mark.long
def test_a_service_killed_in_a_backup_lists_what_its_run_says(shop):
    """Each backup is in the list and its run has succeeded, or nothing of it is left and it has not."""
    moments = (
        at_once,
        file("*.partial"),
        at_the_gate,
        file("*.manifest.json.partial"),
        file("*.manifest.json"),
    )
    seen = set()
    for moment in some(moments, 3):
        before = shop.backups()
        run = shop.killed("create", moment, databases=["shop"])

        made = shop.backups() - before
        seen.add(run["state"])
        assert made == ({run["backup_id"]} if run["state"] == "succeeded" else set())
        if not made:
            assert (run["state"], run["error"]["code"]) == ("failed", "run-interrupted")
        shop.require_order()
        again = shop.do("create", databases=["beside"])
        assert again["backup_id"] in shop.backups()
    assert seen == {"succeeded", "failed"}
    assert_same(shop.old, shop.snapshot())
    shop.restore()
    shop.require_audit()


@pytest.mark.long
def test_a_service_killed_in_a_restore_leaves_old_or_new(shop):
    """The shop is all old and the run has failed, or all new and it has succeeded."""
    moments = (
        at_once,
        journal("loading"),
        at_the_gate,
        journal("swapping"),
        journal("finishing"),
        journal("done"),
    )
    shop.expect()
    seen = set()
    for moment in some(moments, 3):
        run = shop.killed(f"restore/{shop.backup_id}", moment, create_backup=False)

        if run["state"] == "succeeded":
            assert_same(shop.new, shop.snapshot())
            assert run["result"]["restore_id"] == run["restore_id"]
            shop.undo(run)
        else:
            assert (run["state"], run["error"]["code"]) == ("failed", "run-interrupted")
            assert_same(shop.old, shop.snapshot())
        shop.require_order()
        if run["state"] not in seen:
            shop.undo(shop.restore())
        seen.add(run["state"])
    assert seen == {"succeeded", "failed"}
    shop.do("create", databases=["beside"])
    shop.require_audit()


def running(shop: Shop) -> list[dict[str, Any]]:
    """Return the runs that the history calls running."""
    runs: list[dict[str, Any]] = shop.client.get(
        "/api/admin/runs", params={"state": "running"}
    ).json()["runs"]
    return runs


def kill_command(shop: Shop) -> None:
    """Begin a backup by command line, and kill it while it writes."""
    shop.way.close_after(read=SOME_BYTES)
    with (
        Started(
            [PROGRAM, "backup", "create", "--database", "shop"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=shop.api.home,
            env=shop.api.environment,
        ) as command,
        shop.way.held(),
    ):
        wait_until(lambda: bool(shop.files("*.gz.partial")), "the command writes")
        # The history is written beside the rows, and may come after the first of them.
        wait_until(
            lambda: any(run["backup_id"] for run in running(shop)), "the history names the backup"
        )
        command.send_signal(signal.SIGKILL)


async def test_a_killed_command_is_put_right_by_the_service(shop):
    """Its run is marked as failed, what it had written is removed, and its lock is free."""
    kill_command(shop)
    (run,) = running(shop)
    assert (run["kind"], run["origin"]) == ("backup", "cli")
    settings = Settings(
        database_url=SecretStr(shop.api.settings["DATABASE_URL"]),
        backup_dir=shop.api.backups,
        state_dir=shop.api.state,
        jwt_secret=SecretStr(SECRET),
    )

    async with open_service(settings) as parts:
        assert await parts.reconciler.reconcile()

    over = finished(shop.client, run["run_id"])
    assert (over["state"], over["error"]["code"]) == ("failed", "run-interrupted")
    assert "removed" in over["error"]["message"]
    assert over["backup_id"]
    shop.require_order()
    shop.do("create", databases=["beside"])
    shop.require_audit()
