"""Recoveries that were interrupted, and old tables whose time is over."""

import logging
from datetime import timedelta
from typing import Final

from app.domain.restores.journal import Journal, RestorePhase
from app.domain.restores.repair import RepairResult
from app.errors import AlreadyRunningError, AppError
from app.services.restores.restore import Parts


_log: Final = logging.getLogger(__name__)
# How long an undo that comes too late is told the recovery point.
_REMEMBERED: Final = timedelta(days=90)


class Repairs:
    """Brings order into what is left over."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def repair(self) -> list[RepairResult]:
        """
        Finish or undo what was interrupted, and drop old tables whose time is over.

        A recovery that had not swapped yet is undone, one that had is finished. One that is still at
        work, here or elsewhere, is left alone.

        Returns:
            What was done, newest first; failures are reported in it, not raised.
        """
        done = [
            await self.recover(journal, forward=True)
            for journal in await self._parts.swaps.journals()
            if not journal.phase.is_over
        ]
        return [*done, *await self.forget_expired()]

    async def forget_expired(self) -> list[RepairResult]:
        """
        Drop old tables whose time is over.

        Returns:
            What was done; failures are reported in it, not raised.
        """
        now = self._parts.clock.now()
        journals = await self._parts.swaps.journals()
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
                await self._parts.swaps.strike(journal)
        return [await self._forget(one) for one in expired]

    async def _forget(self, journal: Journal) -> RepairResult:
        try:
            async with self._parts.swaps.locked(journal.targets, logged=journal.logged) as session:
                await self._parts.swaps.forget(session, journal)
        except AlreadyRunningError:
            return RepairResult(journal, "running")
        except AppError as exc:
            return RepairResult(journal, "failed", exc)
        return RepairResult(journal, "forgotten")

    async def recover(self, journal: Journal, *, forward: bool) -> RepairResult:
        """Recover one recovery, backward when it cannot be finished; never raises an error of ours."""
        swaps = self._parts.swaps
        try:
            phase = await swaps.recover(journal.restore_id, forward=forward)
            if phase is RestorePhase.FINISHING and (now := await swaps.find(journal.restore_id)):
                async with swaps.locked(now.targets, logged=now.logged) as session:
                    await swaps.complete(session, now, minutes=self._parts.undo_minutes)
        except AlreadyRunningError:
            return RepairResult(journal, "running")
        except AppError as exc:
            if forward:
                return await self.recover(journal, forward=False)
            _log.warning(
                "A recovery could not be put right",
                extra={"facts": {"restore_id": journal.restore_id, "error": str(exc)}},
            )
            return RepairResult(journal, "failed", exc)
        return RepairResult(journal, "undone" if phase is RestorePhase.LOADING else "finished")
