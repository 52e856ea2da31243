"""A connection to the server that is backed up, with a fixed session state; statements go straight to the driver."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final, TypeVar

import pymysql.err
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.concurrency import Bound
from app.engine.flavor import REFUSING_VARIABLES, Flavor, flavor_of
from app.engine.native.prepared import Maker, RowsRead
from app.engine.server.driver import Driver, Reply, Value
from app.engine.server.errors import translate
from app.engine.server.row_reader import RowReader, RowSource
from app.engine.server.variables import is_same, literal
from app.engine.sql.quoting import quote, quote_text
from app.errors import PermissionDeniedError, StalledError, StatementError
from app.mysql.connection import Connection


DEADLOCK: Final = 1213
# Partitions of a function below 0, which a table has from a session of another sql_mode.
OTHER_SUBTRACTION: Final = 1563
SIGNED: Final = "NO_UNSIGNED_SUBTRACTION"
# What is not kept with the mode that it is executed in.
_WITHOUT_MODE: Final = ("SELECT ", "SHOW ", "LOCK ", "DROP ")
# How often a statement may lose one. In a restore beside a drill and a dry run it was once, every second or third time.
_DEADLOCKS: Final = 10

Answer = TypeVar("Answer")


class Session:
    """
    One connection with a known state; not for two tasks at once, but for the one that keeps it awake.

    Attributes:
        connection_id: The server's number of it.
        channel: How its bytes travel.
        was_remembered: The server let us in because of an earlier login, and forgets it at a restart.
        place: Given back when it is closed.
        row_source: Who makes the text of rows.
        row_limit: Most bytes of text that are read at once; 0 until somebody has asked the server.
        version: What VERSION() returns; empty until the state was set.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        driver: Connection,
        *,
        timeout_seconds: float,
        kill: Callable[[int], Awaitable[None]],
        row_source: RowSource = RowSource.AUTO,
    ) -> None:
        """
        Take a connection that is logged in.

        Args:
            connection: SQLAlchemy's; ours from now on.
            driver: The one behind it.
            timeout_seconds: How long one ordinary statement may take.
            kill: Ends a connection on the server, by its number there.
            row_source: Who makes the text of rows.
        """
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._kill = kill
        self._driver = Driver(driver)
        self._reader = RowReader(self._driver)
        self.row_source = row_source
        self.row_limit = 0
        self.connection_id = self._driver.connection_id
        self.channel = driver.channel
        self.was_remembered = driver.login.was_remembered
        self._database = self.version = ""
        self._flavor: Flavor | None = None
        self._turn = asyncio.Lock()
        self._used_at, self._closed = 0.0, False
        self.place: Bound | None = None

    @property
    def flavor(self) -> Flavor:
        """Return what the server is; known once its state is set, which `Server.open` does."""
        assert self._flavor is not None  # noqa: S101 - only `kill` works on a session without state
        return self._flavor

    @property
    def idle_seconds(self) -> float:
        """Return for how long nothing was asked; 0 while something is, and once it is closed."""
        is_busy = self._closed or self._turn.locked()
        return 0.0 if is_busy else asyncio.get_running_loop().time() - self._used_at

    async def set_state(self, state: Mapping[str, str]) -> None:
        """
        Set session variables and prove that the server took them; learn what the server is.

        Raises:
            IncompatibleServerError: It is older than anything that is known of here.
            PermissionDeniedError: This user may not set a variable that must be set.
            StatementError: It does not keep a variable as it was set.
        """
        async with self._guarded(redact=False, no_timeout=False):
            await self._driver.forbid_lists()
        names = ", ".join(quote_text(name) for name in (*state, "version"))
        listing = f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})"
        known = await self._variables(listing)
        self._flavor = flavor_of(known["version"])
        self.version = known["version"]
        wanted = {name: value for name, value in state.items() if name in known}
        # Some of them need a right, also to be set to what they are.
        differing = {
            name: value for name, value in wanted.items() if not is_same(value, known[name])
        }
        await self.query("SET NAMES utf8mb4")
        await self._set(differing)
        found = await self._variables(listing)
        for name, value in wanted.items():
            if not is_same(value, found[name]) and name not in REFUSING_VARIABLES:
                raise StatementError(f"the server keeps {name} at {found[name]!r}", errno=0)

    async def _set(self, values: Mapping[str, str]) -> None:
        """Set variables; those that only refuse stay where this user may not set them."""
        assignments = [f"SESSION {name} = {literal(value)}" for name, value in values.items()]
        if not assignments:
            return
        try:
            await self.query(f"SET {', '.join(assignments)}")
        except PermissionDeniedError:  # it does not say of which
            for name, assignment in zip(values, assignments, strict=True):
                await self._set_or_leave(name, assignment)

    async def _set_or_leave(self, name: str, assignment: str) -> None:
        try:
            await self.query(f"SET {assignment}")
        except PermissionDeniedError as exc:
            if name not in REFUSING_VARIABLES:
                right = self.flavor.session_right or "SUPER"
                raise PermissionDeniedError(
                    f"the database user may not set {name} for its session",
                    hint=f"GRANT {right} ON *.* to this user, or set {name} for the whole server.",
                ) from exc

    async def _variables(self, listing: str) -> dict[str, str]:
        return {row[0]: row[1] for row in await self.texts(listing)}

    async def query(
        self, sql: str | bytes, *, redact: bool = False, no_timeout: bool = False
    ) -> Reply:
        """
        Run one statement.

        Args:
            sql: UTF-8 when bytes.
            redact: The statement holds row data, so the server's words are kept out of messages.
            no_timeout: It may take hours, such as an ALTER; no timeout but the connection's own.

        Returns:
            The whole answer.

        Raises:
            CancelledError: The statement was killed.
            ConnectionLostError: The connection is gone; nothing is known about the statement.
            PermissionDeniedError: A privilege is missing.
            StatementError: The server refused.
            StalledError: No answer in time; the statement was killed.
        """

        async def ask() -> Reply:
            async with self._guarded(redact=redact, no_timeout=no_timeout):
                return await self._driver.query(sql)

        head = sql[:7] if isinstance(sql, str) else sql[:7].decode("latin-1")
        return await (self._opening(ask) if head.startswith(_WITHOUT_MODE) else ask())

    async def _opening(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, and again in the mode in which the server opens a table whose partitions need it."""
        try:
            return await ask()
        except StatementError as exc:
            if exc.errno != OTHER_SUBTRACTION:
                raise
        # Only then: opened so, any other table would be so for all its users.
        mode = await self.scalar("SELECT @@SESSION.sql_mode")
        back = f"SET SESSION sql_mode = {quote_text(mode)}"
        await self.query(f"SET SESSION sql_mode = {quote_text(f'{mode},{SIGNED}'.strip(','))}")
        try:
            answer = await ask()
        except StatementError:
            await self.query(back)
            raise
        await self.query(back)
        return answer

    async def define(self, sql: str | bytes) -> None:
        """
        Run a statement of DDL that the server undoes as a whole, again when it loses a deadlock.

        The dictionary of MySQL is made of rows, which the DDL of others locks too, also in other databases.

        Raises:
            StatementError: It was refused, or has lost too often.
        """
        for left in reversed(range(_DEADLOCKS)):
            try:
                await self.query(sql, no_timeout=True)
            except StatementError as exc:
                if exc.errno != DEADLOCK or not left:
                    raise
            else:
                return

    async def use(self, database: str) -> None:
        """Choose the database of unqualified names, unless this was the last call; nobody else may."""
        if database != self._database:
            await self.query(f"USE {quote(database)}")
            self._database = database

    async def load_local(self, sql: str, pieces: Iterable[bytes]) -> Reply:
        """
        Run a LOAD DATA LOCAL with bytes of ours in the place of the file.

        Args:
            sql: The statement; whatever file it names is never opened.
            pieces: The file's content, each at most 16 MiB - 1.

        Returns:
            Rows and warnings; LOCAL makes warnings of what would be errors.

        Raises:
            StatementError: The server does not take it; other errors are those of `query`.
        """
        async with self._guarded(redact=True, no_timeout=False):
            return await self._driver.load_local(sql, pieces)

    @asynccontextmanager
    async def _guarded(self, *, redact: bool, no_timeout: bool) -> AsyncIterator[asyncio.Timeout]:
        """Kill on the server what times out or is cancelled here, and translate what it refuses."""
        await self._turn.acquire()
        try:
            seconds = None if no_timeout else self._timeout_seconds
            async with asyncio.timeout(seconds) as deadline:
                yield deadline
        except TimeoutError as exc:
            await self._kill(self.connection_id)
            message = f"no answer from the server for {self._timeout_seconds} s"
            raise StalledError(message, hint="Raise BACKSTAY_TIMEOUT if it is only slow.") from exc
        except asyncio.CancelledError:
            await self._kill(self.connection_id)
            raise
        except (pymysql.err.Error, OSError, EOFError) as exc:
            error = translate(exc, redact=redact)
            raise error from exc
        finally:
            self._used_at = asyncio.get_running_loop().time()
            self._turn.release()

    async def execute(
        self, sql: str | bytes, *, redact: bool = False, no_timeout: bool = False
    ) -> int:
        """
        Run a statement that must raise no warning.

        Returns:
            Rows it changed.

        Raises:
            StatementError: It was refused, or taken with a warning.
        """
        reply = await self.query(sql, redact=redact, no_timeout=no_timeout)
        if reply.warnings and (found := await self.warnings()):
            code, text = found[0]
            detail = "" if redact else f": {text}"
            raise StatementError(f"the server warned with {code}{detail}", errno=code)
        return reply.affected

    async def warnings(self) -> list[tuple[int, str]]:
        """
        Read what the last statement warned about.

        Returns:
            Code and text of each, without harmless ones; the server keeps the first 1024, so rows are
            proven by what is read back, not by these.
        """
        found = [(int(row[1]), row[2]) for row in await self.texts("SHOW WARNINGS")]
        harmless = self.flavor.harmless
        return [(code, text) for code, text in found if not harmless.match(f"{code} {text}")]

    async def texts(self, sql: str) -> list[tuple[str, ...]]:
        """
        Run a query about definitions.

        Returns:
            Its rows as text, NULL as an empty one; bytes that are no UTF-8 as surrogate escapes.
        """
        return [tuple(map(_text, row)) for row in (await self.query(sql)).rows]

    async def scalar(self, sql: str) -> str:
        """Return the first column of the first row as text, empty when there is none."""
        return rows[0][0] if (rows := await self.texts(sql)) else ""

    @property
    def driver(self) -> Driver:
        """Return what is behind it, for another protocol than that of statements; nothing else can be asked then."""
        return self._driver

    async def stream(self, sql: str) -> AsyncGenerator[list[Value]]:
        """
        Run a query of one column and any size, in constant memory.

        Yields:
            The values of some rows, at least one.

        Raises:
            StalledError: The server stopped sending; the query was killed.
            DatabaseError: As for `query`; rows already seen are then not the whole answer.
        """
        async with self._streaming() as renew:
            rows = await self._driver.begin_stream(sql)
            while not rows.over:
                if found := rows.feed(await self._driver.next_bytes(rows.missing)):
                    yield found
                renew()
            self._driver.end_stream()

    async def stream_rows(self, sql: str, make: Maker) -> AsyncGenerator[RowsRead]:
        """Run a query by the binary protocol, as `stream` does; for its pieces see `RowReader.stream`."""
        async with (
            self._streaming() as renew,
            aclosing(self._reader.stream(sql, make, renew)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    @asynccontextmanager
    async def _streaming(self) -> AsyncIterator[Callable[[], None]]:
        """Guard an answer that comes in pieces, and yield what renews its time; half of one costs the connection."""
        async with self._guarded(redact=True, no_timeout=False) as deadline:
            now = asyncio.get_running_loop().time
            try:
                yield lambda: deadline.reschedule(now() + self._timeout_seconds)
            except BaseException as exc:
                self._driver.close()  # it would read the rest of the answer
                if not isinstance(
                    exc, asyncio.CancelledError
                ):  # the guard kills what is late or cancelled
                    await self._kill(self.connection_id)
                raise

    async def read_rows(self, sql: str, values: Sequence[int], make: Maker) -> RowsRead | None:
        """
        Run a query by the binary protocol, and hold the text of its rows.

        Args:
            sql: With a `?` for each of `values`; prepared until another one is.
            values: Integers.
            make: Makes what turns its rows into text.

        Returns:
            The whole answer; None where nothing can be made of such columns.

        Raises:
            DatabaseError: As for `query`.
        """

        async def ask() -> RowsRead | None:
            async with self._guarded(redact=True, no_timeout=False):
                return await self._reader.read(sql, values, make)

        return await self._opening(ask)

    async def close(self) -> None:
        """Close the connection; never raises and never waits: who closes many may be cancelled once more."""
        self._closed = True
        place, self.place = self.place, None
        if place is not None:
            place.release()
        # Asynchronously, it would shield a polite end that was said already, and keep what is cancelled meanwhile.
        opened = self._connection.sync_connection
        for end in (self._driver.close, *((opened.invalidate, opened.close) if opened else ())):
            with suppress(SQLAlchemyError, pymysql.err.Error, OSError, RuntimeError):
                end()


def _text(value: Value) -> str:
    return "" if value is None else value.decode("utf-8", "surrogateescape")
