"""
Guards of a swap: only what was proven comes.

1. Before the RENAME each table that waits must be as it was found: the same one, not changed, not
   written to, and none beside it. Else the swap is refused, and nothing live was touched.
2. The RENAME is held when it has all of them, and a snapshot is opened (`app.engine.swap.gate`).
3. After it each table must be the same one still, defined as before. One that may have been written to
   since the proof, by others before the RENAME or by the application after it, is compared once more, as
   it was in the snapshot. A difference fails the swap, which is reversed.

Not guaranteed: of engines without snapshots the rows are compared as they are then. Where this user may
set read_only the application is kept away until that is done; else what it writes at once fails the
restore. Without the PROCESS privilege nobody sees MariaDB's table ids: their place is taken by rows and
definitions, and after a crash by names.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from app.domain.backups.manifest import Manifest
from app.domain.restores.journal import TableMark
from app.domain.restores.load import DatabaseLoad
from app.engine.flavor import LOAD_SESSION
from app.engine.load.inventory import read_fingerprints
from app.engine.load.load import Load
from app.engine.rows.chunks import reading_state
from app.engine.rows.proof import prove_tables
from app.engine.schema.databases import list_tables
from app.engine.schema.marks import is_one, is_same, read_marks
from app.engine.schema.tables import Table, has_rows
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.swap.gate import Gate
from app.engine.swap.rename import Move, last_to_come, rename
from app.errors import ProofFailedError, StagingChangedError, StatementError


# Well below what MariaDB holds open unless told otherwise (table_definition_cache = 400).
_BATCH: Final = 200
_NO_SUCH_TABLE: Final = 1146
WRITTEN: Final = "was written to by others"
# Engines that do not tell whether that was before or after the swap.
_WRITTEN_ABOUT: Final = "was written to by others, or by the application as soon as it came,"
_HINT: Final = (
    "The live data is as it was. Find out who may write to schemas with __bk_ in their name."
)


@dataclass(slots=True)
class Waiting:
    """
    Tables of one database that wait to change places.

    Attributes:
        source: Where they wait.
        target: Where they go.
        marks: As they were when they were proven.
        definitions: Fingerprints by name, of those that a RENAME does not change.
        sure: Names of those whose last write the server knew, and of which it was read later.
    """

    source: str
    target: str
    marks: Mapping[str, TableMark]
    definitions: Mapping[str, str]
    sure: Collection[str] = ()


class Guard(Protocol):
    """What a swap asks before and after its RENAME."""

    waiting: Sequence[Waiting]

    @property
    def session_state(self) -> Mapping[str, str]:
        """Return the state of the connection that gets the snapshot."""
        ...

    @property
    def wants_fence(self) -> bool:
        """Tell whether nobody should write between the RENAME and the proof."""
        ...

    async def check(self, session: Session) -> None:
        """Refuse the RENAME when tables that wait are not as they were proven."""
        ...

    async def prove(self, session: Session, snapshot: Session) -> list[str]:
        """Refuse what came when it is not what was proven; return warnings."""
        ...


def waiting_tables(load: Load, loads: Sequence[DatabaseLoad]) -> list[Waiting]:
    """List what a load has brought, and refuse what others put beside it."""
    found = []
    for database in loads:
        settled = load.settled[database.place]
        names = {
            table.name
            for table in database.entry.tables
            if (database.entry.name, table.name) not in load.left_out
        }
        _require_names(database.target, names, settled.marks)
        definitions = {
            name: digest
            for name, digest in settled.definitions.items()
            if name not in load.unfinished
        }
        found.append(
            Waiting(database.place, database.target, settled.marks, definitions, settled.sure)
        )
    return found


class RestoreGuard:
    """Guards what a restore has loaded, by the backup's own digests."""

    def __init__(
        self,
        manifest: Manifest,
        loads: Sequence[DatabaseLoad],
        load: Load,
        *,
        proves_rows: bool,
    ) -> None:
        """
        Take what was proven.

        Raises:
            StagingChangedError: Tables are missing, or others put some beside them.
        """
        self.waiting: Sequence[Waiting] = waiting_tables(load, loads)
        self._manifest = manifest
        self._loads = loads
        self._proves_rows = proves_rows

    @property
    def session_state(self) -> Mapping[str, str]:
        """Return the state in which the proof reads."""
        return reading_state(LOAD_SESSION, self._manifest.options.chunk_bytes)

    @property
    def wants_fence(self) -> bool:
        """Tell whether there are tables without snapshots."""
        return self._proves_rows and any(
            Table(load.target, entry).is_unsafe
            for load in self._loads
            for entry in load.entry.tables
        )

    async def check(self, session: Session) -> None:
        """
        Compare what waits with what was proven.

        Raises:
            StagingChangedError: It is not the same.
        """
        for waiting in self.waiting:
            await require_same(session, waiting)

    async def prove(self, session: Session, snapshot: Session) -> list[str]:
        """
        Compare what came with what was proven.

        Args:
            session: Sees what is live now.
            snapshot: Sees the moment of the RENAME.

        Returns:
            Warnings: what is not known.

        Raises:
            StagingChangedError: It is not the same.
        """
        for load, waiting in zip(self._loads, self.waiting, strict=True):
            tables = {entry.name: Table(load.target, entry) for entry in load.entry.tables}
            async for touched in iter_touched(session, waiting):
                some = [tables[name] for name in sorted(touched)] if self._proves_rows else []
                mute = [table for table in some if table.is_unsafe]
                sound = [table for table in some if not table.is_unsafe]
                await self._prove(snapshot, load, sound, WRITTEN)
                await self._prove(snapshot, load, mute, _WRITTEN_ABOUT)
        return []

    async def _prove(
        self, snapshot: Session, load: DatabaseLoad, tables: Sequence[Table], what: str
    ) -> None:
        """Compare the rows of tables that came; a difference may end the connection."""
        named = [(load.entry.name, table) for table in tables]
        try:
            await prove_tables([snapshot], self._manifest, named)
        except ProofFailedError as exc:
            raise StagingChangedError(f"{exc}; it {what} after it was proven", hint=_HINT) from exc
        for table in tables:
            came_empty = not table.entry.holds_rows and table.has_rows
            if came_empty and await has_rows(snapshot, table.ref):
                refuse(load.target, table.name, what)


