"""
Who does what next while a backup is loaded.

Each table goes through steps: its rows, its indexes, its proof. A step is a list of units that any
connection may take; the next step opens when all units of the one before are done. A connection
takes the first open unit in the order of the tables, so proof and index building of one table run
beside the loading of the next. A table whose rows go in single file is left to one connection as long
as the others find something else. Where that one has more left to do than the others together, all will
wait for it in the end: one connection less works then, since by default there is one more than cores.

The server tells in which second a table was last written, so a proof that begins in a later one shows
that nobody wrote since. A table rests until then when there is other work; a large one, whose proof
would take longer than the second, rests in any case. Its indexes are built meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session


# How late a connection without work sees that a table has rested.
_LOOK_SECONDS: Final = 0.05
Unit = Callable[[Session], Awaitable[None]]


@dataclass(slots=True, eq=False)
class TableSteps:
    """
    The steps of one table.

    Attributes:
        steps: Each a list of units; an empty one is passed over.
        finished: Called once when the last step is done.
        single_file: Whether the first step is hardly faster on several connections than on one.
        clock: The server's, if the table rests after its first step.
        is_large: Whether it rests even when there is nothing else to do.
        weight: How much work it is, beside other tables.
        unrested: Whether the first unit behind the rest needs none.
    """

    steps: Sequence[Sequence[Unit]]
    finished: Callable[[], None]
    single_file: bool = False
    clock: ServerClock | None = None
    is_large: bool = False
    weight: int = 0
    unrested: bool = False
    _units: int = 0
    _done: int = 0
    _written: int = 0
    _step: int = 0
    _taken: int = 0
    _running: int = 0
    _ended: bool = False

    def __post_init__(self) -> None:
        self._units = sum(map(len, self.steps))

    def take_unit(self) -> Unit | None:
        """Take an open unit, None when there is none now."""
        while self._step < len(self.steps):
            units = self.steps[self._step]
            if self._taken < len(units):
                self._taken += 1
                self._running += 1
                return units[self._taken - 1]
            if self._running:
                return None
            self._step, self._taken = self._step + 1, 0
        if not self._ended:
            self._ended = True
            self.finished()
        return None

    def complete_unit(self) -> bool:
        """Count a unit that was taken as done; tell whether the table rests now."""
        self._running -= 1
        self._done += 1
        if self._running or self._taken < len(self.steps[self._step]):
            return False
        self._step, self._taken = self._step + 1, 0
        if self.clock is None or self._step > 1 or not any(self.steps[1:]):
            return False
        self._written = self.clock.latest()
        return True

    @property
    def left(self) -> float:
        """How much of its weight is still to be done, each unit taken for as much."""
        return self.weight * (1 - self._done / self._units) if self._units else 0.0

    @property
    def is_resting(self) -> bool:
        """Tell whether the server may still be in the second in which it was last written."""
        return self.clock is not None and self.clock.earliest() <= self._written

    @property
    def is_crowded(self) -> bool:
        """Tell whether one more connection would wait for another one."""
        return self.single_file and self._step == 0 and self._running > 0

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left to take or wait for."""
        return self._step >= len(self.steps) and not self._running


_Found = tuple[TableSteps, Unit]


@dataclass(slots=True)
class WorkQueue:
    """
    The work on all tables of one load.

    Attributes:
        tables: Those that are not over, in the order in which their units are taken.
        connections: How many work.
    """

    tables: list[TableSteps]
    connections: int
    _left: float = 0.0
    _in_work: list[TableSteps] = field(default_factory=list)
    _resting: deque[TableSteps] = field(default_factory=deque)
    _unrested: deque[TableSteps] = field(default_factory=deque)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self._left = sum(table.left for table in self.tables)

    async def work(self, session: Session) -> None:
        """Be one connection: take units until every table is over."""
        while True:
            async with self._changed:
                while (found := self._take_unit()) is None:
                    if not self.tables and not self._resting:
                        return
                    await self._wait()
            table, unit = found
            self._in_work.append(table)
            await unit(session)
            async with self._changed:
                self._in_work.remove(table)
                self._left -= table.left
                if table.complete_unit():
                    self._rest(table)
                self._left += table.left
                self._changed.notify_all()

    def _take_unit(self) -> _Found | None:
        """Take the unit that a connection is to do next, None when it has to wait."""
        if self._is_enough:
            return None
        while self._resting and not self._resting[0].is_resting:
            self.tables.insert(0, self._resting.popleft())
        return (
            self._take_unrested()
            or self._take_open()
            or self._take_crowded()
            or self._take_resting()
        )

    def _take_unrested(self) -> _Found | None:
        """Take what of a resting table needs no rest."""
        return _first_of([self._unrested.popleft()]) if self._unrested else None

    def _take_open(self) -> _Found | None:
        """Take the first open unit, and remove tables that are over on the way to it."""
        for place, table in enumerate(self.tables):
            if not table.is_crowded and (unit := table.take_unit()) is not None:
                self._remove_over(place)
                return table, unit
        self._remove_over(len(self.tables))
        return None

    def _take_crowded(self) -> _Found | None:
        """Help where connections wait for each other."""
        return _first_of(self.tables)

    def _take_resting(self) -> _Found | None:
        """Go on with a table that rests: better than to wait; what was proven too early is proven again."""
        small = next((table for table in self._resting if not table.is_large), None)
        if small is None:
            return None
        self._resting.remove(small)
        self.tables.insert(0, small)
        return self._take_open()

    @property
    def _is_enough(self) -> bool:
        """Tell whether one connection more would only hold up the one that all will wait for."""
        others = self.connections - 1
        if others < 2 or len(self._in_work) < others:  # noqa: PLR2004 - the one, and one beside it
            return False
        return any(
            table.is_crowded and table.left * others > self._left - table.left
            for table in self._in_work
        )

    async def _wait(self) -> None:
        """Wait for a unit to be completed, or for a table to have rested."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS if self._resting else None):
                await self._changed.wait()

    def _rest(self, table: TableSteps) -> None:
        """Put a table aside whose rows were just written."""
        place = next(place for place, other in enumerate(self.tables) if other is table)
        del self.tables[place]
        self._resting.append(table)
        if table.unrested:
            self._unrested.append(table)

    def _remove_over(self, before: int) -> None:
        """Remove what is over of the first tables: ten thousand need not be looked at each time."""
        self.tables[:before] = [table for table in self.tables[:before] if not table.is_over]


def _first_of(tables: Iterable[TableSteps]) -> _Found | None:
    """Take the first open unit of some tables."""
    for table in tables:
        if (unit := table.take_unit()) is not None:
            return table, unit
    return None
