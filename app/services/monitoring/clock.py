"""
The clock, read every hour by the service: after a start it is told from what it should be by the last reading.

Commands read it when they prune; whether it is right then, retention tells.
"""

import asyncio
import logging
from typing import Final

from app.errors import AppError
from app.storage.clock_witness import ClockWitness


_log: Final = logging.getLogger(__name__)


class ClockWatch:
    """Has one witness read the clock."""

    def __init__(self, witness: ClockWitness) -> None:
        self._witness = witness

    async def read(self) -> None:
        """Read it, and keep the reading while it can be right; raises no AppError."""
        try:
            await asyncio.to_thread(self._witness.record, {})
        except AppError as exc:
            _log.warning("Clock cannot be right", extra={"facts": {"error": str(exc)}})
