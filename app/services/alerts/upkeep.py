"""What the service does for the log of its alerts every hour: it keeps it short."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from app.domain.ports import Clock
from app.domain.stores import AlertStore
from app.errors import AppError


_log: Final = logging.getLogger(__name__)
_KEPT: Final = timedelta(days=90)
# For a target that is not in the settings any more, or nobody serves this control database.
_STALE: Final = timedelta(days=7)


class AlertUpkeep:
    """
    Looks after one log of alerts.

    Args:
        elapsed: By what an alert is old; its calls block.
    """

    def __init__(self, store: AlertStore, clock: Clock, elapsed: Clock) -> None:
        self._store = store
        self._clock = clock
        self._elapsed = elapsed

    async def run_hourly(self) -> None:
        """Remove what is over for long, and give up messages that nobody sends; raises no AppError."""
        try:
            old = await asyncio.to_thread(self._elapsed.now)
            await self._store.expire(self._clock.now(), before=old - _KEPT, stale=old - _STALE)
        except AppError as exc:
            _log.warning("Alert log could not be kept short", extra={"facts": {"error": str(exc)}})
