"""What the compiled module has."""

from collections.abc import Iterable
from typing import TypeAlias

_Bytes: TypeAlias = bytes | bytearray | memoryview

class RowText:
    """
    The SQL text of the rows of one result after the other.

    Attributes:
        rows: How many there were.
        is_cut: Whether their text is longer than the limit, or has a literal that is NULL; it is dropped.
        has_zero: Whether a FLOAT or DOUBLE is 0 without a sign.
        has_odd_ascii: Whether a column of `Kind.ASCII` holds other bytes.
        text: Their values with commas, `),` and a line end and `(` between two rows.
        packet: The payload of the packet that ended them.
    """

    def __init__(self, columns: Iterable[tuple[int, int]], limit: int) -> None:
        """
        Take what the columns are.

        Args:
            columns: `Kind` of each, and for times how many digits of a second are shown, 0 to 6.
            limit: Most bytes of text, with one byte between two rows.
        """

    def begin(self, sequence: int) -> None:
        """Forget everything; the next packet has this number."""

    def feed(self, data: _Bytes, /) -> int:
        """Take the next bytes, however they were cut, and return the `State`."""

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
