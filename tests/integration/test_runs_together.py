"""Runs of the command line and of the API: one lock, one history, one truth."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.bootstrap.service import Service, open_service
from app.config import Settings
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import Origin, Requester, Run, RunState
from app.errors import NotCancellableError
from app.services.backups.options import BackupOptions
from tests.fixtures.api import Api, finished
from tests.fixtures.cli import PROGRAM, SECONDS, Started, wait_until
from tests.fixtures.series import series
from tests.fixtures.servers import Server, Sql


CREATE = "/api/admin/backup/create"
# How long after what was looked for a run is cancelled.
MILLISECONDS = series((0, 2, 8), (0, 1, 2, 4, 8))


def settings_of(server: Server, home: Path) -> Settings:
    """Settings of an installation that keeps no old tables."""
    return Settings(
        database_url=SecretStr(server.url),
        backup_dir=home / "backups",
        state_dir=home / "state",
        undo_minutes=0,
    )


class Together:
    """
    A service, commands of the same installation, and a table that can be kept from both.

    Attributes:
        api: The service.
        client: Who asks it.
        database: What is backed up.
    """

    def __init__(self, api: Api, url: str, database: str) -> None:
        self.api = api
        self.client = api.start().client()
        self.database = database
        self._url = url

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let every backup wait for the length of a block."""
        with Sql(self._url, self.database) as sql:
            sql.run("LOCK TABLES t WRITE")
            yield

    def command(self) -> Started:
        """Begin a backup by command line."""
        return Started(
            [PROGRAM, "backup", "create", "--database", self.database, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.api.home,
            env=self.api.environment,
        )

    def running(self) -> list[dict[str, Any]]:
        """Runs that the history says are at work."""
        found: list[dict[str, Any]] = self.client.get(
            "/api/admin/runs", params={"state": "running"}
        ).json()["runs"]
        return found

    def history(self) -> list[tuple[str, str]]:
        """Origin and end of each run, oldest first."""
        runs = self.client.get("/api/admin/runs", params={"sort": "created_at"}).json()["runs"]
        return [(run["origin"], run["state"]) for run in runs]


@pytest.fixture
def together(server: Server, sql: Sql, database: str, own_api: Callable[[str], Api]) -> Together:
    """A service on the shared server, and one small table."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    return Together(own_api(server.url), server.url, database)


@pytest.fixture
async def parts(server: Server, tmp_path: Path) -> AsyncIterator[Service]:
    """A service of our own in this process, on the shared server."""
    async with open_service(settings_of(server, tmp_path)) as made:
        made.program.catalogue.directory.prepare()
        yield made
        await made.program.runs.close(0)


def test_a_command_is_refused_while_the_service_makes_a_backup(together):
    """It exits with 11 and names the run; the service's one goes on, and then the command may."""
    with together.held_up():
        run = together.client.post(CREATE, json={"databases": [together.database]}).json()
        with together.command() as refused:
            out, _ = refused.communicate(timeout=SECONDS)
        assert refused.returncode == 11, out
        assert '"code": "already-running"' in out
        assert run["run_id"] in out
    assert finished(together.client, run["run_id"])["state"] == "succeeded"

    with together.command() as allowed:
        allowed.communicate(timeout=SECONDS)

    assert allowed.returncode == 0
    assert together.history() == [("api", "succeeded"), ("cli", "succeeded")]
    listed = together.client.get("/api/admin/backup/list").json()
    assert listed["total"] == 2


def test_the_service_refuses_while_a_command_makes_a_backup(together):
    """With 409, naming the run of the command, which the service can show and cancel."""
    with together.held_up(), together.command() as command:
        wait_until(lambda: bool(together.running()), "the command works")
        (run,) = together.running()
        refused = together.client.post(CREATE, json={"databases": [together.database]})
        cancelled = together.client.post(f"/api/admin/runs/{run['run_id']}/cancel")
        out, _ = command.communicate(timeout=SECONDS)

    assert refused.status_code == 409
    assert refused.json()["code"] == "already-running"
    assert refused.json()["run_id"] == run["run_id"]
    assert run["origin"] == "cli"
    assert cancelled.status_code == 202
    assert command.returncode == 130, out
    assert together.history() == [("cli", "cancelled")]
    again = together.client.post(
        CREATE, json={"databases": [together.database]}, headers={"Prefer": "wait=30"}
    )
    assert (again.status_code, again.json()["state"]) == (200, "succeeded")


async def cancelled_backup(parts: Service, database: str, pattern: str, seconds: float) -> Run:
    """Cancel a backup some time after a file of such a name has appeared, and return its end."""
    runs, directory = parts.program.runs, parts.program.settings.backup_dir
    before = set(directory.glob(pattern))
    job = parts.program.jobs.backup(BackupOptions(databases=(database,)))
    run, _ = await runs.start(job, Requester("ann", Origin.API))
    while not set(directory.glob(pattern)) - before:
        await asyncio.sleep(0)
        if (await runs.get(run.run_id)).state.is_over:
            break
    await asyncio.sleep(seconds)
    with suppress(NotCancellableError):
        await runs.cancel(run.run_id)
    return await runs.wait(run.run_id, 60)


@pytest.mark.long
@pytest.mark.parametrize("pattern", ["*.partial", "*.manifest.json.partial", "*.manifest.json"])
async def test_a_backup_that_is_cancelled_is_there_or_not_as_its_run_says(
    pattern, parts, sql, database
):
    """Whenever it is cancelled: one that is in the list has succeeded, one that is not has not."""
    sql.run("CREATE TABLE t AS SELECT seq FROM seq_1_to_1000")
    catalogue = parts.program.catalogue
    for milliseconds in MILLISECONDS:
        known = {entry.backup_id for entry in catalogue.entries()}
        run = await cancelled_backup(parts, database, pattern, milliseconds / 1000)

        made = {entry.backup_id for entry in catalogue.entries()} - known
        assert made == ({run.backup_id} if run.state is RunState.SUCCEEDED else set())
        assert run.state in {RunState.SUCCEEDED, RunState.CANCELLED}
        assert not list(catalogue.directory.path.glob("*.partial"))


async def test_a_backup_is_made_whatever_fails_after_it(parts, sql, database, caplog):
    """A list that cannot be written, journals that cannot be looked for: the log tells."""
    sql.run("CREATE TABLE t AS SELECT seq FROM seq_1_to_10")
    parts.program.settings.state_dir.mkdir(parents=True, exist_ok=True)
    (parts.program.settings.state_dir / "recoveries").write_text("no directory")
    job = parts.program.jobs.backup(BackupOptions(databases=(database,)))

    manifest = await parts.program.runs.perform(job, Requester("ann", Origin.CLI))

    assert [entry.backup_id for entry in parts.program.catalogue.entries()] == [manifest.backup_id]
    assert "Backup completed, its follow-up failed" in caplog.text


async def cancelled_restore(parts: Service, backup_id: str, phase: str, seconds: float) -> Run:
    """Cancel a restore some time after its journal has said so, and return its end."""
    runs = parts.program.runs
    journals = parts.program.settings.state_dir / "recoveries"
    before = set(journals.glob("restore_*.json"))
    request = RestoreRequest(backup_id, create_backup=False)
    run, _ = await runs.start(
        await parts.program.jobs.restore(request), Requester("ann", Origin.API)
    )

    def says() -> bool:
        fresh = set(journals.glob("restore_*.json")) - before
        return any(f'"phase": "{phase}"' in file.read_text() for file in fresh)

    while not says():
        await asyncio.sleep(0)
        if (await runs.get(run.run_id)).state.is_over:
            break
    await asyncio.sleep(seconds)
    with suppress(NotCancellableError):
        await runs.cancel(run.run_id)
    return await runs.wait(run.run_id, 60)


@pytest.mark.long
@pytest.mark.parametrize("phase", ["swapping", "finishing", "done"])
async def test_a_restore_that_is_cancelled_is_done_or_not_as_its_run_says(
    phase, parts, sql, database
):
    """Whenever it is cancelled: what it would have replaced is there, or what it would have brought."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    manifest = await parts.program.runs.perform(
        parts.program.jobs.backup(BackupOptions(databases=(database,))),
        Requester("ann", Origin.CLI),
    )
    for milliseconds in MILLISECONDS:
        sql.run("REPLACE INTO t VALUES (2)")
        run = await cancelled_restore(parts, manifest.backup_id, phase, milliseconds / 1000)

        assert run.state in {RunState.SUCCEEDED, RunState.CANCELLED}
        restored = sql.run("SELECT id FROM t") == [(1,)]
        assert restored == (run.state is RunState.SUCCEEDED)
