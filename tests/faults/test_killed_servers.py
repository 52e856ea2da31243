"""
Servers that are killed while many tables change places: all of them moved, or none.

The server gets SIGKILL at some moment after the RENAME was sent to it. Whoever waits for the answer
gets one clear error; after the server's next start, `repair` leaves exactly old or exactly new.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.archive.catalogue.catalogue import Catalogue
from app.domain.restores.journal import RestorePhase
from app.domain.restores.restore import RestoreRequest
from app.engine.server.connection import Session
from app.engine.server.server import Server as Target
from app.errors import ConnectionFailedError, ConnectionLostError
from app.sandbox.server import PrivateServer
from app.services.backups.service import BackupService
from app.services.restores.service import RecoveryService
from app.storage.journals import Journals
from tests.fixtures.accounts import databases
from tests.fixtures.backstay import Backstay
from tests.fixtures.clocks import SystemClock
from tests.fixtures.series import series
from tests.fixtures.servers import OwnServers, Sql
from tests.oracle.snapshots import assert_same, snapshot


TABLES = series(50, 200)
KILLS = series(3, 6)
LATE = 60.0  # later than any answer
LOST = (ConnectionLostError, ConnectionFailedError)


class Executioner:
    """
    Kills a server some time after a RENAME was sent to it, at the latest when that has happened.

    Attributes:
        delay: Seconds; None = never.
        took: Seconds from the last RENAME to its answer.
    """

    def __init__(self, server: PrivateServer) -> None:
        self.delay: float | None = None
        self.took = 0.0
        self._server = server
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """Note that the RENAME is on its way."""
        self._began = time.monotonic()
        if self.delay is not None:
            self._timer = asyncio.get_running_loop().call_later(self.delay, self._server.kill)

    def answered(self) -> None:
        """Note that it has happened."""
        self.took = time.monotonic() - self._began
        if self._timer is not None:
            self._timer.cancel()
            self._server.kill()

    def spare(self) -> None:
        """Kill no more."""
        self.delay = self._timer = None


class WatchedSession(Session):
    """A connection that tells an executioner of its RENAMEs."""

    executioner: Executioner

    async def query(self, sql, **options):
        if not str(sql).startswith("RENAME TABLE"):
            return await super().query(sql, **options)
        self.executioner.sent()
        reply = await super().query(sql, **options)
        self.executioner.answered()
        return reply


class WatchedTarget(Target):
    """A way to a server whose executioner watches."""

    def __init__(self, url: str, executioner: Executioner) -> None:
        super().__init__(url)
        self._executioner = executioner

    async def _connect(self, *, loads: bool = False) -> Session:
        session = await super()._connect(loads=loads)
        session.__class__ = WatchedSession
        assert isinstance(session, WatchedSession)
        session.executioner = self._executioner
        return session


class Store:
    """
    A database of many tables, each of which was changed after its backup.

    Attributes:
        executioner: Kills the server.
        recoveries: Its connections are watched by the executioner.
        request: A restore of the backup.
    """

    def __init__(self, server: PrivateServer, backups: Path) -> None:
        self._server = server
        self._trip = Backstay(server.url, backups)
        self._target = WatchedTarget(server.url, executioner := Executioner(server))
        self.executioner = executioner
        catalogue = Catalogue(backups)
        self.recoveries = RecoveryService(
            server=self._target,
            catalogue=catalogue,
            clock=SystemClock(),
            journals=Journals(backups.parent / "state"),
            backups=BackupService(self._target, catalogue, SystemClock()),
        )

    async def open(self) -> None:
        """Make it, and find out what it looks like before and after a restore."""
        with Sql(self._server.url) as sql:
            sql.script(["CREATE DATABASE store", "USE store"])
            for number in range(TABLES):
                sql.run(f"CREATE TABLE t{number} (id INT PRIMARY KEY, v INT)")
                sql.run(f"INSERT INTO t{number} VALUES (1, 1)")
            sql.run("CREATE VIEW v AS SELECT * FROM t0")
            manifest = await self._trip.backup("store")
            for number in range(TABLES):
                sql.run(f"UPDATE t{number} SET v = 2")
            sql.run("CREATE TRIGGER g BEFORE INSERT ON t1 FOR EACH ROW SET NEW.v = 7")
            sql.run("CREATE OR REPLACE VIEW v AS SELECT * FROM t1")
        self.old = snapshot(self._server.url, "store")
        self.request = RestoreRequest(
            manifest.backup_id, verify_before=False, create_backup=False, threads=1
        )
        await self.recoveries.restore(await self.recoveries.plan(self.request))
        self.new = snapshot(self._server.url, "store")
        await self.undo()
        assert self.state() == "old"

    async def undo(self) -> None:
        """Undo the newest restore, or the undo of one."""
        journals = self._trip.journals.all()
        done = [journal.restore_id for journal in journals if journal.phase is RestorePhase.DONE]
        await self.recoveries.undo(done[0])

    async def revive(self) -> str:
        """Start the killed server, put right what died with it, and say which state that is."""
        self.executioner.spare()
        assert not self._server.is_running()
        self._server.start()
        repairs = await self._trip.recoveries.repair()
        assert [repair.outcome for repair in repairs] in (["undone"], ["finished"])
        return self.state()

    def state(self) -> str:
        """Say whether the database is old or new; a mixture fails."""
        with Sql(self._server.url) as sql:
            assert sql.run("SELECT @@GLOBAL.read_only") == [(0,)]
            assert not [name for name in databases(sql) if "__bk_new_" in name]
        found = snapshot(self._server.url, "store")
        if found == self.old:
            return "old"
        assert_same(self.new, found)
        return "new"

    async def close(self) -> None:
        """Let go of the server."""
        await self._target.close()
        await self._trip.target.close()


@pytest_asyncio.fixture
async def store(own_server: OwnServers, tmp_path: Path) -> AsyncIterator[Store]:
    """A database of many tables, changed after its backup."""
    made = Store(own_server(), tmp_path / "backups")
    await made.open()
    yield made
    await made.close()


@pytest.mark.long
async def test_a_server_killed_in_the_rename_leaves_old_or_new(store):
    """The restore ends with the first error and names the remedy, which leaves old or new."""
    for delay, states in ((0, {"old", "new"}), (LATE, {"new"})):
        store.executioner.delay = delay
        with pytest.raises(LOST) as caught:
            await store.recoveries.restore(await store.recoveries.plan(store.request))

        assert "doctor --repair" in caught.value.hint
        state = await store.revive()
        assert state in states
        if state == "new":
            await store.undo()
            assert store.state() == "old"


@pytest.mark.long
async def test_undos_whose_server_dies_leave_old_or_new(store):
    """Undos whose server dies at any moment of the RENAME leave old or new, and can go on from there."""
    await store.recoveries.restore(await store.recoveries.plan(store.request))
    state, length = "new", store.executioner.took
    dice = random.Random(20)  # noqa: S311 - moments, not secrets
    for number in range(KILLS):
        store.executioner.delay = length * (number + dice.random()) / KILLS
        with pytest.raises(LOST) as caught:
            await store.undo()

        assert "doctor --repair" in caught.value.hint
        state = await store.revive()
    await store.undo()

    assert store.state() != state
