"""What the service does for its audit every day: it proves it, prunes it by age, and tells its head."""

import asyncio
import logging
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.ports import Clock
from app.errors import AppError
from app.services.access.audit import AuditService
from app.storage.clock_witness import ClockWitness


_log: Final = logging.getLogger(__name__)
# With a space, so that no schedule has this name, whose next backup would end it.
_ABOUT: Final = "the audit"
_HEAD: Final = "audit"


class AuditUpkeep:
    """Looks after one audit."""

    def __init__(
        self, audit: AuditService, witness: ClockWitness, clock: Clock, alarm: Alarm
    ) -> None:
        self._audit = audit
        self._witness = witness
        self._clock = clock
        self._alarm = alarm

    async def write_counts(self) -> None:
        """Write the counts of refused requests whose hour is over."""
        await self._audit.flush(self._clock.now())

    async def run_daily(self) -> None:
        """
        Prove the audit, remove what is too old, and tell its head: to the log, and to who asks for it.

        It raises no AppError: an alert says when the audit is not whole, or the clock cannot be right.
        """
        try:
            await asyncio.to_thread(self._witness.check, {})
            elapsed = await asyncio.to_thread(self._witness.elapsed)
            proof = await self._audit.prune(self._clock.now(), elapsed)
        except AppError as exc:
            _log.warning(
                "Audit is not whole, or was not pruned", extra={"facts": {"error": str(exc)}}
            )
            await self._alarm.raise_alert(Alert(AlertKind.FAILURE, _ABOUT, str(exc), exc.hint))
            return
        facts = {"number": proof.last, "digest": proof.digest, "entries": proof.entries}
        _log.info("Audit is whole", extra={"facts": facts})
        await self._alarm.resolve(AlertKind.FAILURE, _ABOUT, "the audit is whole")
        head = f"{proof.last}:{proof.digest}"
        message = f"the newest entry of the audit is {head}"
        hint = f"Keep this message: 'backstay audit verify --head {head}' proves that nothing up to there is gone."
        await self._alarm.report(Alert(AlertKind.AUDIT_HEAD, _HEAD, message, hint))
