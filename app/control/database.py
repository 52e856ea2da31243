"""
The connections to the control database, on SQLite, MariaDB or MySQL.

This package is the only one that knows this database, and `failures` translates its errors.
"""

import asyncio
import fcntl
import logging
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Executable, RowMapping, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, Pool

from app.concurrency import shielded
from app.control.address import VARIABLE, parse_address
from app.control.failures import is_conflict, translated
from app.control.file_reader import ControlFile, FileReader, make_directory
from app.control.schema import HEAD, revision_of, upgrade
from app.errors import ControlUnavailableError
from app.mysql.channel import Exposure
from app.mysql.connection import Connector


if TYPE_CHECKING:
    from aiosqlite import Connection as Aiosqlite


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
# A server that is there answers in milliseconds, and somebody waits for a page.
_CONNECT_SECONDS: Final = 5
# Longer than any wait for a lock; every transaction here has a few short statements.
_TRANSACTION_SECONDS: Final = 20
_LOCK_SECONDS: Final = 5
# How long a start waits for another one that is changing the tables.
_MIGRATION_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.05
# Load balancers and firewalls drop silently what was idle for longer.
_RECYCLE_SECONDS: Final = 300
_ATTEMPTS: Final = 10
_BEGIN: Final = "control_begin"
_PRAGMAS: Final = (
    # NORMAL could lose the last transactions in a power cut, never damage the file; but the newest
    # number of the audit is also kept outside, and would tell of an entry that somebody cut off.
    "PRAGMA synchronous = FULL",
)
# Without strict mode a server would cut what is too long. From 11.6.2 on MariaDB refuses to lock a row that
# has changed since the transaction began (1020): of many that write at once all but one would lose, and most
# of them again, instead of waiting for each other.
# Source: https://mariadb.com/kb/en/innodb-system-variables/#innodb_snapshot_isolation
_FIRST_STATEMENT: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
    f", SESSION innodb_lock_wait_timeout = {_LOCK_SECONDS}"
    " /*M!110402 , SESSION innodb_snapshot_isolation = OFF */"
)


