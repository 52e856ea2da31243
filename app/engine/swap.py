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
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from app.domain.recovery import ID_DIGITS, RecoveryId, SchemaSwap
from app.engine.connection import Session
from app.engine.flavor import Flavor
from app.engine.introspect import SCRATCH, TableRef, read_schemas
from app.engine.preflight import is_empty
from app.engine.privileges import read_grants
from app.engine.quoting import qualified, quote, quote_text
from app.errors import (
    AlreadyRunningError,
    IncompatibleServerError,
    StatementError,
    TablesInUseError,
)


# Source: https://mariadb.com/kb/en/identifier-names/#maximum-length
MOST_NAME_CHARACTERS: Final = 64
# How long one try may make new statements of others wait behind it: the wait for a table's lock queues
# them up.
LOCK_SECONDS: Final = 3
# InnoDB makes its list of transactions anew only so often.
_POLL_SECONDS: Final = 0.1
_LOCK_TIMEOUT: Final = 1205
_TABLE_TYPES: Final = "'BASE TABLE', 'SEQUENCE', 'SYSTEM VERSIONED'"
_NEXTVAL: Final = "nextval("


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


def staging_name(database: str, recovery_id: RecoveryId) -> str:
    """Name the schema where new tables wait."""
    return _scratch_name(database, "new", recovery_id)


def kept_name(database: str, recovery_id: RecoveryId) -> str:
    """Name the schema where old tables are kept."""
    return _scratch_name(database, "old", recovery_id)


def scratch_pattern(database: str) -> str:
    r"""Return a GRANT's pattern for the schemas above, such as `shop\_\_bk\_%`."""
    stem = re.sub(r"([_%\\])", r"\\\1", _stem(database))
    return f"{stem}\\_\\_bk\\_%"


def _stem(database: str) -> str:
    return database[: MOST_NAME_CHARACTERS - len("__bk_new_") - ID_DIGITS]


def _scratch_name(database: str, word: str, recovery_id: RecoveryId) -> str:
    name = f"{_stem(database)}__bk_{word}_{recovery_id[-ID_DIGITS:]}"
    assert SCRATCH.search(name)  # noqa: S101 - backups of everything leave such schemas out by it
    return name


async def take_locks(session: Session, databases: Iterable[str], *, seconds: int = 0) -> None:
    """
    Lock databases against other recoveries, for as long as the session lives.

    Raises:
        AlreadyRunningError: Another recovery holds one of them.
    """
    for database in sorted(set(databases)):
        if await session.scalar(f"SELECT GET_LOCK({_lock(database)}, {seconds})") != "1":
            raise AlreadyRunningError(
                f"another restore works on database {database!r}",
                hint="Wait for its end. After a crash its connection ends within moments.",
            )


async def is_locked(session: Session, database: str) -> bool:
    """Tell whether a recovery is at work on a database."""
    return bool(await session.scalar(f"SELECT IS_USED_LOCK({_lock(database)})"))


def _lock(database: str) -> str:
    return quote_text("backstay:" + hashlib.sha256(database.encode()).hexdigest()[:32])


# -- databases and tables -------------------------------------------------------------------------


async def create_database(session: Session, name: str, charset: str, collation: str) -> None:
    """Create a database that must not exist."""
    await session.query(
        f"CREATE DATABASE {quote(name)} DEFAULT CHARACTER SET {charset} COLLATE {collation}"
    )


async def drop_database(session: Session, name: str) -> None:
    """Drop a database of ours, table by table, so that the server never works long on one statement."""
    for table in await table_names(session, name):
        kind = "SEQUENCE" if table.engine == "SEQUENCE" else "TABLE"
        await session.query(f"DROP {kind} IF EXISTS {table.sql}", patient=True)
    await session.query(f"DROP DATABASE IF EXISTS {quote(name)}", patient=True)


async def drop_if_empty(session: Session, name: str) -> list[str]:
    """Drop a database of ours, unless others put something into it; returns a warning then."""
    if not await exists(session, name):
        return []
    if not await is_empty(session, name):
        return [f"database {name!r} was not dropped: it holds something that others made"]
    await drop_database(session, name)
    return []


async def table_names(session: Session, database: str) -> list[TableRef]:
    """List the tables and sequences of a database, broken ones too; a sequence's engine is SEQUENCE."""
    rows = await session.texts(
        "SELECT TABLE_NAME, IF(TABLE_TYPE = 'SEQUENCE', TABLE_TYPE, ENGINE)"
        f" FROM information_schema.TABLES WHERE TABLE_SCHEMA = {quote_text(database)}"
        f" AND TABLE_TYPE IN ({_TABLE_TYPES}) ORDER BY TABLE_NAME"
    )
    return [TableRef(database, name, engine) for name, engine in rows]


