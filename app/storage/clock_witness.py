"""
A witness of the clock: its last reading, beside that of a clock that nobody can set.

The kernel counts the seconds since the machine was started, also those that it slept. As long as it
is the same start, the clock must have moved by as much; where it did not, somebody has set it. The
witness keeps its reading until the clock is right again, or is told to take it as right.

How long a machine was off nobody knows. A clock that is more than a day ahead after a start is doubted: what
it said last before stays the time by which things are old, until it has gone on for a day without being set
back. One that is wrong for a moment is set right long before. Calls block.

Not guaranteed: a clock that is wrong for longer than a day behind a start is believed then.

Source: https://man7.org/linux/man-pages/man2/clock_gettime.2.html (CLOCK_BOOTTIME),
https://man7.org/linux/man-pages/man4/random.4.html (boot_id)
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, ValidationError

from app.domain.document import adapter_of
from app.errors import ClockJumpedError
from app.storage.failures import translated
from app.storage.local import LocalDirectory


# A clock is corrected by less, and a machine that was stopped for less does no harm.
TOLERANCE: Final = timedelta(minutes=10)
# A machine that was off for less has lost nothing by it, and one whose clock is wrong is set right within it.
_DOUBTED: Final = timedelta(days=1)
# By it nothing is old.
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
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
class Doubt:
    """
    What is doubted of a clock that was far ahead after a start.

    Attributes:
        since: What it said then.
        known: What it had said last before.
    """

    since: AwareDatetime
    known: AwareDatetime


@dataclass(frozen=True, slots=True)
class ClockReading:
    """
    One reading of both clocks.

    Attributes:
        boot_id: Which start of the machine it was.
        boot_seconds: How long ago that was.
        at: What the clock said.
        accepted: Newest backup at the time when the clock was accepted; its own time may be wrong.
        doubt: Why nothing is old by it yet; None = it is believed.
    """

    boot_id: str
    boot_seconds: Annotated[float, Field(ge=0, le=_MOST_SECONDS)]
    at: AwareDatetime
    accepted: str = ""
    doubt: Doubt | None = None


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
    ) -> None:
        self._directory = LocalDirectory(state_directory / "clock")
        self._now = now
        self._boot = boot or BootClock()

    def record(self, made: Mapping[str, datetime]) -> None:
        """Check the clock, and record its reading; raises what `check` raises, and StorageError."""
        with self._locked():
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
            reading = replace(_followed(known, reading), accepted=known.accepted)
        last = max((at for name, at in made.items() if name > reading.accepted), default=reading.at)
        if last > reading.at + FUTURE:
            raise ClockJumpedError(
                f"the clock says {_told(reading.at)}, and a backup was made at {_told(last)}",
                hint=_HINT,
            )
        return reading

    def elapsed(self) -> datetime:
        """
        Return the latest instant that is known to have come; what is deleted by its age goes by it.

        Returns:
            What the clock says, while it can be right and is not doubted; else an earlier instant. Without a
            reading on disk, what the clock says.

        Raises:
            StorageError: The state directory cannot be read.
        """
        reading = self._reading()
        try:
            known = self._read()
        except ClockJumpedError:
            return _LONG_AGO
        if known is None:
            return reading.at
        try:
            reading = _followed(known, reading)
        except ClockJumpedError:
            return min(reading.at, known.at + _passed(known, reading))
        return reading.doubt.known if reading.doubt else reading.at

    def accept(self, made: Mapping[str, datetime]) -> None:
        """Take what the clock says as right, whatever backups say; raises StorageError."""
        with self._locked():
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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others from writing, so that what one has accepted is not forgotten by another."""
        self._directory.prepare()
        with self._directory.locked():
            yield

    def _write(self, reading: ClockReading) -> None:
        self._directory.replace(_NAME, adapter_of(ClockReading).dump_json(reading))


class ElapsedClock:
    """
    The clock of whoever deletes by age: it says the latest instant that is known to have come.

    Its calls block for the length of one small file, and raise StorageError.
    """

    def __init__(self, witness: ClockWitness) -> None:
        self._witness = witness

    def now(self) -> datetime:
        """Return the aware UTC instant; see `ClockWitness.elapsed`."""
        return self._witness.elapsed()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return boot_seconds()


def _followed(known: ClockReading, reading: ClockReading) -> ClockReading:
    """
    Say what is doubted of a reading behind the one that is known.

    Returns:
        The reading.

    Raises:
        ClockJumpedError: The clock has not moved as the other one has.
    """
    doubt, trusted = known.doubt, known.doubt.known if known.doubt else known.at
    if known.boot_id == reading.boot_id and reading.boot_id:
        wrong = reading.at - known.at - _passed(known, reading)
        if abs(wrong) <= TOLERANCE:
            is_over = doubt is None or reading.at - doubt.since >= _DOUBTED
            return replace(reading, doubt=None if is_over else doubt)
        if doubt is None:  # else somebody sets it right
            raise ClockJumpedError(_told_jump(known.at, reading.at, wrong), hint=_HINT)
    elif doubt is not None and reading.at >= known.at - TOLERANCE:
        if reading.at - doubt.since < _DOUBTED:
            return replace(reading, doubt=doubt)
        trusted = known.at  # nobody has set back what it said at the start before
    if reading.at < trusted - TOLERANCE:
        wrong = reading.at - trusted
        raise ClockJumpedError(_told_jump(trusted, reading.at, wrong), hint=_HINT)
    is_far = reading.at - trusted > _DOUBTED
    return replace(reading, doubt=Doubt(reading.at, trusted) if is_far else None)


def _passed(known: ClockReading, reading: ClockReading) -> timedelta:
    """Return how much of the time between two readings was counted; nothing of two starts."""
    if known.boot_id != reading.boot_id or not reading.boot_id:
        return timedelta()
    return timedelta(seconds=reading.boot_seconds - known.boot_seconds)


def _told_jump(known: datetime, at: datetime, wrong: timedelta) -> str:
    return (
        f"the clock says {_told(at)}; it was set {'ahead' if wrong > timedelta() else 'back'}"
        f" by {abs(wrong).total_seconds() / 60:,.0f} minutes since {_told(known)}"
    )


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
