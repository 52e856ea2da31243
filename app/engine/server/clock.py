"""
The server's clock, read from ours, and its time zones.

The server notes in which second a table was last written, and asking it for the time at every step
would cost more than the step. So its clock is read once; from then on ours counts the seconds.
"""

import time
from dataclasses import dataclass
from typing import Final

from app.engine.server.connection import Session
from app.engine.sql.quoting import quote_text


ZONES_HINT: Final = "mysql_tzinfo_to_sql brings the names"

# More than two clocks drift apart in a restore, less than the second in which the server counts.
_STEP_SECONDS: Final = 0.5


async def knows_zone(session: Session, zone: str) -> bool:
    """Tell whether the server has a time zone."""
    query = f"SELECT CONVERT_TZ('2021-01-01', '+00:00', {quote_text(zone)})"
    return await session.scalar(query) != ""


@dataclass(frozen=True, slots=True)
class ServerClock:
    """
    What the server's clock said at a moment of ours.

    Attributes:
        seconds: Of the server, since 1970.
        asked: Our monotonic clock just before; the server's was not read earlier.
        answered: Our monotonic clock just after; the server's was not read later.
    """

    seconds: float
    asked: float
    answered: float

    @classmethod
    async def read(cls, session: Session) -> "ServerClock":
        """Ask the server; SYSDATE is not held still by SET timestamp."""
        asked = time.monotonic()
        seconds = float(await session.scalar("SELECT UNIX_TIMESTAMP(SYSDATE(6))"))
        return cls(seconds, asked, time.monotonic())

    def earliest(self) -> int:
        """Return the second in which the server is at least."""
        return int(self.seconds + time.monotonic() - self.answered)

    def latest(self) -> int:
        """Return the second in which the server is at most."""
        return int(self.seconds + time.monotonic() - self.asked)

    async def is_steady(self, session: Session) -> bool:
        """Tell whether the server's clock went on as ours did; somebody may have set it."""
        now = await self.read(session)
        lapse = now.answered - self.answered
        return abs(now.seconds - self.seconds - lapse) < _STEP_SECONDS
