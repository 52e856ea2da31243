"""
Tables that change places, all at once.

`RENAME TABLE a TO b, c TO a, ...` takes any number of tables of any schemas: other sessions see all of
it or nothing, and after a crash of the server all of it or nothing has happened. Everything else here
is around that one statement. What has happened is always read from information_schema: a statement
whose answer was lost may have been executed.

Sources: mariadb.com/kb/en/rename-table, /atomic-ddl (10.6: InnoDB, Aria, MyISAM),
dev.mysql.com/doc/refman/8.4/en/rename-table.html, /atomic-ddl.html.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from app.domain.restores.journal import SchemaSwap, TableMark
from app.engine.schema.marks import is_certain, is_one, read_marks
from app.engine.schema.objects import read_trigger_tables
from app.engine.schema.tables import TableRef, show_definition
from app.engine.server.connection import Session
from app.engine.server.grants import read_grants
from app.engine.sql.ddl import utf8_only
from app.engine.sql.quoting import qualified, quote, quote_text, same_name
from app.engine.sql.references import sequence_defaults, with_sequences_in
from app.engine.swap.left_over import LEFT_OVER_HINT, is_left_over
from app.errors import (
    AlreadyRunningError,
    AppError,
    IncompatibleServerError,
    StatementError,
    TablesInUseError,
)


# How long one try may make new statements of others wait behind it: the wait for a table's lock queues
# them up.
LOCK_SECONDS: Final = 3
# A server that is silent lets locks go itself, once it has noticed.
_RELEASE_SECONDS: Final = 5.0
# InnoDB makes its list of transactions anew only so often.
_POLL_SECONDS: Final = 0.1
_LOCK_TIMEOUT: Final = 1205
# Bytes of the statement beside its tables: two qualified names of at most 64 characters each part.
_OVERHEAD: Final = 1100


@dataclass(frozen=True, slots=True)
class Move:
    """One table of a RENAME."""

    database: str
    name: str
    to: str

    @property
    def sql(self) -> str:
        """Return its part of the statement."""
        return f"{qualified(self.database, self.name)} TO {qualified(self.to, self.name)}"


# -- names and locks ------------------------------------------------------------------------------


@asynccontextmanager
async def hold_locks(
    session: Session, databases: Iterable[str], *, seconds: int = 0
) -> AsyncIterator[None]:
    """
    Lock databases against other restores for a block, or until the session dies in it.

    Raises:
        AlreadyRunningError: Another restore holds one of them.
    """
    for database in sorted(set(databases)):
        if await session.scalar(f"SELECT GET_LOCK({_lock(database)}, {seconds})") != "1":
            raise AlreadyRunningError(
                f"another restore works on database {database!r}",
                hint="Wait for its end. After a crash its connection ends within moments.",
            )
    try:
        yield
    finally:
        # Whoever comes next need not wait until the server has noticed that the connection is closed.
        with suppress(AppError, TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await session.query("DO RELEASE_ALL_LOCKS()")


async def is_locked(session: Session, database: str) -> bool:
    """Tell whether a restore works on a database."""
    return bool(await session.scalar(f"SELECT IS_USED_LOCK({_lock(database)})"))


def _lock(database: str) -> str:
    return quote_text("backstay:" + hashlib.sha256(database.encode()).hexdigest()[:32])


# -- databases and tables -------------------------------------------------------------------------


async def list_triggers(session: Session, swap: SchemaSwap) -> set[str]:
    """List the triggers of the outgoing tables; RENAME refuses tables with triggers (1435)."""
    tables = await read_trigger_tables(session, swap.target)
    outgoing = frozenset(swap.outgoing)
    return {name for name, table in tables.items() if table in outgoing}


# -- the RENAME -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """
    Where the tables of swaps are.

    Attributes:
        left: Moves that have not been made.
        made: How many have.
        lost: Labels of tables that are nowhere, or in whose place is another one.
    """

    left: list[Move] = field(default_factory=list)
    made: int = 0
    lost: list[str] = field(default_factory=list)


async def find_standing(session: Session, swaps: Sequence[SchemaSwap]) -> Standing:
    """
    Find out by the identity of each table whether it has changed places.

    Absence alone shows nothing: a table that is not where it waited may have been dropped. Where no
    identity was noted, or none can be seen now, names tell.

    Returns:
        Nothing made before the RENAME, nothing left after it; both only where a server without atomic
        DDL died in the middle, or a new database came in parts.
    """
    standing = Standing()
    for swap in swaps:
        waiting, live, kept = [
            await read_marks(session, name) for name in (swap.source, swap.target, swap.kept)
        ]
        come: set[str] = set()
        for name in swap.incoming:
            noted = swap.incoming_ids.get(name, "")
            if _is_there(waiting, name, noted):
                standing.left.append(Move(swap.source, name, swap.target))
            elif _is_there(live, name, noted) and (
                is_certain(noted) or name in kept or name not in swap.outgoing
            ):
                come.add(name)
            else:
                standing.lost.append(f"{swap.target}.{name}")
        gone = {
            name for name in swap.outgoing if _is_there(kept, name, swap.outgoing_ids.get(name, ""))
        }
        standing.left[:0] = [  # a name must be free before another table takes it
            Move(swap.target, name, swap.kept)
            for name in swap.outgoing
            if name not in gone and name not in come and name in live
        ]
        standing.made += len(come) + len(gone)
    return standing


def _is_there(marks: Mapping[str, TableMark], name: str, identity: str) -> bool:
    return name in marks and is_one(identity, marks[name].identity)


def all_moves(swaps: Sequence[SchemaSwap]) -> list[Move]:
    """List the moves of swaps, old tables before new ones."""
    return [
        move
        for swap in swaps
        for move in (
            *(Move(swap.target, name, swap.kept) for name in swap.outgoing),
            *(Move(swap.source, name, swap.target) for name in swap.incoming),
        )
    ]


def last_to_come(moves: Sequence[Move], sources: Collection[str], at_once: int) -> Move | None:
    """
    Find the table among those that come by the last statement whose lock the server takes last.

    Returns:
        Its move; None when no table comes.
    """
    start = (len(moves) - 1) // at_once * at_once if moves and at_once else 0
    coming = [move for move in moves[start:] if move.database in sources]
    return max(coming, key=lambda move: (move.database.encode(), move.name.encode()), default=None)


async def rename(
    session: Session, moves: Sequence[Move], *, at_once: int = 0, besides: str = ""
) -> None:
    """
    Move tables, all in one statement, or so many at once.

    Args:
        session: Renames.
        moves: What.
        at_once: How many at once; 0 = all.
        besides: What the last statement renames as well, as SQL.

    Raises:
        TablesInUseError: Others hold a lock; nothing was moved by that statement.
        StatementError: The server refused; nothing was moved by that statement.
        ConnectionLostError: It may have happened or not.
    """
    step = at_once or len(moves) or 1
    for start in range(0, len(moves), step):
        parts = [move.sql for move in moves[start : start + step]]
        if besides and start + step >= len(moves):
            parts.append(besides)
        names = ", ".join(parts)
        try:
            with lock_waits_translated():  # the server needs some milliseconds for each table
                await session.query(f"RENAME TABLE {names}", no_timeout=True)
        except StatementError as exc:
            if not is_left_over(exc):
                raise
            raise StatementError(str(exc), errno=exc.errno, hint=LEFT_OVER_HINT) from exc


async def require_packet(session: Session, moves: Sequence[Move]) -> None:
    """
    Refuse a RENAME that the server would not read.

    Raises:
        IncompatibleServerError: It is longer than max_allowed_packet.
    """
    size = sum(len(move.sql.encode()) + 2 for move in moves)
    packet = int(await session.scalar("SELECT @@GLOBAL.max_allowed_packet"))
    if size + _OVERHEAD > packet:
        raise IncompatibleServerError(
            f"the RENAME of {len(moves)} tables takes {size} bytes, max_allowed_packet is {packet}",
            hint=f"SET GLOBAL max_allowed_packet = {2 * size}; as an administrator, then again.",
        )


@contextmanager
def lock_waits_translated() -> Iterator[None]:
    """
    Translate the error of a statement that waited for others' locks in vain.

    Raises:
        TablesInUseError: Others hold a lock.
        StatementError: The server refused for another reason.
    """
    try:
        yield
    except StatementError as exc:
        if exc.errno != _LOCK_TIMEOUT:
            raise
        raise TablesInUseError(
            f"others have held locks on the tables for {LOCK_SECONDS} s",
            hint="The live data is as it was. Look for long transactions in SHOW PROCESSLIST.",
        ) from exc


async def await_snapshots(session: Session) -> int:
    """
    Wait, but not for long, until the transactions that are open now have ended.

    InnoDB refuses a table to a snapshot from before its creation (1412), but shows it half loaded to
    one that was opened while rows came in, if that first reads it after the RENAME.

    Returns:
        How many are still open.

    Raises:
        PermissionDeniedError: PROCESS is missing.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    waiting = await _transactions(session)
    while waiting and loop.time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        waiting &= await _transactions(session)
    return len(waiting)


