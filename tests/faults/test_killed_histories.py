"""
Runs killed by SIGKILL at every write of theirs, while another service works on the same directories.

Each call of the file system and each statement of the control database is a moment. Afterwards history,
alerts and locks tell what there is.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.bootstrap.service import Service, open_service
from app.domain.alerts.alert import AlertKind
from app.domain.runs.run import Origin, Requester, Run, RunFilter, RunKind, RunState
from app.domain.stores import AlertFilter, Page
from app.errors import AppError
from app.services.backups.options import BackupOptions
from app.storage.kernel import KERNEL
from app.storage.local import LocalDirectory
from tests.fixtures.archives import write_backup
from tests.fixtures.control import furnish
from tests.fixtures.kernels import CALLS
from tests.fixtures.killed_installation import settings_of
from tests.fixtures.series import series


STRIDE = series(61, 3)
CLOCK, ANN = Requester("schedule", Origin.SCHEDULE), Requester("ann", Origin.WEB)


class Moments:
    """Counts what is written, and kills this process at one of them."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._count = 0

    def pass_by(self, *_: object) -> None:
        """Count one more."""
        self._count += 1
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count every call and every statement of this process from now on."""
        for name in CALLS:
            setattr(KERNEL, name, self._counted(getattr(KERNEL, name)))
        for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(Engine, moment, self.pass_by)

    def _counted(self, call):
        def counted(*args):
            self.pass_by()
            try:
                return call(*args)
            finally:
                self.pass_by()

        return counted


async def work(home: Path) -> None:
    """Fail to make a scheduled backup, and delete the one that is there."""
    async with open_program(settings_of(home), needs_server=False, remembers=True) as program:
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


@contextmanager
def child_of(home: Path, last: int) -> Iterator[int]:
    """Let a child work that is killed at that moment, and wait for its end; yields its id."""
    child = os.fork()
    if child == 0:
        try:
            Moments(last).watch()
            asyncio.run(work(home))
        finally:
            os._exit(0)
    try:
        yield child
    finally:
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


async def watched(home: Path, child: int) -> tuple[bool, list[Run]]:
    """Put right whatever is left while the child works and when it is over; tell whether it was killed."""
    async with open_service(settings_of(home)) as service:
        ended, status = 0, 0
        while not ended:
            await service.reconciler.reconcile()
            ended, status = os.waitpid(child, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
        await service.reconciler.reconcile()
        runs = await require_truth(service, home)
        await delete(service.program)
        await fail(service.program)
        assert [run for run in await told(service) if not run.state.is_over] == []
    return os.WIFSIGNALED(status), runs


async def told(service: Service) -> list[Run]:
    """Return the history, oldest first."""
    runs, _ = await service.program.runs.list(RunFilter(), Page(sort="created_at"))
    return list(runs)


async def require_truth(service: Service, home: Path) -> list[Run]:
    """Require that history, catalogue, alerts and locks say the same."""
    runs = await told(service)
    assert all(run.state.is_over for run in runs)
    is_there = bool(service.program.catalogue.entries())
    deleted = [run.state for run in runs if run.kind is RunKind.DELETION]
    assert (RunState.SUCCEEDED in deleted) is not is_there, runs
    failed = [run.run_id for run in runs if run.kind is RunKind.BACKUP]
    wanted = AlertFilter(is_open=True, kinds=(AlertKind.FAILURE,))
    alerts, _ = await service.program.alerts.list(wanted, Page(sort="-opened_at"))
    assert {alert.run_id for alert, _ in alerts if alert.about == "nightly"} == set(failed)
    held = [path.name for path in (home / "state" / "runs").glob("run_*")]
    # What was killed before its run was written down has left the lock alone.
    assert not [name for name in held if name.removesuffix(".lock") in {run.run_id for run in runs}]
    assert not list((home / "state" / "ends").glob("run_*"))
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
    moment, killed = 0, True
    while killed:
        moment += STRIDE
        home = tmp_path / str(moment)
        shutil.copytree(whole, home)
        with child_of(home, moment) as child:
            killed, runs = asyncio.run(watched(home, child))
        seen |= {(run.kind, run.state) for run in runs}

    assert moment > 200
    assert {(RunKind.BACKUP, RunState.FAILED), (RunKind.DELETION, RunState.SUCCEEDED)} <= seen
