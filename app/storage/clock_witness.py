"""
A witness of the clock: its last reading, beside that of a clock that nobody can set.

The kernel counts the seconds since the machine was started, also those that it slept. As long as it
is the same start, the clock must have moved by as much; where it did not, somebody has set it. The
witness keeps its reading until the clock is right again, or is told to take it as right. Calls block.

Not guaranteed: a clock that was set while the machine was off is noticed only when it is behind.

Source: https://man7.org/linux/man-pages/man2/clock_gettime.2.html (CLOCK_BOOTTIME),
https://man7.org/linux/man-pages/man4/random.4.html (boot_id)
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, ValidationError

from app.domain.document import adapter_of
from app.errors import ClockJumpedError
from app.storage.failures import translated
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


# A clock is corrected by less, and a machine that was stopped for less does no harm.
TOLERANCE: Final = timedelta(minutes=10)
# Backups of machines that share a directory may differ by so much.
FUTURE: Final = timedelta(minutes=5)
_NAME: Final = "witness.json"
# What is longer than some centuries was damaged, and beyond what a calendar can count.
_MOST_SECONDS: Final = 1e10
_MAX_BYTES: Final = 4096
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_HINT: Final = (
    "Set the clock right; or, when it is, run 'backstay backup prune --accept-clock'."
    " Until then no backup is deleted by its age."
)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """
    One reading of both clocks.

    Attributes:
        boot_id: Which start of the machine it was.
        boot_seconds: How long ago that was.
        at: What the clock said.
        accepted: Newest backup at the time when the clock was accepted; its own time may be wrong.
    """

    boot_id: str
    boot_seconds: Annotated[float, Field(ge=0, le=_MOST_SECONDS)]
    at: AwareDatetime
    accepted: str = ""


def boot_id() -> str:
    """Name this start of the machine; empty where the kernel does not tell."""
    with translated(_BOOT_ID.name):
        return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def boot_seconds() -> float:
    """Return the seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class BootClock:
    """Clocks that only tests replace."""

    boot_id: Callable[[], str] = boot_id
    seconds: Callable[[], float] = boot_seconds


class ClockWitness:
    """The witness of one state directory."""

    def __init__(
        self,
        state_directory: Path,
        now: Callable[[], datetime],
        boot: BootClock | None = None,
        kernel: Kernel = KERNEL,
    ) -> None:
        self._directory = LocalDirectory(state_directory / "clock", kernel)
        self._now = now
        self._boot = boot or BootClock()

    def record(self, made: Mapping[str, datetime]) -> None:
        """Check the clock, and record its reading; raises what `check` raises, and StorageError."""
        self._write(self.check(made))

    def check(self, made: Mapping[str, datetime]) -> ClockReading:
        """
        Ask whether the clock can be right.

        Args:
            made: When each backup was made that there is, by its id.

        Returns:
            The reading of now, for `record` to write.

        Raises:
            ClockJumpedError: It cannot; what was recorded stays as it is.
            StorageError: The state directory cannot be read.
        """
        reading, known = self._reading(), self._read()
        if known is not None:
            _require_steady(known, reading)
            reading = replace(reading, accepted=known.accepted)
        last = max((at for name, at in made.items() if name > reading.accepted), default=reading.at)
        if last > reading.at + FUTURE:
            raise ClockJumpedError(
                f"the clock says {_told(reading.at)}, and a backup was made at {_told(last)}",
                hint=_HINT,
            )
        return reading

    def accept(self, made: Mapping[str, datetime]) -> None:
        """Take what the clock says as right, whatever backups say; raises StorageError."""
        self._write(replace(self._reading(), accepted=max(made, default="")))

    def _reading(self) -> ClockReading:
        return ClockReading(self._boot.boot_id(), self._boot.seconds(), self._now())

    def _read(self) -> ClockReading | None:
        data = self._directory.find(_NAME, _MAX_BYTES)
        if data is None:
            return None
        try:
            return adapter_of(ClockReading).validate_json(data)
        except ValidationError as exc:
            raise ClockJumpedError(f"{_NAME}: cannot be understood", hint=_HINT) from exc

    def _write(self, reading: ClockReading) -> None:
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(_NAME, adapter_of(ClockReading).dump_json(reading))


def _require_steady(known: ClockReading, reading: ClockReading) -> None:
    """Refuse a clock that has not moved as the other one has; raises ClockJumpedError."""
    if known.boot_id == reading.boot_id and reading.boot_id:
        passed = timedelta(seconds=reading.boot_seconds - known.boot_seconds)
        wrong = reading.at - known.at - passed
    else:
        wrong = min(reading.at - known.at, timedelta())  # time has passed, nobody knows how much
    if abs(wrong) > TOLERANCE:
        raise ClockJumpedError(
            f"the clock says {_told(reading.at)}; it was set {'ahead' if wrong > timedelta() else 'back'}"
            f" by {abs(wrong).total_seconds() / 60:,.0f} minutes since {_told(known.at)}",
            hint=_HINT,
        )


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
