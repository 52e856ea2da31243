"""Rows of prepared queries, read by the binary protocol and made into text by compiled code."""

from collections.abc import AsyncGenerator, Callable, Sequence
from enum import StrEnum

import pymysql.err

from app.engine.native import RowText, State
from app.engine.native.prepared import REST, Maker, Prepared, RowsRead, Wire, read_warnings
from app.engine.server.driver import Driver
from app.mysql.inflow import BLOCK_BYTES
from app.mysql.refusals import Refusal, malformed, raise_error


class RowSource(StrEnum):
    """Who makes SQL text of rows: compiled code here, the server, or whichever is faster."""

    AUTO = "auto"
    NATIVE = "native"
    SERVER = "server"


class RowReader:
    """
    Reads on one connection, whose newest query stays prepared for the next range.

    After an error that the server has sent the connection is as before; after any other it is closed.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._sql = ""
        self._prepared: Prepared | None = None
        self._wires: list[Wire] = []
        self._text: RowText | None = None
        self._is_wide = False
        self._rest = b""  # what came behind a piece

    async def read(self, sql: str, values: Sequence[int], make: Maker) -> RowsRead | None:
        """
        Read all rows of one query.

        Args:
            sql: With a `?` for each of `values`.
            values: Integers.
            make: Makes what turns its rows into text.

        Returns:
            Its rows; None where nothing can be made of such columns.

        Raises:
            Error: Of the driver: the server refuses, or sends what is none of its protocol.
        """
        try:
            await self._prepare(sql, make)
            return await self._execute(values, make) if self._text else None
        except BaseException as exc:
            if not isinstance(exc, pymysql.err.Error) or isinstance(exc, Refusal):
                self._driver.close()  # the rest of an answer would be taken for that to the next query
            raise

    async def stream(
        self, sql: str, make: Maker, renew: Callable[[], None]
    ) -> AsyncGenerator[RowsRead]:
        """
        Read the rows of one query in pieces.

        Args:
            sql: Without parameters.
            make: Makes what gives its text out in pieces.
            renew: Called whenever bytes have come.

        Yields:
            Pieces; the last has no text where the server has to format a row, and all that come after it.

        Raises:
            Error: Of the driver. Whoever leaves before the end has to close the connection.
        """
        self._sql = ""  # another maker's, if it is the same
        await self._prepare(sql, make)
        self._sql = ""
        if self._text is None:
            yield REST
            return
        text = await self._begin((), make)
        while (state := await self._receive(text, renew)) in {State.FULL, State.ODD}:
            if state == State.ODD:
                text.drain()
            else:
                yield _taken(text)
                text.resume()
        _expect_end(text, state)
        if text.is_cut or text.rows:
            yield _taken(text)

    async def _prepare(self, sql: str, make: Maker) -> None:
        if sql == self._sql:
            return
        previous, self._prepared, self._sql = self._prepared, None, ""
        if previous:
            await self._driver.forget(previous)
        self._prepared, self._wires = await self._driver.prepare(sql)
        self._text = make(self._wires)
        if self._text is not None and not self._is_wide and self._text.limit >= BLOCK_BYTES:
            await self._driver.widen()
            self._is_wide = True
        self._sql = sql

    async def _execute(self, values: Sequence[int], make: Maker) -> RowsRead:
        text = await self._begin(values, make)
        _expect_end(text, await self._receive(text))
        return _taken(text, read_warnings(text.packet))

    async def _receive(self, text: RowText, renew: Callable[[], None] | None = None) -> int:
        """Let rows come until the state of their text is no longer MORE; returns it."""
        state: int = State.MORE

        def take(data: memoryview) -> bool:
            nonlocal state
            if renew is not None:
                renew()
            state = text.feed(data)
            self._rest = bytes(data[text.consumed :])
            return state != State.MORE

        rest, self._rest = self._rest, b""
        if not rest or not take(memoryview(rest)):
            await self._driver.receive(take)
        return state

    async def _begin(self, values: Sequence[int], make: Maker) -> RowText:
        """Execute what is prepared; returns what takes the bytes of its rows."""
        assert self._prepared is not None  # noqa: S101 - _prepare comes first
        sequence, wires = await self._driver.execute(self._prepared, values)
        if wires != self._wires:  # somebody has altered the table since
            self._wires, self._text = wires, make(wires)
        if self._text is None:
            raise malformed(
                "the columns of a query have become others than those that were prepared"
            )
        self._text.begin(sequence)
        self._rest = b""
        return self._text


def _expect_end(text: RowText, state: int) -> None:
    if state == State.REFUSED:
        raise_error(text.packet)
    if state != State.OVER:
        raise malformed()


def _taken(text: RowText, warnings: int = 0) -> RowsRead:
    body = None if text.is_cut else text.text
    return RowsRead(text.rows, body, warnings, text.has_zero, text.has_odd_ascii)
