"""Crash recovery: restores that were interrupted, and old tables whose time is over."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from app.domain.ports import Clock
from app.domain.restores.journal import Journal, RestorePhase
from app.domain.restores.repair import RepairResult
from app.errors import AlreadyRunningError, AppError
from app.services.restores.swap import Swaps
from app.storage.journals import Journals


_log: Final = logging.getLogger(__name__)
# How long an undo that comes too late is told the recovery point.
_REMEMBERED: Final = timedelta(days=90)


class CrashRecovery:
    """
    Finishes or undoes what a crash has left, and drops old tables whose time is over.

    Args:
        elapsed: By what it is over; its calls block.
    """

    def __init__(
        self, *, swaps: Swaps, journals: Journals, elapsed: Clock, undo_minutes: float
    ) -> None:
        self._swaps = swaps
        self._journals = journals
        self._elapsed = elapsed
        self._undo_minutes = undo_minutes

    async def repair(self) -> list[RepairResult]:
        """
        Finish or undo what was interrupted, and drop old tables whose time is over.

        A restore that had not swapped yet is undone, one that had is finished. One that is still at
        work, here or elsewhere, is left alone.

        Returns:
            What was done, newest first; failures are reported in it, not raised.
        """
        await asyncio.to_thread(self._journals.reserve)
        done = [
            await self.recover(journal, forward=True)
            for journal in await self._swaps.journals()
            if not journal.phase.is_over
        ]
        return [*done, *await self.drop_expired()]

    async def drop_expired(self) -> list[RepairResult]:
        """
        Drop old tables whose time is over; none while a journal is damaged.

        Returns:
            What was done; failures are reported in it, not raised.
        """
        if await self._damaged():
            return []
        now = await asyncio.to_thread(self._elapsed.now)
        journals = await self._swaps.journals()
        # An undo that was interrupted may still take its tables from there.
        awaited = {journal.undoes for journal in journals if not journal.phase.is_over}
        expired = [
            journal
            for journal in journals
            if journal.phase is RestorePhase.DONE
            and journal.keep_until is not None
            and journal.keep_until <= now
            and journal.restore_id not in awaited
        ]
        for journal in journals:
            if journal.phase is RestorePhase.FORGOTTEN and journal.began_at < now - _REMEMBERED:
                await self._swaps.delete(journal)
        return [await self._drop(journal) for journal in expired]

    async def _damaged(self) -> bool:
        """Tell whether a journal is damaged, and name it: it may be of an undo that needs old tables."""
        damaged = (await asyncio.to_thread(self._journals.survey)).damaged
        for journal in damaged:
            facts = {"restore_id": journal.restore_id, "error": str(journal.error)}
            _log.warning(
                "Journal of a restore is damaged; no old tables are dropped", extra={"facts": facts}
            )
        return bool(damaged)

    async def _drop(self, journal: Journal) -> RepairResult:
        try:
            async with self._swaps.locked(journal.targets, logged=journal.logged) as session:
                await self._swaps.expire(session, journal)
        except AlreadyRunningError:
            return RepairResult(journal, "running")
        except AppError as exc:
            return RepairResult(journal, "failed", exc)
        return RepairResult(journal, "forgotten")

    async def recover(self, journal: Journal, *, forward: bool) -> RepairResult:
        """Recover one restore, backward when it cannot be finished; never raises an error of ours."""
        swaps = self._swaps
        try:
            phase = await swaps.recover(journal.restore_id, forward=forward)
            if phase is RestorePhase.FINISHING and (now := await swaps.find(journal.restore_id)):
                async with swaps.locked(now.targets, logged=now.logged) as session:
                    await swaps.complete(session, now, minutes=self._undo_minutes)
        except AlreadyRunningError:
            return RepairResult(journal, "running")
        except AppError as exc:
            if forward:
                return await self.recover(journal, forward=False)
            _log.warning(
                "Interrupted restore could not be recovered",
                extra={"facts": {"restore_id": journal.restore_id, "error": str(exc)}},
            )
            return RepairResult(journal, "failed", exc)
        return RepairResult(journal, "undone" if phase is RestorePhase.LOADING else "finished")