async def _transactions(session: Session) -> set[tuple[str, ...]]:
    """List the transactions of others that keep a snapshot; their ids change when they first write."""
    return set(
        await session.texts(
            "SELECT trx_mysql_thread_id, trx_started FROM information_schema.INNODB_TRX"
            " WHERE trx_isolation_level IN ('REPEATABLE READ', 'SERIALIZABLE')"
            " AND trx_mysql_thread_id <> CONNECTION_ID()"
        )
    )


# -- the fence ------------------------------------------------------------------------------------


async def may_fence(session: Session) -> bool:
    """Tell whether this user may set read_only, and may write all the same."""
    grants = await read_grants(session)
    return any(grants.allows(right) for right in session.flavor.fence_rights)


async def raise_fence(session: Session) -> None:
    """
    Make the server read-only for everybody but administrators.

    Raises:
        TablesInUseError: Others hold explicit table locks.
        PermissionDeniedError: The right is missing after all.
    """
    with lock_waits_translated():
        await session.query("SET GLOBAL read_only = 1")


async def lower_fence(session: Session) -> None:
    """Let everybody write again."""
    await session.query("SET GLOBAL read_only = 0")


# -- after the RENAME -----------------------------------------------------------------------------


async def repoint_defaults(
    session: Session, swap: SchemaSwap, together: Sequence[SchemaSwap]
) -> None:
    """
    Make `DEFAULT nextval()` and the like use the sequences of the targets.

    A default keeps the qualified name that the sequence had when the table was created.

    Args:
        session: Any.
        swap: Whose tables have changed places.
        together: All swaps of the restore: a sequence may be in another database than its table.
    """
    places = {(other.source, name): other.target for other in together for name in other.incoming}
    rows = await session.texts(
        "SELECT DISTINCT TABLE_NAME FROM information_schema.COLUMNS"
        f" WHERE {same_name('TABLE_SCHEMA', swap.target)}"
        " AND COLUMN_DEFAULT RLIKE '(next|last|set)val[(]'"
    )
    # A view shows its table's default as its own.
    for table in sorted({name for (name,) in rows} & set(swap.incoming)):
        ref = TableRef(swap.target, table, engine="")
        # Not the dictionary's text, in which an emoji is four question marks.
        sql = utf8_only(await show_definition(session, ref, sequence=False))
        changes = [
            f"ALTER COLUMN {quote(column)} SET DEFAULT ({own})"
            for column, default in sequence_defaults(sql).items()
            if (own := with_sequences_in(default, places)) != default
        ]
        if changes:  # at once: the server opens what is not replaced
            await session.query(f"ALTER TABLE {ref.sql} {', '.join(changes)}")