async def scratch_databases(session: Session) -> list[str]:
    """List the schemas that recoveries made for themselves."""
    every = await read_schemas(session, (), scratch=True)
    return [one.name for one in every if SCRATCH.search(one.name)]


async def exists(session: Session, database: str) -> bool:
    """Tell whether there is such a database."""
    return any(one.name == database for one in await read_schemas(session, (), scratch=True))


async def trigger_names(session: Session, swap: SchemaSwap) -> set[str]:
    """List the triggers of the outgoing tables; RENAME refuses tables with triggers (1435)."""
    rows = await session.texts(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
        f" WHERE TRIGGER_SCHEMA = {quote_text(swap.target)}"
    )
    outgoing = frozenset(swap.outgoing)
    return {name for name, table in rows if table in outgoing}


# -- the RENAME -----------------------------------------------------------------------------------


async def moves_left(session: Session, swaps: Sequence[SchemaSwap]) -> list[Move]:
    """
    Find out which tables have not changed places yet.

    Returns:
        All of `all_moves` before the RENAME, none after it; others only where a server without atomic
        DDL died in the middle.
    """
    left: list[Move] = []
    for swap in swaps:
        waiting = {one.name for one in await table_names(session, swap.source)}
        kept = {one.name for one in await table_names(session, swap.kept)}
        come = set(swap.incoming) - waiting
        left += [
            Move(swap.target, name, swap.kept)
            for name in swap.outgoing
            if name not in kept and name not in come
        ]
        left += [Move(swap.source, name, swap.target) for name in swap.incoming if name in waiting]
    return left


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


async def rename(session: Session, moves: Sequence[Move], *, at_once: int = 0) -> None:
    """
    Move tables, all in one statement, or so many at once.

    Raises:
        TablesInUseError: Others hold a lock; nothing was moved by that statement.
        StatementError: The server refused; nothing was moved by that statement.
        ConnectionLostError: It may have happened or not.
    """
    step = at_once or len(moves) or 1
    for start in range(0, len(moves), step):
        names = ", ".join(move.sql for move in moves[start : start + step])
        with in_use():  # the server needs some milliseconds for each table
            await session.query(f"RENAME TABLE {names}", patient=True)


async def require_packet(session: Session, moves: Sequence[Move]) -> None:
    """
    Refuse a RENAME that the server would not read.

    Raises:
        IncompatibleServerError: It is longer than max_allowed_packet.
    """
    size = sum(len(move.sql.encode()) + 2 for move in moves)
    packet = int(await session.scalar("SELECT @@GLOBAL.max_allowed_packet"))
    if size + 100 > packet:
        raise IncompatibleServerError(
            f"the RENAME of {len(moves)} tables takes {size} bytes, max_allowed_packet is {packet}",
            hint=f"SET GLOBAL max_allowed_packet = {2 * size}; as an administrator, then again.",
        )


@contextmanager
def in_use() -> Iterator[None]:
    """
    Say it in its own words when a statement waited for others' locks in vain.

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


async def is_read_only(session: Session) -> bool:
    """Tell whether only administrators may write to the server anyway."""
    return await session.scalar("SELECT @@GLOBAL.read_only") != "0"


async def may_fence(session: Session, flavor: Flavor) -> bool:
    """Tell whether this user may set read_only, and may write all the same."""
    grants = await read_grants(session)
    return any(grants.allows(right) for right in flavor.fence_rights)


async def raise_fence(session: Session) -> None:
    """
    Make the server read-only for everybody but administrators.

    Raises:
        TablesInUseError: Others hold explicit table locks.
        PermissionDeniedError: The right is missing after all.
    """
    with in_use():
        await session.query("SET GLOBAL read_only = 1")


async def lower_fence(session: Session) -> None:
    """Let everybody write again."""
    await session.query("SET GLOBAL read_only = 0")


async def point_defaults_home(session: Session, swap: SchemaSwap) -> None:
    """
    Make `DEFAULT nextval()` use the sequences of the target.

    A default keeps the qualified name that the sequence had when the table was created.
    """
    old, new = f"{_NEXTVAL}{quote(swap.source)}.", f"{_NEXTVAL}{quote(swap.target)}."
    rows = await session.texts(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS"
        f" WHERE TABLE_SCHEMA = {quote_text(swap.target)}"
        f" AND LOCATE({quote_text(_NEXTVAL)}, COLUMN_DEFAULT) > 0"
    )
    incoming = set(swap.incoming)
    clauses: dict[str, list[str]] = {}
    for table, column, default in rows:
        if table in incoming and old in default:  # a view shows its table's default as its own
            clause = f"ALTER COLUMN {quote(column)} SET DEFAULT {default.replace(old, new)}"
            clauses.setdefault(table, []).append(clause)
    for table, ones in clauses.items():  # at once: the server opens what is not replaced
        await session.query(f"ALTER TABLE {qualified(swap.target, table)} {', '.join(ones)}")
