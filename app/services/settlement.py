"""
What became of restores and undos after their runs had failed.

A restore may fail when its tables have come already: the server died, a right was revoked, the state disk
was full. Whoever repairs it then, the history says at last how it ended.
"""

import logging
from dataclasses import replace
from typing import Final

from app.documents.restores import Restored
from app.domain.restores.repair import is_promised
from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.domain.stores import Page
from app.errors import JournalDamagedError
from app.services.restores.service import RecoveryService
from app.services.runs.service import RunService


_log: Final = logging.getLogger(__name__)
_SWAPPING: Final = (RunKind.RESTORE, RunKind.UNDO)
# They are looked at every minute: nobody leaves so many of them unrepaired.
_MOST: Final = 100
_UNDONE: Final = "It was undone by the repair: the databases are as they were."


class Settlement:
    """Writes down how failed restores and undos have ended at last."""

    def __init__(self, runs: RunService, recoveries: RecoveryService) -> None:
        self._runs = runs
        self._recoveries = recoveries

    async def settle(self) -> None:
        """
        Look at each restore that is called failed, and correct what is not so any more.

        Raises:
            AppError: The history or the state directory refused; what is left is done the next time.
        """
        wanted = RunFilter(kinds=_SWAPPING, states=(RunState.FAILED, RunState.CANCELLED))
        failed, _ = await self._runs.list(wanted, Page(_MOST, sort="-finished_at"))
        for run in await self._runs.own(failed):
            settled = await self._settled(run)
            if settled is not None:
                await self._runs.rewrite(settled)
                facts = {"run": run.run_id, "restore_id": run.restore_id, "state": settled.state}
                _log.info("The end of a restore was corrected", extra={"facts": facts})

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
