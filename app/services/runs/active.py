"""A run of this process, while it works."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, TypeVar

from app.domain.runs.progress import Pace, Progress
from app.domain.runs.run import Requester, Run, RunId, RunState
from app.errors import AppError
from app.services.runs.job import Job
from app.storage.run_locks import HeldLocks
from app.telemetry.context import bind, bound


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class ActiveRun(Generic[T]):
    """
    A run and what it works with.

    Attributes:
        run: As it was last counted.
        loop: On which it is watched; the work may go on elsewhere.
        named: Set when what it is about has got a name.
        begun: Whether the task has taken its first step.
        cancelled: Whether it was cancelled.
        is_ending: Whether its end is being written down; nothing can change it any more.
        is_recorded: Whether the history knows it.
    """

    run: Run
    job: Job[T]
    locks: HeldLocks
    progress: Progress
    pace: Pace
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    named: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False
    cancelled: bool = False
    is_ending: bool = False
    is_recorded: bool = True
    task: "asyncio.Task[T] | None" = None
    _was_told: bool = False

    def cancel(self) -> None:
        """Cancel it, once: a second time would interrupt the cleaning."""
        if self.begun and self.task is not None and not self.cancelled:
            self.task.cancel()
        self.cancelled = True  # a task that was cancelled before its first step would never end it

    def counted(self, now: float) -> Run:
        """Return the run with its counters as they are now, as another revision."""
        progress = self.progress
        return replace(
            self.run,
            revision=self.run.revision + 1,
            backup_id=self.job.backup_id or progress.backup_id,
            restore_id=self.job.restore_id or progress.restore_id,
            progress=self.pace.report(progress, now),
        )

    def warn_unrecorded(self, error: AppError) -> None:
        """Note that the history does not know it yet."""
        self.is_recorded = False
        self.warn_unwritten(error)

    def warn_unwritten(self, error: AppError) -> None:
        """Log that the history lacks something, once: it is tried again and again."""
        if not self._was_told:
            warn_unwritten(self.run.run_id, error)
        self._was_told = True

    def notice_name(self, progress: Progress) -> None:
        """Have a new name written down at once: after a crash it tells what became of the run."""
        named = (
            self.job.backup_id or progress.backup_id,
            self.job.restore_id or progress.restore_id,
        )
        if named != (self.run.backup_id, self.run.restore_id):
            self.loop.call_soon_threadsafe(self.named.set)


def new_run(run_id: RunId, job: Job[T], requester: Requester, owner: str, at: datetime) -> Run:
    """Make a run that has not begun."""
    return Run(
        run_id=run_id,
        kind=job.kind,
        state=RunState.QUEUED,
        requested_by=requester.name,
        origin=requester.origin,
        owner=owner,
        created_at=at,
        backup_id=job.backup_id,
        restore_id=job.restore_id,
        request=job.request,
    )


def bind_run(run: Run) -> None:
    """Name the run, its schedule and its requester on every line of its task, and of what that begins."""
    bind(**_named(run))


def warn_unwritten(run_id: RunId, error: AppError) -> None:
    """Log that the history lacks something; the run goes on."""
    facts = {"run": run_id, "error": str(error)}
    _log.warning("Run history could not be written", extra={"facts": facts})


def report_failure(run: Run, task: "asyncio.Task[T]") -> None:
    """Log a failure that nobody waits for; a bug was logged where it came from."""
    if not task.cancelled() and isinstance(error := task.exception(), AppError):
        facts = {"run": run.run_id, "kind": run.kind, "code": error.code, "error": str(error)}
        with bound(**_named(run)):  # this is the task of whoever has begun it
            _log.warning("Run failed", extra={"facts": facts})


def _named(run: Run) -> dict[str, str]:
    return {"run_id": run.run_id, "schedule": run.schedule, "user": run.requested_by}
