"""
What became of restores and undos that the history does not tell, or not any more.

1. A restore may fail when its tables have come already: the server died, a right was revoked, the state
disk was full. Whoever repairs it then, the history says at last how it ended. 2. A command may restore
while neither the history nor the disk takes anything. Its journal tells of it later.
"""

import asyncio
import hashlib
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from app.documents.restores import Restored
from app.domain.ports import Clock
from app.domain.restores.journal import Journal, RestoreId, RestoreKind
from app.domain.restores.repair import is_promised
from app.domain.runs.run import RUN_DIGITS, Origin, Run, RunFilter, RunId, RunKind, RunState
from app.domain.stores import Page, RunStore
from app.errors import JournalDamagedError
from app.services.restores.service import RecoveryService
from app.services.runs.ends import write_end
from app.services.runs.service import RunService
from app.storage.run_locks import RunLocks


_log: Final = logging.getLogger(__name__)
_SWAPPING: Final = (RunKind.RESTORE, RunKind.UNDO)
# They are looked at every minute: nobody leaves so many of them unrepaired.
_MOST: Final = 100
_KINDS: Final = {RestoreKind.RESTORE: RunKind.RESTORE, RestoreKind.UNDO: RunKind.UNDO}
# Whoever is about to write down a restore that is over does so within seconds; a minute is a lot.
_ABOUT_TO: Final = timedelta(minutes=10)
_UNKNOWN: Final = "unknown"
_FOUND: Final = (
    "the history could not be written when this was done; its journal says that it was proven and swapped"
    " in, not when it ended nor who asked for it"
)
_UNDONE: Final = "It was undone by the repair: the databases are as they were."


class Settlement:
    """Writes down how restores and undos have ended at last."""

    def __init__(
        self,
        *,
        store: RunStore,
        locks: RunLocks,
        clock: Clock,
        runs: RunService,
        recoveries: RecoveryService,
    ) -> None:
        self._store = store
        self._locks = locks
        self._clock = clock
        self._runs = runs
        self._recoveries = recoveries
        self._known: set[RestoreId] = set()

    async def settle(self) -> None:
        """
        Look at each restore that is called failed, and correct what is not so; add what is not told.

        Raises:
            AppError: The history or the state directory refused; what is left is done the next time.
        """
        wanted = RunFilter(kinds=_SWAPPING, states=(RunState.FAILED, RunState.CANCELLED))
        failed, _ = await self._runs.list(wanted, Page(_MOST, sort="-finished_at"))
        owner = await asyncio.to_thread(self._locks.owner)
        for run in (run for run in failed if run.owner == owner):
            settled = await self._settled(run)
            if settled is not None:
                await self._runs.rewrite(settled)
                facts = {"run": run.run_id, "restore_id": run.restore_id, "state": settled.state}
                _log.info("The end of a restore was corrected", extra={"facts": facts})
        for journal in await self._recoveries.finished():
            await self._tell(journal)

    async def _tell(self, journal: Journal) -> None:
        """Add a restore that only its journal knows, when nobody can be about to do so any more."""
        # One that takes hours is told of after its RENAME, not after its begin.
        swapped_at = datetime.fromtimestamp(journal.renamed_at, UTC)
        passed = self._clock.now() - max(journal.began_at, swapped_at)
        # Of one that lies ahead the clock was set back since; nobody is about to do anything.
        if journal.restore_id in self._known or abs(passed) < _ABOUT_TO:
            return
        runs, _ = await self._store.list(RunFilter(restore_id=journal.restore_id), Page(1))
        if not runs and (result := await self._recoveries.find_result(journal.restore_id, _FOUND)):
            run = Run(
                run_id=_run_id_of(journal.restore_id),
                kind=_KINDS[journal.kind],
                state=RunState.SUCCEEDED,
                requested_by=_UNKNOWN,
                origin=Origin.CLI,
                owner=await asyncio.to_thread(self._locks.owner),
                created_at=journal.began_at,
                started_at=journal.began_at,
                finished_at=journal.began_at,
                backup_id=journal.backup_id,
                restore_id=journal.restore_id,
                result=Restored.of(result).model_dump(mode="json"),
            )
            await write_end(self._store, run)
            facts = {"run": run.run_id, "restore_id": run.restore_id}
            _log.info("A restore was found by its journal", extra={"facts": facts})
        self._known.add(journal.restore_id)

    async def _settled(self, run: Run) -> Run | None:
        """Return a run as it is now; None when nothing has changed."""
        error = run.error
        if error is None or not run.restore_id:
            return None
        note = f"it had failed ({error.message}), and was finished by a repair; what it had counted is lost"
        try:
            journal = await self._recoveries.find_journal(run.restore_id)
            result = await self._recoveries.find_result(run.restore_id, note)
        except JournalDamagedError:
            return None
        if result is not None:
            document = Restored.of(result).model_dump(mode="json")
            return replace(run, state=RunState.SUCCEEDED, result=document, error=None)
        if journal is None and is_promised(error.hint):
            return replace(run, error=replace(error, hint=_UNDONE))
        return None  # it waits for its repair, or never began


def _run_id_of(restore_id: RestoreId) -> RunId:
    """Name the run of a restore that only its journal knows: the same whoever finds it, so that it is there once."""
    return RunId(f"run_{hashlib.sha256(restore_id.encode()).hexdigest()[:RUN_DIGITS]}")
