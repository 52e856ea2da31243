"""When an archiver does what."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """
    How fast things happen.

    Attributes:
        heartbeat_seconds: How often a server without news says so.
        sync_seconds: How old bytes may get before they are synced.
        sync_bytes: How many may wait for that.
        segment_seconds: How old a tail may get before it is sealed.
        segment_bytes: How large.
        retry_seconds: How long the first wait after a failure is; doubled up to `longest_retry_seconds`.
        answer_seconds: How long a server may take to let itself be inspected, and to begin with its log.
        look_seconds: How often one that sends its log is inspected again.
    """

    heartbeat_seconds: float = 5.0
    sync_seconds: float = 1.0
    sync_bytes: int = 4 << 20
    segment_seconds: float = 300.0
    segment_bytes: int = 16 << 20
    retry_seconds: float = 1.0
    longest_retry_seconds: float = 60.0
    answer_seconds: float = 30.0
    look_seconds: float = 60.0

    @property
    def silence_seconds(self) -> float:
        """After how long without a byte a connection is given up."""
        return 3 * self.heartbeat_seconds


class Rhythm:
    """When what is due on one connection."""

    def __init__(self, pace: Pace) -> None:
        self.unsynced_bytes = 0
        self._pace = pace
        self._time = asyncio.get_running_loop().time
        self._heard = self._synced = self._rolled = self._time()

    @property
    def now(self) -> float:
        """Seconds that never go back."""
        return self._time()

    @property
    def wait_seconds(self) -> float:
        """How long to wait for bytes before something else is due."""
        return self._pace.sync_seconds if self.unsynced_bytes else self._pace.heartbeat_seconds

    def hear(self) -> None:
        """Note that bytes have come."""
        self._heard = self._time()

    @property
    def is_silent(self) -> bool:
        """Tell whether the connection must be given up."""
        return self._time() - self._heard > self._pace.silence_seconds

    @property
    def must_sync(self) -> bool:
        """Tell whether bytes have waited for long enough."""
        is_late = self._time() - self._synced >= self._pace.sync_seconds
        return bool(self.unsynced_bytes) and (
            is_late or self.unsynced_bytes >= self._pace.sync_bytes
        )

    def note_sync(self) -> None:
        """Note that everything is on the medium."""
        self.unsynced_bytes = 0
        self._synced = self._time()

    @property
    def is_old(self) -> bool:
        """Tell whether the tail is due to be sealed by its age."""
        return self._time() - self._rolled >= self._pace.segment_seconds

    def note_roll(self) -> None:
        """Note that a tail has begun."""
        self.note_sync()
        self._rolled = self._time()
