"""What a run reports while it works."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """The steps of a run, in the words shown to people."""

    CONNECT = "connect"
    SNAPSHOT = "snapshot"
    INSPECT = "inspect"
    DUMP = "dump"
    VERIFY = "verify"
    PUBLISH = "publish"
    PREFLIGHT = "preflight"
    LOAD = "load"
    INDEX = "index"
    PROVE = "prove"
    OBJECTS = "objects"
    RECOVERY_POINT = "recovery point"
    SWAP = "swap"
    COMPARE = "compare"
    SCRATCH = "scratch server"
    REPLAY = "replay"


# A rate over less time says nothing.
_LEAST_SECONDS: Final = 0.2
# Enough for a run that begins again some times; what never ends must not grow.
_MOST_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class JournalLine:
    """
    Something that happened in a run.

    Attributes:
        elapsed: Seconds since the run began, when it was first reported.
        text: A phase that began, or what went otherwise than usual; no secret and no row of data.
    """

    elapsed: float
    text: str


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """
    The counters of a run at one moment.

    Attributes:
        journal: What happened so far, oldest first; at most 200 lines.
        bytes_per_second: Uncompressed SQL since the phase began; 0 while unknown.
        seconds_left: Of this phase, estimated; None while unknown.
        elapsed: Seconds since the run began.
    """

    phase: str
    table: str
    tables_done: int
    tables_total: int
    rows_done: int
    rows_total: int
    bytes_done: int
    bytes_total: int
    bytes_per_second: float
    seconds_left: float | None
    elapsed: float
    journal: tuple[JournalLine, ...] = ()


class Pace:
    """Bytes a second since the current phase began."""

    def __init__(self, now: float) -> None:
        self._phase: Phase | None = None
        self._run_began = self._began = self._reported = now
        self._seen = 0
        self._journal: list[JournalLine] = []

    def rate(self, progress: "Progress", now: float) -> float:
        """
        Measure the speed.

        Args:
            progress: The counters.
            now: Seconds on a clock that never goes back, the same for every call.

        Returns:
            Bytes a second; 0 while unknown.
        """
        if progress.phase is not self._phase or progress.bytes_done < self._seen:
            # What has moved did so some time after the last report; too slow a rate promises nothing.
            idle = progress.bytes_done == 0
            self._phase, self._began = (
                progress.phase,
                now - _LEAST_SECONDS if idle else self._reported,
            )
        self._seen, self._reported = progress.bytes_done, now
        return progress.bytes_done / max(now - self._began, _LEAST_SECONDS)

    def report(self, progress: "Progress", now: float) -> ProgressReport:
        """Return the counters as they are now."""
        rate = self.rate(progress, now)
        left = progress.bytes_total - progress.bytes_done
        known = progress.bytes_done > 0 and left > 0 and rate >= 1
        elapsed = round(now - self._run_began, 3)
        news = progress.journal[len(self._journal) :]
        self._journal += [JournalLine(elapsed, text) for text in news]
        return ProgressReport(
            phase=progress.phase,
            table=progress.table,
            tables_done=progress.tables_done,
            tables_total=progress.tables_total,
            rows_done=progress.rows_done,
            rows_total=progress.rows_total,
            bytes_done=progress.bytes_done,
            bytes_total=progress.bytes_total,
            bytes_per_second=round(rate, 1),
            seconds_left=round(left / rate, 1) if known else None,
            elapsed=elapsed,
            journal=tuple(self._journal),
        )


@dataclass(slots=True)
class Progress:
    """
    Live counters of one run; written by the engine, read by whoever shows them.

    Attributes:
        phase: Current step.
        table: Table last touched, for people.
        tables_done: Tables finished.
        tables_total: Tables in all; 0 while unknown.
        rows_done: Rows moved.
        rows_total: Estimate before a dump, exact before a load.
        bytes_done: Uncompressed SQL bytes moved.
        bytes_total: Estimate or exact as for rows; 0 while unknown.
        backup_id: Backup that is made or read; empty while unknown.
        restore_id: Restore that is made; empty while unknown.
        journal: Phases that began, and what went otherwise than usual, oldest first.
        listener: Called after every change, in any thread; must return at once and never raise.
    """

    phase: Phase = Phase.CONNECT
    table: str = ""
    tables_done: int = 0
    tables_total: int = 0
    rows_done: int = 0
    rows_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    backup_id: str = ""
    restore_id: str = ""
    journal: list[str] = field(default_factory=list, repr=False)
    listener: Callable[["Progress"], None] | None = field(default=None, repr=False)

    def name(self, *, backup_id: str = "", restore_id: str = "") -> None:
        """Say what the run is about, as soon as that has a name."""
        self.backup_id, self.restore_id = backup_id or self.backup_id, restore_id or self.restore_id
        self._changed()

    def within(self) -> "Progress":
        """Return counters for a part of the run, which show as its own; names that it gives do not."""
        seen = 0

        def follow(part: "Progress") -> None:
            nonlocal seen
            self.phase, self.table = part.phase, part.table
            self.tables_done, self.tables_total = part.tables_done, part.tables_total
            self.rows_done, self.rows_total = part.rows_done, part.rows_total
            self.bytes_done, self.bytes_total = part.bytes_done, part.bytes_total
            news, seen = part.journal[seen:], len(part.journal)
            self.journal += news[: max(0, _MOST_LINES - len(self.journal))]
            self._changed()

        return Progress(listener=follow)

    def enter(self, phase: Phase) -> None:
        """Begin a step."""
        self.phase = phase
        self.note(phase)

    def note(self, text: str) -> None:
        """Keep that something happened; no secret and no row of data."""
        if len(self.journal) < _MOST_LINES:
            self.journal.append(text)
        self._changed()

    def expect(self, *, tables: int, rows: int, size: int) -> None:
        """Set the totals and begin counting from zero."""
        self.tables_total, self.rows_total, self.bytes_total = tables, rows, size
        self.tables_done = self.rows_done = self.bytes_done = 0
        self._changed()

    def moved(self, table: str, *, rows: int, size: int) -> None:
        """Count rows and bytes of a table."""
        self.table = table
        self.rows_done += rows
        self.bytes_done += size
        self._changed()

    def finished_table(self, table: str) -> None:
        """Count a table."""
        self.table = table
        self.tables_done += 1
        self._changed()

    def _changed(self) -> None:
        if self.listener is not None:
            self.listener(self)
