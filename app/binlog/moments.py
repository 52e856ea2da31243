"""
Moments by two clocks: one that people set, and one that nobody can.

What is told to people, and compared with times of theirs, is by the first. How long ago something was is by
the second, which goes on while the machine sleeps: a clock that was set back makes nothing younger.
"""

from dataclasses import dataclass
from typing import Final

from app.domain.ports import Clock
from app.storage.clock_witness import BootClock


@dataclass(frozen=True, slots=True)
class Moment:
    """
    One reading of both clocks.

    Attributes:
        ms: Milliseconds since 1970.
        boot_seconds: How long the machine had run.
    """

    ms: int = 0
    boot_seconds: float = 0.0

    def later(self, other: "Moment") -> "Moment":
        """Return the later of two, whatever somebody did to the clock in between."""
        return other if other.boot_seconds > self.boot_seconds else self


NEVER: Final = Moment()


class Moments:
    """Reads both clocks."""

    def __init__(self, clock: Clock, boot: BootClock | None = None) -> None:
        self._clock = clock
        self._boot = boot or BootClock()

    @property
    def boot_id(self) -> str:
        """Which start of the machine this is; empty where nobody tells."""
        return self._boot.boot_id()

    def now(self) -> Moment:
        """Return the moment."""
        return Moment(round(self._clock.now().timestamp() * 1000), self._boot.seconds())

    def of(self, ms: int) -> Moment:
        """Return the moment of a time that has passed."""
        now = self.now()
        return Moment(ms, now.boot_seconds - max(0, now.ms - ms) / 1000)

    def age_seconds(self, moment: Moment) -> float:
        """Tell how long ago a moment of this start of the machine was."""
        return max(0.0, self._boot.seconds() - moment.boot_seconds)
