"""Which key ranges a table is read in, adapted to the bytes seen."""

from typing import Final, Protocol

from app.engine.rows.queries import TableSql, find_boundary
from app.engine.server.connection import Session
from app.engine.sql.key_ranges import Range


# Rows of a table's first chunk, to learn how long they are.
_FIRST_ROWS: Final = 1000
# Bounds on what one chunk may hold, whatever the estimate says.
_MAX_ROWS: Final = 200_000
# Below this share of the rows a computed range should have held, keys are asked for, not computed.
_SPARSE: Final = 0.5


class Planner(Protocol):
    """Gives out the ranges of one table, in order; calls must not overlap."""

    async def next(self, session: Session) -> Range | None:
        """Return the next range, None when the table is given out."""
        ...

    def learn(self, part: Range, rows: int, size: int, /) -> None:
        """Hear what a range held."""
        ...


def build_planner(sql: TableSql, chunk_bytes: int) -> Planner:
    """Choose how to cut a table that has a key."""
    table = sql.table
    if table.bytes_estimate < chunk_bytes // 4 and table.rows_estimate < _FIRST_ROWS:
        return _Whole()
    return _IntegerRanges(sql, chunk_bytes) if sql.integer_key else _KeyRanges(sql, chunk_bytes)


class _Whole:
    """A small table is one range."""

    def __init__(self) -> None:
        self._given = False

    async def next(self, _session: Session) -> Range | None:
        given, self._given = self._given, True
        return None if given else Range()

    def learn(self, _part: Range, _rows: int, _size: int) -> None:
        """Nothing to learn: there is no second range."""


class _KeyRanges:
    """Ask the server for the key that is one chunk's worth of rows ahead."""

    def __init__(self, sql: TableSql, chunk_bytes: int) -> None:
        self._sql = sql
        self._pace = _Pace(chunk_bytes)
        self._lower: tuple[str, ...] = ()
        self._given = False

    async def next(self, session: Session) -> Range | None:
        if self._given:
            return None
        part = Range(self._lower)
        upper = await find_boundary(session, self._sql, part, self._pace.rows)
        self._lower, self._given = upper, not upper
        return Range(part.lower, upper)

    def learn(self, _part: Range, rows: int, size: int) -> None:
        self._pace.learn(rows, size)


class _IntegerRanges:
    """
    Compute bounds from the density seen; over gaps, ask the server.

    MIN and MAX come from the same snapshot as the rows, so the last range is known; it stays open
    all the same.
    """

    def __init__(self, sql: TableSql, chunk_bytes: int) -> None:
        self._sql = sql
        self._pace = _Pace(chunk_bytes)
        self._density = 1.0
        self._sparse = False
        self._next: int | None = None
        self._last = 0
        self._began = self._given = False

    async def next(self, session: Session) -> Range | None:
        if self._given:
            return None
        lower: tuple[str, ...] = ()
        if not self._began:
            first, last = (await session.texts(self._sql.extent()))[0]
            self._began = True
            if not first:
                self._given = True
                return Range()
            self._next, self._last = int(first), int(last)
        else:
            lower = (str(self._next),)
        upper = await self._upper(session, lower)
        self._given = upper is None
        self._next = upper
        return Range(lower, () if upper is None else (str(upper),))

    async def _upper(self, session: Session, lower: tuple[str, ...]) -> int | None:
        assert self._next is not None  # noqa: S101 - set by the first call
        if self._sparse:
            bound = await find_boundary(session, self._sql, Range(lower), self._pace.rows)
            if not bound:
                return None
            # A composite key repeats its first column; never stand still.
            upper = max(int(bound[0]), self._next + 1)
        else:
            upper = self._next + max(1, int(self._pace.rows / self._density))
        return upper if upper <= self._last else None

    def learn(self, part: Range, rows: int, size: int) -> None:
        self._pace.learn(rows, size)
        if not part.lower or not part.upper:
            return
        width = int(part.upper[0]) - int(part.lower[0])
        density = rows / width if width else 1.0
        self._sparse = density < _SPARSE * self._density or density * _MAX_ROWS < 1
        # Between two probes the density is real, and a dense stretch is computed again.
        self._density = max(density, 1e-9)


class _Pace:
    """How many rows fill one chunk, from the rows seen so far."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self.rows = _FIRST_ROWS

    def learn(self, rows: int, size: int) -> None:
        if rows == 0 or size == 0:
            return
        wanted = self._chunk_bytes * rows // size
        # Grow step by step: the next rows may be longer than these.
        self.rows = max(1, min(wanted, 16 * self.rows, _MAX_ROWS))
