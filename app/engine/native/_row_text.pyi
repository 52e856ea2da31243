"""What the compiled module has."""

from collections.abc import Iterable
from typing import TypeAlias

_Bytes: TypeAlias = bytes | bytearray | memoryview

def is_utf8(data: bytes, /) -> bool:
    """Tell whether bytes are UTF-8."""

class RowText:
    """
    The SQL text of the rows of one result after the other.

    Attributes:
        limit: As it was given; the server takes packets of as many bytes.
        rows: How many there were.
        is_cut: Whether their text is longer than the limit, or has a literal that is NULL; it is dropped.
        has_zero: Whether a FLOAT is 0 without a sign.
        has_odd_ascii: Whether a column of `Kind.ASCII` holds other bytes.
        text: Their values with commas, `),` and a line end and `(` between two rows.
        consumed: How many bytes of what was fed last were looked at.
        packet: The payload of the packet that ended them.
    """

    def __init__(self, columns: Iterable[tuple[int, int]], limit: int, full: int = 0) -> None:
        """
        Take what the columns are.

        The text is whole, or with `full` in pieces: each ends with the row by which it has that many bytes,
        one byte behind each row, and `feed` returns FULL. A row that is longer than `limit`, or has a literal
        that is NULL or a text of `Kind.ASCII` with other bytes, is ODD; `rows` and `text` then count for nothing.

        Args:
            columns: `Kind` of each, and for times how many digits of a second are shown, 0 to 6.
            limit: Most bytes of text, with one byte between two rows; with `full`, most bytes of a row.
            full: Least bytes of a piece; 0 for the whole.
        """

    def begin(self, sequence: int) -> None:
        """Forget everything; the next packet has this number."""

    def feed(self, data: _Bytes, /) -> int:
        """Take the next bytes, however they were cut, and return the `State`."""

    def resume(self) -> None:
        """Go on behind a piece that is full; what was not consumed has to be fed again."""

    def drain(self) -> None:
        """Go on behind an odd row, and only count the rows that come."""

    @property
    def limit(self) -> int: ...
    @property
    def consumed(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def is_cut(self) -> bool: ...
    @property
    def has_zero(self) -> bool: ...
    @property
    def has_odd_ascii(self) -> bool: ...
    @property
    def text(self) -> bytes: ...
    @property
    def packet(self) -> bytes: ...
