"""
Runs killed by SIGKILL at every write of theirs, while another service works on the same directories.

Each call of the file system and each statement of the control database is a moment. Afterwards history,
alerts and locks tell what there is.
"""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import replace

import pytest

from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.bootstrap.service import Service
from app.config import Settings
from app.domain.alerts.alert import AlertKind
from app.domain.runs.run import Origin, Requester, Run, RunFilter, RunKind, RunState
from app.domain.stores import AlertFilter, Page
from app.errors import AppError
from app.services.backups.options import BackupOptions
from app.storage.local import LocalDirectory
from tests.fixtures.archives import write_backup
from tests.fixtures.control import furnish
from tests.fixtures.killed_installation import settings_of
from tests.fixtures.killed_moments import killed_at
from tests.fixtures.series import series


STRIDE = series(61, 3)
CLOCK, ANN = Requester("schedule", Origin.SCHEDULE), Requester("ann", Origin.WEB)


async def work(settings: Settings) -> None:
    """Fail to make a scheduled backup, and delete the one that is there."""
    async with open_program(settings, needs_server=False, remembers=True) as program:
        await fail(program)
        await delete(program)


async def fail(program: Program) -> None:
    """Begin what a schedule begins whose server is away."""
    job = program.jobs.backup(BackupOptions())
    nightly = replace(job, request={**job.request, "schedule": "nightly"})
    with suppress(AppError):
        await program.runs.perform(nightly, CLOCK)


async def delete(program: Program) -> None:
    """Delete each backup that is there, as somebody does."""
    for entry in await asyncio.to_thread(program.catalogue.entries):
        await program.runs.perform(await program.jobs.deletion(entry.backup_id), ANN)


async def told(service: Service) -> list[Run]:
    """Return the history, oldest first."""
    runs, _ = await service.program.runs.list(RunFilter(), Page(sort="created_at"))
    return list(runs)


async def require_truth(service: Service) -> list[Run]:
    """Require that history, catalogue, alerts and locks say the same."""
    runs, state = await told(service), service.program.settings.state_dir
    assert all(run.state.is_over for run in runs)
    is_there = bool(service.program.catalogue.entries())
    deleted = [run.state for run in runs if run.kind is RunKind.DELETION]
    assert (RunState.SUCCEEDED in deleted) is not is_there, runs
    failed = [run.run_id for run in runs if run.kind is RunKind.BACKUP]
    wanted = AlertFilter(is_open=True, kinds=(AlertKind.FAILURE,))
    alerts, _ = await service.program.alerts.list(wanted, Page(sort="-opened_at"))
    assert {alert.run_id for alert, _ in alerts if alert.about == "nightly"} == set(failed)
    held = [path.name for path in (state / "runs").glob("run_*")]
    # What was killed before its run was written down has left the lock alone.
    assert not [name for name in held if name.removesuffix(".lock") in {run.run_id for run in runs}]
    assert not list((state / "ends").glob("run_*"))
    return runs


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_whatever_is_killed_history_alerts_and_locks_tell_what_there_is(tmp_path):
    """And the next ones find their locks free."""
    whole = tmp_path / "whole"
    furnish(whole / "state")
    directory = LocalDirectory(whole / "backups")
    directory.prepare()
    asyncio.run(write_backup(directory))
    seen: set[tuple[RunKind, RunState]] = set()

    async def judge(service: Service) -> None:
        seen.update((run.kind, run.state) for run in await require_truth(service))
        await delete(service.program)
        await fail(service.program)
        assert [run for run in await told(service) if not run.state.is_over] == []

    moment, killed = 0, True
    while killed:
        moment += STRIDE
        home = tmp_path / str(moment)
        shutil.copytree(whole, home)
        killed = killed_at(moment, settings_of(home), work, judge)

    assert moment > 200
    assert {(RunKind.BACKUP, RunState.FAILED), (RunKind.DELETION, RunState.SUCCEEDED)} <= seen