class ControlDatabase:
    """
    The service's own database; connects when it is first used.

    Every method and every block may raise ControlUnavailableError; what a block had written is then
    undone, or unknown when the connection was lost at its very end.
    """

    def __init__(self, address: str, directory: Path) -> None:
        self._url, path, tls = parse_address(address)
        self._connector = Connector(tls, VARIABLE) if tls else None
        self._directory = directory
        self._engine: AsyncEngine | None = None
        self._file = ControlFile(path) if path else None
        self._reader = FileReader(self._url, self._file.require) if self._file else None
        # SQLite has one writer at a time and no queue: tasks of one process had better not race.
        turn: AbstractAsyncContextManager[None] = asyncio.Lock() if self._file else nullcontext()
        self._turn = turn

    @property
    def schema(self) -> str:
        """Name of its database on a server; empty = it is a file."""
        return "" if self._file else str(self._url.database)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees one moment of the database and changes nothing."""
        async with self._transaction(await self._ordinary(), "BEGIN") as connection:
            yield connection

    async def rows(
        self, query: Executable, parameters: Mapping[str, object] | None = None
    ) -> Sequence[RowMapping]:
        """
        Run one query; alone it sees one moment of the database without a transaction.

        Args:
            query: Best one that is made once, for every request of the API runs some.
            parameters: Values of its `bindparam`s.

        Returns:
            All its rows.
        """
        if self._reader is not None:
            with translated():
                await self._follow()
                return await self._reader.rows(query, parameters)
        async with self.reading() as connection:
            return (await connection.execute(query, parameters)).mappings().all()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """
        Open a transaction that is committed when the block ends, and undone when it fails.

        Yields:
            Its connection.

        Raises:
            IntegrityError: A row contradicts another.
        """
        # IMMEDIATE: two that read first and write then would wait for each other for ever.
        begun = self._transaction(await self._ordinary(), "BEGIN IMMEDIATE")
        with translated():
            async with asyncio.timeout(_TRANSACTION_SECONDS), self._turn, begun as connection:
                yield connection

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """
        Run a transaction, again when it lost against another one; to its end, even when cancelled.

        Returns:
            What `work` returned.

        Raises:
            CancelledError: This task was cancelled; what the transaction has written stays.
            ControlUnavailableError: As everywhere; or it lost every time.
            IntegrityError: A row contradicts another.
        """
        # SQLite closes no connection with an open statement: one that was cut off would keep its
        # lock against all others, https://www.sqlite.org/c3ref/close.html
        task = asyncio.create_task(self._write(work))
        try:
            return await asyncio.shield(task)
        finally:
            await asyncio.wait([task])

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                async with self.writing() as connection:
                    return await work(connection)
            except ControlUnavailableError as exc:
                if not is_conflict(exc):
                    raise
            await pause()
        async with self.writing() as connection:
            return await work(connection)

    async def execute(self, statement: Executable) -> int:
        """Run one statement that writes, and return how many rows it found."""

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        return await self.write(work)

    async def prepare(self) -> None:
        """Make the database if it is a file, and bring its tables to the newest version."""
        async with self.reading() as connection:
            found = await connection.run_sync(revision_of)
        if found != HEAD:
            async with self.migrating() as connection:
                await connection.run_sync(upgrade)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction to change the tables in; other processes wait, here or elsewhere."""
        async with AsyncExitStack() as stack:
            stack.enter_context(translated())
            await stack.enter_async_context(_flock(self._directory / "control.lock"))
            engine = self._make_engine(migrating=True)
            stack.push_async_callback(engine.dispose)
            begun = self._transaction(engine, "BEGIN IMMEDIATE", seconds=None)
            connection = await stack.enter_async_context(begun)
            if self._file is None:
                # A server knows no transactions of DDL, and other machines not our lock.
                await _lock_server(connection)
            yield connection

    async def ping(self) -> None:
        """Prove that the database answers."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def exposure(self) -> Exposure | None:
        """Say what is wrong with the way to it, if anything; connects, unless it is a file."""
        if self._connector is None:
            return None
        await self.ping()
        channel = self._connector.channel
        return channel.exposure(VARIABLE) if channel else None

    async def close(self) -> None:
        """Close all connections, those at work when they are done; the next use opens new ones."""
        if self._reader is not None:
            self._reader.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            with translated():
                await engine.dispose()

    @asynccontextmanager
    async def _transaction(
        self, engine: AsyncEngine, begin: str, *, seconds: float | None = _TRANSACTION_SECONDS
    ) -> AsyncIterator[AsyncConnection]:
        pool = engine.pool
        async with AsyncExitStack() as stack:
            stack.enter_context(translated())
            await stack.enter_async_context(asyncio.timeout(seconds))
            # The driver's own timeout ends with the TCP handshake, and loses a cancellation in Python 3.11:
            # https://github.com/python/cpython/issues/86296
            async with asyncio.timeout(_CONNECT_SECONDS):
                connection = await stack.enter_async_context(engine.connect())
            stack.push_async_callback(_end_stray, connection, engine, pool)
            connection = await connection.execution_options(**{_BEGIN: begin})
            _ = await stack.enter_async_context(connection.begin())
            yield connection

    async def _ordinary(self) -> AsyncEngine:
        with translated():
            await self._follow()
            if self._engine is None:
                self._engine = self._make_engine()
        return self._engine

    async def _follow(self) -> None:
        """Let go of a file that is not where it was: what is written to it, nobody would read ever again."""
        if self._file is not None and self._file.is_replaced():
            _log.warning("The file of the control database is another one; it is opened anew")
            self._file.let_go()
            await self.close()

    def _make_engine(self, *, migrating: bool = False) -> AsyncEngine:
        if self._file is None:
            return self._server_engine(migrating=migrating)
        self._file.require()
        pool = {"poolclass": NullPool} if migrating else {}
        engine = create_async_engine(
            self._url,
            # None: the driver begins no transactions of its own.
            connect_args={"isolation_level": None, "async_creator_fn": _opened},
            hide_parameters=True,
            **pool,
        )
        # Copying a table, which is how SQLite alters one, drops the old one with all that refers to
        # it; and only one process at a time can choose the write-ahead log, for good.
        mode = (
            ("PRAGMA foreign_keys = OFF", "PRAGMA journal_mode = WAL")
            if migrating
            else ("PRAGMA foreign_keys = ON",)
        )

        def connected(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            for pragma in (*_PRAGMAS, *mode):
                cursor.execute(pragma)
            cursor.close()

        event.listen(engine.sync_engine, "connect", connected)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    def _server_engine(self, *, migrating: bool) -> AsyncEngine:
        assert self._connector is not None  # noqa: S101 - a server has one
        connect_args = {
            "async_creator_fn": self._connector.open,
            "init_command": _FIRST_STATEMENT,
        }
        pool = {"poolclass": NullPool} if migrating else {"pool_timeout": _LOCK_SECONDS}
        return create_async_engine(
            self._url,
            connect_args=connect_args,
            hide_parameters=True,
            isolation_level="REPEATABLE READ",
            pool_pre_ping=True,
            pool_recycle=_RECYCLE_SECONDS,
            **pool,
        )


async def _opened(path: str, **options: Any) -> "Aiosqlite":  # type: ignore[explicit-any]  # those of sqlite3
    """
    Open a file, and wait until it is open also when cancelled: then it is closed.

    The driver would leave its thread to answer an event loop that may be gone by then, which prints a traceback.

    Returns:
        The connection.

    Raises:
        CancelledError: This task was cancelled; nothing is open.
    """
    import aiosqlite  # noqa: PLC0415 - as SQLAlchemy does: not where the control database is a server

    opening = aiosqlite.connect(path, **options)
    opening._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: it keeps no process from its end

    async def opened() -> "Aiosqlite":
        return await opening

    try:
        return await shielded(opened())
    except asyncio.CancelledError:
        await shielded(opening.close())
        raise


async def _end_stray(connection: AsyncConnection, engine: AsyncEngine, pool: Pool) -> None:
    """End a connection whose engine was closed while it was used: it would go back where nobody closes it."""
    if engine.pool is not pool:
        await shielded(connection.invalidate())


async def pause() -> None:
    """Wait some milliseconds, not as many as the others who lost."""
    await asyncio.sleep((1 + secrets.randbelow(20)) / 1000)


def _begin(connection: Connection) -> None:
    """Begin a transaction; https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-transactions."""
    connection.exec_driver_sql(connection.get_execution_options()[_BEGIN])


@asynccontextmanager
async def _flock(path: Path) -> AsyncIterator[None]:
    """Hold a lock on a file of ours, against other processes of this machine."""
    make_directory(path.parent)
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(_MIGRATION_SECONDS):
            while not _try_lock(fd):  # noqa: ASYNC110 - the other one is a process
                await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _lock_server(connection: AsyncConnection) -> None:
    """
    Take a lock that ends with the connection.

    Raises:
        ControlUnavailableError: Another machine had it for too long.
    """
    # Names are the server's, not the database's, and have 64 characters at most.
    # SHA1() is not there in MySQL 9.7.
    query = text("SELECT GET_LOCK(CONCAT('backstay.', LEFT(SHA2(DATABASE(), 256), 40)), :seconds)")
    got = (await connection.execute(query, {"seconds": _MIGRATION_SECONDS})).scalar()
    if got != 1:
        raise ControlUnavailableError(
            "another machine is changing the tables of the control database"
        )
