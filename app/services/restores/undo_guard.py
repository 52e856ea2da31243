"""The guard of an undo: what a restore has kept must be as it left it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.restores.journal import Journal
from app.engine.flavor import LOAD_SESSION
from app.engine.load.inventory import fingerprints_of, read_printed
from app.engine.rows.chunks import reading_state
from app.engine.rows.proof import digest_rows
from app.engine.schema.databases import list_tables
from app.engine.schema.marks import read_marks
from app.engine.schema.tables import Table, read_tables
from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.swap.gate import begin_snapshot
from app.services.restores.guard import (
    WRITTEN,
    Waiting,
    iter_touched,
    refuse,
    require_same,
)


_UNNOTED: Final = "an older version made the restore: whether others wrote to the tables that it kept is not known"
_FORGOTTEN: Final = (
    "the server does not remember any more when kept tables were last written to, as after its restart:"
    " whether others wrote to them meanwhile is not known"
)
_DIGEST_BYTES: Final = 1 << 20
# A table that was written to later than that was written to under another clock.
_MOST_SECONDS_AHEAD: Final = 2


class UndoGuard:
    """Guards what an earlier swap keeps, by what was noted of it then."""

    def __init__(self, server: Server, journal: Journal, waiting: Sequence[Waiting]) -> None:
        self.waiting = waiting
        self.warnings: list[str] = []
        self._server = server
        self._journal = journal
        self._earlier: Session | None = None

    @classmethod
    async def of(cls, server: Server, session: Session, journal: Journal) -> "UndoGuard":
        """Take what was noted of the tables that a swap keeps; what was not is taken as it is now."""
        waiting, unknown = [], False
        for swap in journal.swaps:
            marks = swap.kept_marks
            if swap.outgoing and not marks:  # a journal of an older version
                marks, unknown = await read_marks(session, swap.kept), True
            waiting.append(Waiting(swap.kept, swap.target, marks, {}))
        guard = cls(server, journal, waiting)
        if unknown:
            guard.warnings.append(_UNNOTED)
        return guard

    @property
    def session_state(self) -> Mapping[str, str]:
        """Return the state in which rows are read."""
        return reading_state(LOAD_SESSION, _DIGEST_BYTES)

    @property
    def wants_fence(self) -> bool:
        """Tell that the times of writes are enough."""
        return False

    async def check(self, session: Session) -> None:
        """
        Compare what is kept with what was noted, and remember how it looks.

        Raises:
            StagingChangedError: It is not the same.
        """
        await self.close()
        await self._await_next_second(session)
        self._earlier = await self._server.open(self.session_state)
        await begin_snapshot(self._earlier)
        forgotten = False
        places = {waiting.source: waiting.target for waiting in self.waiting}
        for waiting in self.waiting:
            now = await require_same(session, waiting)
            tables = await list_tables(session, waiting.source)
            # Once: what is compared with the notes here is what must come.
            printed = await read_printed(session, tables)
            definitions = fingerprints_of(printed)
            for name, mark in now.items():
                noted = waiting.marks[name]
                if 0 < self._journal.renamed_at < mark.updated:
                    refuse(waiting.target, name, WRITTEN)
                if noted.definition not in {"", definitions.get(name)}:
                    refuse(waiting.target, name, "was defined otherwise by others")
                forgotten |= mark.updated < noted.updated
            waiting.sure = {name for name, mark in now.items() if mark.updated}
            waiting.definitions = fingerprints_of(printed, places)
        if forgotten:
            self.warnings.append(_FORGOTTEN)

    async def _await_next_second(self, session: Session) -> None:
        """Let the second pass in which a table was last written to: another write in it would not show."""
        clock, newest = await ServerClock.read(session), 0
        for waiting in self.waiting:
            marks = await read_marks(session, waiting.source)
            newest = max([newest, *(mark.updated for mark in marks.values())])
        if 0 <= (ahead := newest - clock.earliest()) <= _MOST_SECONDS_AHEAD:
            await asyncio.sleep(ahead + 1)

    async def prove(self, session: Session, snapshot: Session) -> list[str]:
        """
        Compare what came with what was kept.

        Returns:
            Warnings: what is not known of the tables.

        Raises:
            StagingChangedError: It is not the same.
        """
        assert self._earlier is not None  # noqa: S101 - `check` comes before
        try:
            for waiting in self.waiting:
                async for touched in iter_touched(session, waiting):
                    tables = await read_tables(session, [waiting.target]) if touched else []
                    for table in tables:
                        if table.name in touched and table.has_rows:
                            await self._compare(snapshot, waiting, table)
        finally:
            await self.close()  # its locks would be in the way of the RENAME back
        return self.warnings

    async def _compare(self, snapshot: Session, waiting: Waiting, table: Table) -> None:
        """Compare the rows of a table before and at the RENAME."""
        assert self._earlier is not None  # noqa: S101 - as above
        if table.is_unsafe:  # of some, files tell of the last write once they are closed
            if table.name in waiting.sure:
                refuse(waiting.target, table.name, WRITTEN)
            return
        before = await digest_rows(self._earlier, table, _DIGEST_BYTES)
        if await digest_rows(snapshot, table, _DIGEST_BYTES) != before:
            refuse(waiting.target, table.name, WRITTEN)

    async def close(self) -> None:
        """Close what it has opened."""
        if self._earlier is not None:
            await self._earlier.close()
        self._earlier = None
