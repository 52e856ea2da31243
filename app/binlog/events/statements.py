"""Statements as people may see them: without any value, and of accounts without anything but the verb."""

import re
import struct
from typing import Final

from app.binlog.events.headers import HEADER_BYTES, Kind, Malformed
from app.binlog.events.rows import inflate


QUERIES: Final = frozenset({Kind.QUERY, Kind.QUERY_COMPRESSED})
# What the server writes around statements.
AROUND: Final = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT ", "XA ", "ROLLBACK TO ")
_QUERY: Final = struct.Struct("<IIBHH")
_SHOWN: Final = 240
# A statement is looked at only so far: the first row of a long INSERT says as much as all of them.
_READ: Final = 4096
# But for the columns of a table that is made of rows.
_LONG: Final = 64 << 10
_COMMENT: Final = r"/\*(?!M?!)(?:[^*]|\*(?!/))*(?:\*/|$)|(?:--[ \t]|\#)[^\n]*"
# What names are made of comes before numbers, which may stand in them.
_TOKEN: Final = re.compile(
    rf"(?P<comment>{_COMMENT})"
    r"|(?P<name>`(?:[^`]|``)*(?:`|$)|(?!(?:[xXbBnN]'|0[xX]|[0-9]+(?:[eE.]|\b)))[\w$@]+)"
    r"|(?P<value>[xXbBnN]?'(?:[^'\\]|\\.|'')*(?:'|$)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|$)"
    r"|0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)",
    re.DOTALL,
)
_VALUES: Final = re.compile(r"\?(?:\s*,\s*\?)+")
_ROWS: Final = re.compile(r"\(\?\)(?:\s*,\s*\(\?\)?)+.*", re.DOTALL)
_ACCOUNTS: Final = re.compile(
    r"\s*(?:(?:CREATE|ALTER|DROP|RENAME)(?:\s+OR\s+REPLACE)?\s+(?:USER|ROLE|SERVER)\b"
    r"|(?:GRANT|REVOKE)\b|SET\s+(?:PASSWORD|DEFAULT\s+ROLE)\b|CHANGE\s+(?:MASTER|REPLICATION)\b)",
    re.IGNORECASE,
)
# What stands in comments such as /*!50000 is executed; MariaDB sets variables for one statement, and analyzes it.
_CHANGES_ROWS: Final = re.compile(
    rf"(?:\s|\(|{_COMMENT}|/\*M?!\d*|SET\s+STATEMENT\b.{{0,2000}}?\bFOR\b|ANALYZE\s+(?:FORMAT\s*=\s*JSON\s+)?(?!TABLE))*"
    r"(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|CALL|WITH|SELECT|DO|VALUES|TABLE)\b",
    re.IGNORECASE | re.DOTALL,
)
# A table that is filled by what follows; PARTITION ... VALUES stands before LESS THAN or IN.
_MAKES_OF_ROWS: Final = re.compile(
    rf"(?:\s|{_COMMENT})*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?TABLE\b"
    r".*\b(?:SELECT|VALUES\s*(?:ROW\s*)?\()",
    re.IGNORECASE | re.DOTALL,
)


def masked(text: str) -> str:
    """
    Return a statement without its values, on one line of at most 240 characters.

    What is quoted by `"` counts as a value, and comments are left out.

    Returns:
        Of statements about accounts the verb alone.
    """
    text = text[:_READ]
    if found := _ACCOUNTS.match(text):
        return " ".join(found.group().upper().split()) + " ..."
    shown = _TOKEN.sub(_masked_token, text)
    shown = " ".join(_ROWS.sub("(?), ...", _VALUES.sub("?", shown)).split())
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."


def _masked_token(found: re.Match[str]) -> str:
    if found["comment"] is not None:
        return " "
    return "?" if found["value"] is not None else found.group()


def changes_rows(text: str) -> bool:
    """Tell whether a statement of the log makes or changes rows by being executed again."""
    return bool(_CHANGES_ROWS.match(text[:_READ]) or _MAKES_OF_ROWS.match(text[:_LONG]))


def ends_in_comment(text: bytes) -> bool:
    """Tell whether the last words of a statement are those of a comment that goes on to its end."""
    *_, last = _TOKEN.finditer(text.decode("utf-8", "replace"))
    return last["comment"] is not None


def query_of(event: bytes, *, is_compressed: bool) -> tuple[str, str]:
    """Return database and text of a Query event without its checksum; raises Malformed."""
    database, text = query_parts(event)
    raw = inflate(text) if is_compressed else text
    return database.decode("utf-8", "replace"), raw.decode("utf-8", "replace")


def query_parts(event: bytes) -> tuple[bytes, bytes]:
    """Return database and text of a Query event without its checksum; compressed texts as they are."""
    try:
        _, _, database, _, variables = _QUERY.unpack_from(event, HEADER_BYTES)
    except struct.error:
        raise Malformed("a statement is cut short") from None
    start = HEADER_BYTES + _QUERY.size + variables
    return event[start : start + database], event[start + database + 1 :]


def query_text(event: bytes) -> bytes:
    """Return the text of a Query event without its checksum."""
    return query_parts(event)[1]
