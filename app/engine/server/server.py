"""The way to the server that is backed up; SQLAlchemy makes the connections."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final, cast
from weakref import WeakKeyDictionary

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.concurrency import Bound, shielded
from app.domain.server.product import product_of
from app.engine.flavor import DUMP_SESSION
from app.engine.server.address import VARIABLE, parse_address
from app.engine.server.connection import Session
from app.engine.server.errors import connect_error
from app.engine.server.row_reader import RowSource
from app.errors import AppError, NoConnectionLeftError, NoServerError
from app.mysql.address import DRIVER
from app.mysql.connection import Connection, Connector
from app.mysql.tls import read_tls


# Killing what a cancelled task left running must not itself hang.
_KILL_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 10
# Longer than any run holds a connection that it needs for a moment only.
_PLACE_SECONDS: Final = 30.0
# Set for all sessions, limits of rows, joins and time would spoil the SHOW VARIABLES that says which
# variables there are, and a COMMIT that ends the connection is what the driver does next. MySQL reads
# no MariaDB comments, and limits the time of SELECT only.
_FIRST_STATEMENT: Final = (
    "SET SESSION sql_select_limit = 18446744073709551615, SESSION sql_big_selects = 1"
    ", SESSION completion_type = NO_CHAIN"
    " /*M!100101 , SESSION max_statement_time = 0 */"
)
# By loop, and whether they load.
Engines = WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, AsyncEngine]]


class Server:
    """
    The way to one server.

    Attributes:
        url: Without its password shown.
        database: Database in the URL; empty when none.
        source: What messages call the address.
        timeout_seconds: How long one ordinary statement may take.
        row_source: Who makes the text of rows.
    """

    def __init__(
        self,
        url: str = "",
        *,
        source: str = VARIABLE,
        timeout_seconds: float = 300.0,
        places: Bound | None = None,
        row_source: RowSource = RowSource.AUTO,
    ) -> None:
        """
        Make the way; connects when it is first used.

        Args:
            url: Of the server, with the password; empty = it is not known yet.
            source: What messages call the address.
            timeout_seconds: How long one ordinary statement may take.
            places: How many connections may be open at once; None = any number.
            row_source: Who makes the text of rows.
        """
        self.timeout_seconds = timeout_seconds
        self.row_source = row_source
        self._places = places or Bound("max_server_connections", sys.maxsize)
        self.set_address(url, source)

    def set_address(self, url: str, source: str) -> None:
        """
        Go to another server from now on; nothing may be open.

        Args:
            url: As for a new one.
            source: What messages call the address.

        Raises:
            InvalidRequestError: The address makes no sense; nothing has changed.
        """
        found, tls = parse_address(url, source) if url else (URL.create(DRIVER), None)
        self.is_set = tls is not None
        self.source = source
        self.url = found
        self.database = found.database or ""
        self._vendor = "server"  # until one has answered
        self._version = ""
        self._connector = Connector(tls or read_tls({}), source)
        self._engines: Engines = WeakKeyDictionary()

    def require_set(self) -> None:
        """Refuse what needs a server when none is known yet; raises NoServerError."""
        if not self.is_set:
            raise NoServerError

    def _engine(self, *, loads: bool) -> AsyncEngine:
        """Return that of the running loop, to which its locks belong."""
        made = self._engines.setdefault(asyncio.get_running_loop(), {})
        if loads not in made:
            made[loads] = self._make_engine(loads=loads)
        return made[loads]

    def _make_engine(self, *, loads: bool) -> AsyncEngine:
        # No database is selected: one that is missing gets its own error. No connect_timeout: with one the
        # driver loses a cancellation in Python 3.11, https://github.com/python/cpython/issues/86296
        return create_async_engine(
            self.url.set(database=""),
            poolclass=NullPool,
            connect_args={
                "async_creator_fn": partial(self._connector.open, loads=loads),
                "init_command": _FIRST_STATEMENT,
                "autocommit": True,
            },
        )

    @property
    def where(self) -> str:
        """Return host and port or socket, for messages."""
        if not self.is_set:
            return "no server"
        server = f"{self.url.host or 'localhost'}:{self.url.port or 3306}"
        return str(self.url.query.get("unix_socket") or server)

    @property
    def label(self) -> str:
        """Return vendor and address, for the record of what was done there."""
        return f"{self._vendor} at {self.where}" if self.is_set else "no server"

    @property
    def title(self) -> str:
        """Return what it is and where, for people: `MariaDB 10.11.14 at db.example:3306`; until it has answered, where."""
        known = f"{product_of(self._vendor, self._version)} at " if self._version else ""
        return known + self.where

    async def open(
        self, state: Mapping[str, str] = DUMP_SESSION, *, loads: bool = False
    ) -> Session:
        """
        Open a connection and give it a known state.

        Args:
            state: Session variables; those that the server does not know are left out.
            loads: For `Session.load_local`; no other connection tells the server that it would send.

        Returns:
            A session; close it.

        Raises:
            ConnectionFailedError: There is no answer, or the login is refused.
            NoConnectionLeftError: As many are open as may be, and none was closed in time.
            NoServerError: Its address is not known yet.
            IncompatibleServerError: It is older than anything that is known of here.
            StatementError: The server does not keep a variable as it was set.
        """
        self.require_set()
        if not await self._places.wait(min(_PLACE_SECONDS, self.timeout_seconds)):
            raise NoConnectionLeftError(
                f"{self._places.limit} connections to the server are open, and none was closed in time",
                hint="Wait for other runs, or raise BACKSTAY_MAX_SERVER_CONNECTIONS.",
            )
        try:
            session = await self._connect(loads=loads)
        except BaseException:
            self._places.release()
            raise
        session.place = self._places
        try:
            await session.set_state(state)
            # Without any, MariaDB opens a table with NULL for DATABASE() in its expressions, for all its users.
            await session.use("information_schema")
            self._vendor, self._version = session.flavor.vendor, session.version
        except BaseException:
            await session.close()
            raise
        return session

    @asynccontextmanager
    async def session(self, state: Mapping[str, str] = DUMP_SESSION) -> AsyncIterator[Session]:
        """Open a connection for the length of a block."""
        session = await self.open(state)
        try:
            yield session
        finally:
            await session.close()

    async def kill(self, connection_id: int) -> None:
        """End one of our own connections on the server, whatever it does; never raises."""

        async def kill() -> None:
            async with asyncio.timeout(_KILL_SECONDS):
                session = await self._connect()
                try:
                    await session.query(f"KILL {connection_id}")
                finally:
                    await session.close()

        with suppress(AppError, TimeoutError):
            await shielded(kill())

    async def ping(self) -> None:
        """Prove that the server answers and is one that is known; raises what `open` raises."""
        session = await self.open()
        await session.close()

    async def close(self) -> None:
        """Release what the engines of this loop hold."""
        for engine in self._engines.pop(asyncio.get_running_loop(), {}).values():
            await engine.dispose()

    async def _connect(self, *, loads: bool = False) -> Session:
        try:
            async with asyncio.timeout(min(_CONNECT_SECONDS, self.timeout_seconds)):
                connection = await self._engine(loads=loads).connect()
                raw = await connection.get_raw_connection()
        except (SQLAlchemyError, OSError, EOFError, RuntimeError) as exc:
            raise connect_error(exc, self.where, self.url.username, self.source) from exc
        return Session(
            connection,
            cast("Connection", raw.driver_connection),
            timeout_seconds=self.timeout_seconds,
            kill=self.kill,
            row_source=self.row_source,
        )
