"""
Rows of the server's binary protocol made into SQL text by compiled code, where that was built.

Import `RowText`, `is_utf8` and `IS_BUILT`. `row_text.h` is all of the work and knows no Python, so that a fuzzer
can take it; `_row_text.pyx` lets Python call it.
"""

from enum import IntEnum
from typing import Final


try:
    from app.engine.native._row_text import RowText as RowText, is_utf8 as is_utf8

    IS_BUILT: Final = True
except ImportError:  # there was no compiler, or its library is not here
    IS_BUILT = False  # type: ignore[misc]

    class RowText:  # type: ignore[no-redef]
        """Stands for what was not built, so that the rest can name it; nobody may make one."""

        def __init__(self, *_: object) -> None:
            raise RuntimeError("the compiled module was not built")

    def is_utf8(data: bytes, /) -> bool:
        """Tell whether bytes are UTF-8; ASCII is told apart ten times faster."""
        if data.isascii():
            return True
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
        return True


class Kind(IntEnum):
    """How one column travels, and what is made of it; the numbers are those of `row_text.h`."""

    INT8 = 0
    UINT8 = 1
    INT16 = 2
    UINT16 = 3
    INT32 = 4
    UINT32 = 5
    INT64 = 6
    UINT64 = 7
    YEAR = 8
    BARE = 9  # text as it is
    DOUBLE = 10
    FLOAT = 11
    DATE = 12
    DATETIME = 13
    TIME = 14
    TEXT = 15  # escaped, between quotes
    BINARY = 16  # X'..'
    BIT = 17
    LITERAL = 18  # formatted by the server, never NULL
    ASCII = 19  # text that should be of such bytes alone


class State(IntEnum):
    """What is to be done after some bytes; the numbers are those of `row_text.h`."""

    MORE = 0
    OVER = 1
    REFUSED = 2  # by the server, whose packet `packet` returns
    MALFORMED = 3
    OUT_OF_ORDER = 4
    FULL = 5  # a piece is to be taken
    ODD = 6  # the server has to format a row
