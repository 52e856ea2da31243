"""
What changes something killed by SIGKILL at every write of it, beside another service on the same directories.

As in `test_killed_histories`, with the control database on each kind of database. One installation lives through
all the kills of a test: what one has left is there when the next one comes.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.bootstrap.service import Service, open_service
from app.config import Settings
from app.domain.access.audit import AuditEvent
from app.domain.access.user import Role
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.retention import RetentionPolicy
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import Origin, Requester, Run, RunFilter, RunKind, RunState
from app.domain.schedule import ScheduleChange
from app.domain.stores import AlertFilter, AuditFilter, Page
from app.services.backups.options import BackupOptions
from tests.fixtures.archives import NOON, leftovers
from tests.fixtures.backup_store import BackupStore
from tests.fixtures.clocks import SystemClock
from tests.fixtures.control import furnish
from tests.fixtures.killed_installation import settings_of
from tests.fixtures.killed_moments import killed_at
from tests.fixtures.restored_shop import drop
from tests.fixtures.series import series
from tests.fixtures.servers import Server, Sql


ANN = Requester("ann", Origin.WEB)
PASSWORD = "correct horse battery staple"
NEWEST = Page(500, sort="-created_at")
Installed = Callable[..., Settings]

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def installed(control_address: str, tmp_path: Path) -> Installed:
    """Makes the settings of an installation whose control database is new."""
    if control_address.startswith("sqlite"):
        furnish(tmp_path / "state")

    def make(url: str = "mysql://nobody@127.0.0.1:1/", **changes: object) -> Settings:
        update = {"control_url": SecretStr(control_address), **changes}
        return settings_of(tmp_path, url).model_copy(update=update)

    return make


async def history(program: Program) -> list[Run]:
    """Return all runs, newest first; each of them is over."""
    runs, _ = await program.runs.list(RunFilter(), NEWEST)
    assert all(run.state.is_over for run in runs), runs
    return list(runs)


async def make_changes(service: Service) -> None:
    """Change a schedule with its retention, make a user, raise an alert and resolve it."""
    schedules, users, alerts = (
        service.program.schedules, service.access.users, service.program.alerts
    )  # fmt: skip
    known = {schedule.name: schedule for schedule in await schedules.list()}.get("nightly")
    count = known.retention.count + 1 if known and known.retention else 1
    policy = RetentionPolicy(count=count)
    await schedules.set(ScheduleChange("nightly", cron=f"{count} 2 * * *", retention=policy))
    now = SystemClock().now()
    await service.access.audit.record(
        AuditEvent(now, "ann", "admin", "", "set_schedule", "", 200, "ok")
    )
    await alerts.raise_alert(Alert(AlertKind.FAILURE, "nightly", "it has failed"))
    name = f"user{len(await users.list())}"
    await users.create(name, PASSWORD, Role.VIEWER)
    await users.change(name, role=Role.OPERATOR)
    await alerts.resolve(AlertKind.FAILURE, "nightly", "it is over")


async def change(settings: Settings) -> None:
    """Do that as a service does."""
    async with open_service(settings) as service:
        await make_changes(service)


async def require_whole_changes(service: Service) -> None:
    """Require each change to be there whole or not at all, and nothing in the way of the next ones."""
    for _ in range(2):
        for schedule in await service.program.schedules.list():
            assert schedule.retention
            assert schedule.cron == f"{schedule.retention.count} 2 * * *"
        users = await service.access.users.list()
        assert {user.role for user in users} <= {Role.VIEWER, Role.OPERATOR}
        wanted = AlertFilter(is_open=True, kinds=(AlertKind.FAILURE,))
        found, _ = await service.program.alerts.list(wanted, Page(sort="-opened_at"))
        assert len(found) <= 1
        await service.access.audit.verify()
        await make_changes(service)
        assert len(await service.access.users.list()) == len(users) + 1


def test_changes_that_are_killed_anywhere_are_whole_or_not_made(installed):
    """A schedule with its retention, a user, an alert; the audit is proven each time."""
    settings = installed()
    moment, killed = 0, True
    while killed:
        moment += series(307, 29)
        killed = killed_at(moment, settings, change, require_whole_changes)
    assert moment > 200


async def prune(settings: Settings) -> None:
    """Delete what retention lets go, as somebody asks for it."""
    async with open_program(settings, needs_server=False, remembers=True) as program:
        await program.runs.perform(await program.jobs.prune("ann"), ANN)


async def require_whole_backups(service: Service) -> None:
    """Require what is listed to be whole, what has gone to be gone, and the audit to say of both."""
    program = service.program
    catalogue = program.catalogue
    listed = [entry.backup_id for entry in await asyncio.to_thread(catalogue.entries)]
    for backup_id in listed:
        with catalogue.open(backup_id) as reader:
            await reader.verify(VerifyLevel.HASHES)
    assert len(leftovers(program.settings.backup_dir)) == 2 * len(listed)
    runs = await history(program)
    assert not runs or runs[0].kind is RunKind.PRUNE
    await service.access.audit.verify()
    entries, _ = await service.access.audit.list(
        AuditFilter(action="delete_backup"), Page(500, sort="-number")
    )
    assert not {entry.event.target for entry in entries} & set(listed)
    assert all(entry.event.result == "ok" for entry in entries)
    await program.runs.perform(await program.jobs.prune("ann"), ANN)
    assert [entry.backup_id for entry in await asyncio.to_thread(catalogue.entries)] == listed[:1]


def test_a_prune_that_is_killed_anywhere_is_told_as_it_was(installed, tmp_path):
    """By history and audit; what is kept is whole, and the next prune does the rest."""
    settings = installed(max_backups=1)
    made = BackupStore(tmp_path)
    moment, killed, days, newest = 0, True, 0, ""
    while killed:
        moment += series(307, 29)
        for _ in range(2 if days else 3):
            days += 1
            newest = asyncio.run(made.make(NOON - timedelta(days=9999 - days))).backup_id
        killed = killed_at(moment, settings, prune, require_whole_backups)
        assert made.ids() == [newest]
    assert moment > 200


class Shop:
    """
    A database of one row, whose backup says 1; it says 2 now.

    Attributes:
        seen: What was found after a kill: how the restore and the undo had ended, if they had begun.
    """

    def __init__(self, sql: Sql, database: str) -> None:
        self.sql = sql
        self.database = database
        self.seen: set[tuple[RunState | None, RunState | None]] = set()
        self._known: set[str] = set()
        sql.script((
            f"CREATE DATABASE {database}",
            f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v INT)",
            f"INSERT INTO {database}.t VALUES (1, 1)",
        ))

    async def open(self, settings: Settings) -> None:
        """Back it up, and change it."""
        async with open_program(settings, remembers=True) as program:
            options = BackupOptions(databases=(self.database,))
            made = await program.runs.perform(program.jobs.backup(options), ANN)
        self.backup_id = made.backup_id
        self.sql.run(f"UPDATE {self.database}.t SET v = 2")

    def value(self) -> int:
        """Read the row."""
        ((value,),) = self.sql.run(f"SELECT v FROM {self.database}.t")
        return int(value)

    async def restore(self, settings: Settings) -> None:
        """Restore it, and take that back."""
        async with open_program(settings, remembers=True) as program:
            request = RestoreRequest(self.backup_id, create_backup=False)
            restored = await program.runs.perform(await program.jobs.restore(request), ANN)
            await self.undo(program, restored.restore_id)

    async def undo(self, program: Program, restore_id: str) -> None:
        """Take a restore back."""
        await program.runs.perform(await program.jobs.undo(restore_id), ANN)

    async def judge(self, service: Service) -> None:
        """Require what is live to be what the history says, and the way back to be open."""
        program = service.program
        fresh = {run.kind: run for run in await history(program) if run.run_id not in self._known}
        restored, undone = fresh.get(RunKind.RESTORE), fresh.get(RunKind.UNDO)
        states = (restored.state if restored else None, undone.state if undone else None)
        self.seen.add(states)
        is_new = states[0] is RunState.SUCCEEDED and states[1] is not RunState.SUCCEEDED
        assert self.value() == (1 if is_new else 2), states
        assert self.sql.run("SELECT @@GLOBAL.read_only") == [(0,)]
        if is_new:
            assert restored
            await self.undo(program, restored.restore_id)
        assert self.value() == 2
        self._known |= {run.run_id for run in await history(program)}


# Where the history is a file, `test_killed_service` and `test_killed_histories` are short forms of it.
@pytest.mark.parametrize(
    "control_address", series(["mariadb"], ["sqlite", "mariadb"]), indirect=True
)
def test_a_restore_and_an_undo_that_are_killed_anywhere_are_told_as_they_are(
    installed, server: Server, sql: Sql
):
    """Old or new is live as the history says, which nobody has to ask anybody for."""
    settings, made = installed(server.url), Shop(sql, "killed_shop")
    asyncio.run(made.open(settings))
    moment, killed = 0, True
    while killed:
        moment += series(401, 29)
        killed = killed_at(moment, settings, made.restore, made.judge)
    assert {(RunState.SUCCEEDED, RunState.SUCCEEDED)} < made.seen
    drop(sql, made.database)