async def rename_guarded(
    server: Server, session: Session, moves: Sequence[Move], guard: Guard, *, at_once: int
) -> list[str]:
    """
    Move tables, and prove that those that come are those that were proven.

    Args:
        server: Gives the connections that watch.
        session: Renames.
        moves: What is left of a swap.
        guard: Knows what was proven.
        at_once: As for `rename`.

    Returns:
        Warnings.

    Raises:
        StagingChangedError: They are not; nothing was moved, or everything was.
        TablesInUseError: Others hold a lock; nothing was moved by that statement.
        StatementError: The server refused.
        DatabaseError: It may have happened or not.
    """
    sources = {waiting.source for waiting in guard.waiting}
    last = last_to_come(moves, sources, at_once)
    if last is None:
        await rename(session, moves, at_once=at_once)
        return []
    is_whole = True
    for waiting in guard.waiting:
        coming = {move.name for move in moves if move.database == waiting.source}
        if strange := sorted(coming - set(waiting.marks)):
            refuse(waiting.target, strange[0], "was put there by others")
        is_whole = is_whole and len(coming) == len(waiting.marks)
    if is_whole:  # else some have come by an earlier try
        await guard.check(session)
    async with server.session(guard.session_state) as snapshot:
        gate = Gate(server, session, snapshot)
        try:
            await gate.rename(moves, last, at_once=at_once)
        except StatementError as exc:
            if exc.errno == _NO_SUCH_TABLE:
                message = f"a table was dropped by others just before the swap: {exc}"
                raise StagingChangedError(message, hint=_HINT) from exc
            raise
        return await guard.prove(session, snapshot)


# -- comparisons ----------------------------------------------------------------------------------


async def require_same(session: Session, waiting: Waiting) -> dict[str, TableMark]:
    """
    Compare tables that wait with how they were found.

    Returns:
        How they are now, by name.

    Raises:
        StagingChangedError: One is gone, new, another one, changed, or was written to.
    """
    now = await read_marks(session, waiting.source)
    _require_names(waiting.target, waiting.marks, now)
    for name, mark in waiting.marks.items():
        if not is_one(mark.identity, now[name].identity):
            refuse(waiting.target, name, "was replaced by another table")
        if not is_same(mark, now[name]):
            refuse(waiting.target, name, "was changed or written to by others")
    return now


async def iter_touched(session: Session, waiting: Waiting) -> AsyncIterator[set[str]]:
    """
    Compare tables that came with how they waited, so many at once as the server can hold open.

    Yields:
        Names of those that may have been written to.

    Raises:
        StagingChangedError: One is another one, or is defined otherwise.
    """
    refs = {ref.name: ref for ref in await list_tables(session, waiting.target)}
    names = sorted(waiting.marks)
    for start in range(0, len(names), _BATCH):
        some = names[start : start + _BATCH]
        now = await read_marks(session, waiting.target, some)
        for name in some:
            if name not in now or not is_one(waiting.marks[name].identity, now[name].identity):
                refuse(waiting.target, name, "was replaced by another table")
        known = [refs[name] for name in some if name in waiting.definitions]
        for name, digest in (await read_fingerprints(session, known)).items():
            if waiting.definitions[name] != digest:
                refuse(waiting.target, name, "was defined otherwise by others")
        yield {
            name
            for name in some
            if name not in waiting.sure or now[name].updated != waiting.marks[name].updated
        }


def _require_names(target: str, wanted: Collection[str], there: Collection[str]) -> None:
    if missing := sorted(set(wanted) - set(there)):
        refuse(target, missing[0], "was dropped by others")
    if strange := sorted(set(there) - set(wanted)):
        refuse(target, strange[0], "was put there by others")


def refuse(database: str, name: str, what: str) -> NoReturn:
    """Say what is wrong with a table that was proven."""
    raise StagingChangedError(
        f"table {database}.{name} {what} after it was proven",
        hint=_HINT,
    )
