"""
Who does what next while a backup is loaded.

Each table goes through steps: its rows, its indexes, its proof. A step is a list of units that any
connection may take; the next step opens when all units of the one before are done. A connection
takes the first open unit in the order of the tables, so proof and index building of one table run
beside the loading of the next. A table whose rows go in single file is left to one connection as long
as the others find something else.

The server tells in which second a table was last written, so a proof that begins in a later one shows
that nobody wrote since. A table rests until then when there is other work; a large one, whose proof
would take longer than the second, rests in any case.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session


# How late a connection without work sees that a table has rested.
_LOOK_SECONDS: Final = 0.05
Unit = Callable[[Session], Awaitable[None]]


@dataclass(slots=True)
class TableSteps:
    """
    The steps of one table.

    Attributes:
        steps: Each a list of units; an empty one is passed over.
        finished: Called once when the last step is done.
        single_file: Whether the first step is hardly faster on several connections than on one.
        clock: The server's, if the table rests after its first step.
        is_large: Whether it rests even when there is nothing else to do.
    """

    steps: Sequence[Sequence[Unit]]
    finished: Callable[[], None]
    single_file: bool = False
    clock: ServerClock | None = None
    is_large: bool = False
    _written: int = 0
    _step: int = 0
    _taken: int = 0
    _running: int = 0
    _ended: bool = False

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
        if self._running or self._taken < len(self.steps[self._step]):
            return False
        self._step, self._taken = self._step + 1, 0
        if self.clock is None or self._step > 1 or not any(self.steps[1:]):
            return False
        self._written = self.clock.latest()
        return True

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


@dataclass(slots=True)
class WorkQueue:
    """
    The work on all tables of one load.

    Attributes:
        tables: Those that are not over, in the order in which their units are taken.
    """

    tables: list[TableSteps]
    _resting: deque[TableSteps] = field(default_factory=deque)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def work(self, session: Session) -> None:
        """Be one connection: take units until every table is over."""
        while True:
            async with self._changed:
                while (found := self._take_unit()) is None:
                    if not self.tables and not self._resting:
                        return
                    await self._wait()
            table, unit = found
            await unit(session)
            async with self._changed:
                if table.complete_unit():
                    self._rest(table)
                self._changed.notify_all()

    def _take_unit(self) -> tuple[TableSteps, Unit] | None:
        """Take the first open unit, and remove tables that are over on the way to it."""
        while self._resting and not self._resting[0].is_resting:
            self.tables.insert(0, self._resting.popleft())
        for place, table in enumerate(self.tables):
            if not table.is_crowded and (unit := table.take_unit()) is not None:
                self._remove_over(place)
                return table, unit
        self._remove_over(len(self.tables))
        for table in self.tables:
            if (unit := table.take_unit()) is not None:
                return table, unit
        for place, table in enumerate(self._resting):
            if not table.is_large:  # better than to wait; what was proven too early is proven again
                del self._resting[place]
                self.tables.insert(0, table)
                return self._take_unit()
        return None

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

    def _remove_over(self, before: int) -> None:
        """Remove what is over of the first tables: ten thousand need not be looked at each time."""
        self.tables[:before] = [table for table in self.tables[:before] if not table.is_over]
