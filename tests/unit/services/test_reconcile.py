"""What becomes of runs whose process was killed: judged by what is there, never guessed."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.bootstrap.service import open_service
from app.control.runs import RunRecords
from app.domain.backups.manifest import Codec
from app.domain.ids import instant_of
from app.domain.restores.journal import RestorePhase
from app.domain.runs.run import Run, RunKind, RunState
from app.errors import AppError
from app.storage.layout import BackupName
from app.storage.run_locks import RunLocks
from tests.fixtures.archives import backup_id_of, forge, write_backup
from tests.fixtures.killed_installation import NEVER, KilledInstallation, settings_of
from tests.fixtures.servers import OwnServers, Server


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[KilledInstallation]:
    """An installation whose server nobody can reach."""
    async with open_service(settings_of(tmp_path)) as service:
        yield KilledInstallation(tmp_path, service)


def require_interrupted(run: Run, left: str) -> None:
    """Require that a run has failed because its process ended."""
    assert run.error is not None
    assert (run.state, run.error.code) == (RunState.FAILED, "run-interrupted")
    assert left in run.error.message
    assert run.error.hint
    assert run.revision == 8
    assert run.finished_at is not None


@pytest.mark.parametrize("kind", [RunKind.BACKUP, RunKind.RECOVERY_POINT])
async def test_a_backup_that_is_there_was_made(kind, installation):
    """Its run has succeeded, with the document that it would have had."""
    manifest = await write_backup(installation.directory)

    run = await installation.judged(kind, backup_id=manifest.backup_id)

    assert (run.state, run.error, run.revision) == (RunState.SUCCEEDED, None, 8)
    assert run.result is not None
    assert run.result["backup_id"] == manifest.backup_id
    assert run.result["rows_count"] == manifest.rows_count


async def test_a_recovery_whose_backup_is_there_was_made(installation):
    """Killed while its scratch server went away: what it made is listed, so it has succeeded."""
    base, made = [await write_backup(installation.directory, number) for number in (0, 1)]
    forge(installation.directory.path, made, recovered_from=base.backup_id)

    run = await installation.judged(RunKind.RECOVERY, backup_id=made.backup_id)
    planned = await installation.judged(RunKind.RECOVERY, request={"dry_run": True})
    lost = await installation.judged(RunKind.RECOVERY, backup_id=NEVER)

    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert run.result is not None
    assert run.result["recovered_from"] == base.backup_id
    require_interrupted(planned, "scratch server is gone")
    require_interrupted(lost, "removed")


@pytest.mark.parametrize("kind", [RunKind.BACKUP, RunKind.RECOVERY])
async def test_a_backup_whose_name_the_history_never_had_is_not_called_removed(kind, installation):
    """The history took nothing until the kill: what nobody else has made since is named, nothing is claimed."""
    older, known, made = [
        await write_backup(installation.directory, number) for number in (0, 1, 2)
    ]
    await installation.orphan(RunKind.BACKUP, backup_id=known.backup_id, state=RunState.SUCCEEDED)
    began = instant_of(older.backup_id) + timedelta(milliseconds=1)

    run = await installation.judged(kind, backup_id="", created_at=began)

    require_interrupted(run, f"it may have made {made.backup_id}")
    assert "removed" not in run.error.message
    for other in (older, known):
        assert other.backup_id not in run.error.message


@pytest.mark.parametrize("backup_id", [NEVER, ""], ids=["named", "not yet named"])
async def test_a_backup_that_is_not_there_was_not_made(backup_id, installation):
    """What it had written is removed; the files of backups that are there stay."""
    manifest = await write_backup(installation.directory)
    name = BackupName(backup_id_of(9), Codec.GZIP)
    (installation.directory.path / name.partial).write_bytes(b"half")
    began = instant_of(manifest.backup_id) + timedelta(seconds=1)

    run = await installation.judged(RunKind.BACKUP, backup_id=backup_id, created_at=began)

    require_interrupted(run, "removed")
    assert not list(installation.directory.path.glob("*.partial"))
    assert installation.service.program.catalogue.manifest(manifest.backup_id) == manifest


async def test_a_deletion_is_judged_by_the_backup(installation):
    """Gone is done; what is still there was not deleted."""
    manifest = await write_backup(installation.directory)

    kept = await installation.judged(RunKind.DELETION, backup_id=manifest.backup_id)
    done = await installation.judged(RunKind.DELETION, backup_id=NEVER)

    require_interrupted(kept, "still there")
    assert (done.state, done.error) == (RunState.SUCCEEDED, None)
    assert done.result is not None


@pytest.mark.parametrize("kind", [RunKind.VERIFICATION, RunKind.DRY_RUN, RunKind.DRILL])
async def test_what_leaves_nothing_was_interrupted(kind, installation):
    """Nobody knows what it would have found."""
    require_interrupted(await installation.judged(kind, backup_id=NEVER), "changed nothing")


@pytest.mark.parametrize("kind", [RunKind.RESTORE, RunKind.UNDO])
@pytest.mark.parametrize("phase", [RestorePhase.DONE, RestorePhase.FORGOTTEN])
async def test_a_restore_whose_journal_says_so_is_done(kind, phase, installation):
    """Whether or not the old tables are still kept; the server need not be asked."""
    journal = installation.journal(phase)

    run = await installation.judged(kind, restore_id=journal.restore_id)

    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert run.result is not None
    assert run.result["restore_id"] == journal.restore_id
    assert list(run.result["databases"]) == ["shop"]


@pytest.mark.parametrize("restore_id", ["restore_00000000000f", ""], ids=["named", "not yet named"])
async def test_a_restore_without_a_journal_has_changed_nothing(restore_id, installation):
    """It was killed before it began to load, or was undone since."""
    run = await installation.judged(RunKind.RESTORE, restore_id=restore_id)

    require_interrupted(run, "as they were")


async def test_a_restore_whose_journal_is_damaged_is_unknown_and_said_so(installation):
    """Nobody says that the databases are as they were; all other runs are judged."""
    journal = installation.journal(RestorePhase.DONE)
    (installation.home / "state" / "recoveries" / f"{journal.restore_id}.json").write_bytes(b"{")
    backup = await installation.orphan(RunKind.BACKUP, backup_id=NEVER)

    run = await installation.judged(RunKind.RESTORE, restore_id=journal.restore_id)

    require_interrupted(run, "nobody knows")
    assert "as they were" not in run.error.message
    assert (await installation.store.get(backup)).state is RunState.FAILED


async def test_a_restore_stays_open_until_the_server_answers(own_server: OwnServers, tmp_path):
    """Nobody says how it ended before it is put right; what needs no server is judged at once."""
    server = own_server()
    async with open_service(settings_of(tmp_path, server.url)) as service:
        installation = KilledInstallation(tmp_path, service)
        journal = installation.journal(RestorePhase.LOADING)
        restore = await installation.orphan(RunKind.RESTORE, restore_id=journal.restore_id)
        backup = await installation.orphan(RunKind.BACKUP, backup_id=NEVER)
        server.kill()

        assert not await service.reconciler.reconcile()
        assert (await installation.store.get(restore)).state is RunState.RUNNING
        assert (await installation.store.get(backup)).state is RunState.FAILED

        server.start()
        assert await service.reconciler.reconcile()
        require_interrupted(await installation.store.get(restore), "as they were")
        assert installation.journals.all() == []


@pytest.mark.parametrize("fault", ["history", "backups"])
async def test_a_restore_is_put_right_whatever_else_fails(fault, server: Server, tmp_path):
    """A server that is left read-only waits neither for the control database nor for the disk of the backups."""
    async with open_service(settings_of(tmp_path, server.url)) as service:
        installation = KilledInstallation(tmp_path, service)
        journal = installation.journal(RestorePhase.LOADING)
        restore = await installation.orphan(RunKind.RESTORE, restore_id=journal.restore_id)
        backup = await installation.orphan(RunKind.BACKUP, backup_id=NEVER)
        if fault == "history":
            with closing(sqlite3.connect(tmp_path / "state" / "control.db")) as history:
                history.execute("ALTER TABLE runs RENAME TO away")
        else:
            (tmp_path / "backups" / ".lock").unlink(missing_ok=True)
            (tmp_path / "backups" / ".lock").mkdir()

        with pytest.raises(AppError):
            await service.reconciler.reconcile()

        assert installation.journals.all() == []
        if fault == "backups":
            require_interrupted(await installation.store.get(restore), "as they were")
            assert (await installation.store.get(backup)).state is RunState.RUNNING


async def test_runs_of_others_are_left_alone(installation):
    """Another installation that shares the control database, and whoever lives."""
    foreign = await installation.orphan(RunKind.BACKUP, owner="0" * 16, backup_id=NEVER)
    living = await installation.orphan(RunKind.BACKUP, backup_id=NEVER)
    held = RunLocks(installation.home / "state").acquire(living, [])

    assert await installation.service.reconciler.reconcile()

    for run_id in (foreign, living):
        assert (await installation.store.get(run_id)).state is RunState.RUNNING
    held.release()
    assert await installation.service.reconciler.reconcile()
    require_interrupted(await installation.store.get(living), "removed")
    assert (await installation.store.get(foreign)).state is RunState.RUNNING
    assert not list((installation.home / "state" / "runs").glob("run_*"))


async def test_what_is_over_stays_as_it_is(installation):
    """Putting right twice changes nothing."""
    run = await installation.judged(RunKind.BACKUP, backup_id=NEVER)

    assert await installation.service.reconciler.reconcile()

    assert await installation.store.get(run.run_id) == run
    assert installation.store.__class__ is RunRecords


async def test_a_backup_directory_that_is_away_judges_nothing(installation):
    """A file system that is not mounted yet is no proof that a backup was not made, or deleted."""
    manifest = await write_backup(installation.directory)
    made = await installation.orphan(RunKind.BACKUP, backup_id=manifest.backup_id)
    deleted = await installation.orphan(RunKind.DELETION, backup_id=manifest.backup_id)
    installation.directory.path.rename(installation.home / "away")

    assert not await installation.service.reconciler.reconcile()
    installation.directory.path.mkdir()  # where it is to be mounted
    assert not await installation.service.reconciler.reconcile()

    for run_id in (made, deleted):
        assert (await installation.store.get(run_id)).state is RunState.RUNNING
    shutil.rmtree(installation.directory.path)
    (installation.home / "away").rename(installation.directory.path)
    assert await installation.service.reconciler.reconcile()
    assert (await installation.store.get(made)).state is RunState.SUCCEEDED
    require_interrupted(await installation.store.get(deleted), "still there")


async def test_reconciling_is_repeated_until_it_is_cancelled(installation):
    """A control database that fails for a while does not end it."""
    manifest = await write_backup(installation.directory)
    run_id = await installation.orphan(RunKind.BACKUP, backup_id=manifest.backup_id)
    task = asyncio.create_task(installation.service.reconciler.run_forever())
    async with asyncio.timeout(60):
        while not (await installation.store.get(run_id)).state.is_over:  # noqa: ASYNC110 - it is another task
            await asyncio.sleep(0.01)

    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def stored(installation, tmp_path):
    """The id of a backup that lies in the store `offsite`, and nowhere else."""
    place = tmp_path / "offsite"
    place.mkdir()
    text = f'[offsite]\nkind = "local"\npath = "{place}"\n'
    (tmp_path / "state" / "stores.toml").write_text(text)
    directory = installation.service.program.catalogue_of("offsite").directory
    directory.prepare()
    return (await write_backup(directory)).backup_id


@pytest.mark.parametrize(
    ("kind", "request_of"),
    [(RunKind.BACKUP, {"store": "offsite"}), (RunKind.COPY, {"to": "offsite"})],
)
async def test_what_went_to_a_store_is_looked_for_there(kind, request_of, installation, stored):
    """Not in the backup directory, where nothing of it ever was."""
    made = await installation.judged(kind, backup_id=stored, request=request_of)
    not_made = await installation.judged(kind, backup_id=NEVER, request=request_of)

    assert (made.state, made.error) == (RunState.SUCCEEDED, None)
    assert not_made.error is not None
    assert not_made.error.code == "run-interrupted"


async def test_a_deletion_in_a_store_is_judged_by_what_is_there(installation, stored, tmp_path):
    """What is still there was not deleted; of a store that does not answer nobody knows."""
    asked = {"store": "offsite"}
    kept = await installation.judged(RunKind.DELETION, backup_id=stored, request=asked)
    (tmp_path / "offsite").rename(tmp_path / "away")
    unknown = await installation.judged(RunKind.DELETION, backup_id=stored, request=asked)

    require_interrupted(kept, "still there")
    require_interrupted(unknown, "nobody knows")
    assert "--store offsite" in unknown.error.hint
