"""What a run reports while it works."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


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
        listener: Called after every change; must return at once and never raise.
    """

    phase: Phase = Phase.CONNECT
    table: str = ""
    tables_done: int = 0
    tables_total: int = 0
    rows_done: int = 0
    rows_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    listener: Callable[["Progress"], None] | None = field(default=None, repr=False)

    def enter(self, phase: Phase) -> None:
        """Begin a step."""
        self.phase = phase
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
