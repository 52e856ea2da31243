"""Rows of prepared queries, read by the binary protocol and made into text by compiled code."""

from collections.abc import Sequence

import pymysql.err

from app.engine.native import RowText, State
from app.engine.native.prepared import Maker, Prepared, RowsRead, Wire, read_warnings
from app.engine.server.driver import Driver
from app.mysql.refusals import Refusal, malformed, raise_error


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

    async def _prepare(self, sql: str, make: Maker) -> None:
        if sql == self._sql:
            return
        previous, self._prepared, self._sql = self._prepared, None, ""
        if previous:
            await self._driver.forget(previous)
        self._prepared, self._wires = await self._driver.prepare(sql)
        self._text = make(self._wires)
        self._sql = sql

    async def _execute(self, values: Sequence[int], make: Maker) -> RowsRead:
        assert self._prepared is not None  # noqa: S101 - _prepare comes first
        sequence, wires = await self._driver.execute(self._prepared, values)
        if wires != self._wires:  # somebody has altered the table since
            self._wires, self._text = wires, make(wires)
        text = self._text
        if text is None:
            raise malformed(
                "the columns of a query have become others than those that were prepared"
            )
        text.begin(sequence)
        state: int = State.MORE
        while state == State.MORE:
            state = text.feed(await self._driver.next_bytes(1))
        if state == State.REFUSED:
            raise_error(text.packet)
        if state != State.OVER:
            raise malformed()
        body = None if text.is_cut else text.text
        warnings = read_warnings(text.packet)
        return RowsRead(text.rows, body, warnings, text.has_zero, text.has_odd_ascii)
