"""
Counting the rows of an INSERT statement by reading every literal in it.

A scanner for exactly the literals that the dump writes, no more: what it cannot read is an error,
so a statement that was cut, doubled or mangled is seen even where its digest was made afterwards.
"""

import re
from typing import Final

from app.archive.file.codec import DAMAGED_HINT
from app.errors import ChecksumMismatchError


# A possessive group is not what it says in Python 3.11.0 to 3.11.4: where its last turn fails behind a choice, what
# that has read stays read. Atomic groups are right; those of a star remember each turn, so what may be long in a
# literal has turns that fail at their first bytes. Source: https://github.com/python/cpython/issues/106052
_NAME = rb"`(?:[^`]|``)++`"
_LITERAL = (
    rb"(?:"
    rb"-?[0-9]++(?>(?:\.[0-9]*+)?)(?>(?:[eE][+-]?[0-9]++)?)"
    rb"|'[^'\\]*+(?:\\[\x00-\xff][^'\\]*+|''[^'\\]*+)*+'"
    rb"|NULL"
    rb"|(?>(?:_[a-z0-9]++ ?)?)(?:[Xx]'(?:[0-9A-Fa-f]{2})*+'|'[^'\\]*+(?:\\[\x00-\xff][^'\\]*+)*+')"
    rb"|[bB]'[01]*+'"
    rb"|@[A-Za-z0-9_]++"
    rb"|CONVERT\(@[A-Za-z0-9_]++ USING [a-z0-9_]++\)"
    rb")"
)
_HEAD: Final = re.compile(
    rb"INSERT INTO (?:%(name)s\.)?%(name)s"
    rb"(?>(?: ?\((?>(?:%(name)s(?>(?:, ?%(name)s)*))?)\))?) VALUES[ \n]" % {b"name": _NAME}
)
_ROW: Final = re.compile(
    rb"\((?>(?:%(literal)s(?>(?:,%(literal)s)*))?)\)(?:,\n?|;\n\Z)" % {b"literal": _LITERAL}
)


def count_rows(sql: bytes, *, source: str) -> int:
    """
    Count the row tuples of one INSERT statement.

    Args:
        sql: The whole statement: `INSERT INTO ... VALUES`, tuples with commas between, `;` and a
            line break.
        source: Names the statement in messages.

    Returns:
        At least 1.

    Raises:
        ChecksumMismatchError: It is not such a statement.
    """
    head = _HEAD.match(sql)
    if head is not None and sql.endswith(b";\n"):
        # Every byte is part of a row exactly when removing all rows leaves nothing. One call in C:
        # 5 million rows one by one would take seconds.
        rest, rows = _ROW.subn(b"", memoryview(sql)[head.end() :])
        if not rest and rows:
            return rows
    raise ChecksumMismatchError(f"{source}: not a whole INSERT statement", hint=DAMAGED_HINT)
