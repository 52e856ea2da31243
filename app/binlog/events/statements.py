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
# More numbers before the variables of a session, in an event that loads a file.
_LOAD_BYTES: Final = 13
# Both vendors begin these variables with the ones below, in this order and with so many bytes.
# Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Query__event.html
_MODE, _CHARSET, _CATALOG = 1, 4, 6
_VARIABLES: Final = {0: 4, _MODE: 8, 3: 4, _CHARSET: 6}
_NO_ESCAPES: Final = 1 << 20
# Of collations, those whose letters may have a \ or a ` for their second byte.
_CODECS: Final = {
    **dict.fromkeys((1, 84), "big5"),
    **dict.fromkeys((13, 88), "shift_jis"),
    **dict.fromkeys((28, 87), "gbk"),
    **dict.fromkeys((95, 96), "cp932"),
    **dict.fromkeys((248, 249, 250), "gb18030"),
}
# A statement is looked at only so far: the first row of a long INSERT says as much as all of them.
_READ: Final = 4096
# But for the columns of a table that is made of rows.
_LONG: Final = 64 << 10
COMMENT: Final = r"/\*(?!M?!)(?:[^*]|\*(?!/))*(?:\*/|$)|(?:--(?=[\0-\x20]|$)|\#)[^\n]*+"
# What may stand before a statement; what stands in comments such as /*!50000 is executed.
LEAD: Final = rf"(?:\s|{COMMENT}|/\*M?!\d*)*"
_BITS: Final = r"0[bB][01]+\b"
_TRUTHS: Final = r"(?i:true|false)\b"
# MariaDB sets variables for one statement, which follows; FOR may stand in their values.
_VALUE: Final = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`"
_PLAIN: Final = rf"{_VALUE}|[^()'\"`]"
# Parentheses in parentheses, as deep as anybody writes them there.
_DEPTH: Final = 6
_INNER: Final = f"(?:{_PLAIN}|" + rf"\((?:{_PLAIN}|" * _DEPTH + r")*\)" * _DEPTH + ")*"
_SETTING: Final = (
    rf"SET\s+STATEMENT\b(?>{_VALUE}|{COMMENT}|\({_INNER}\)|[^'\"`(]){{0,2000}}?\bFOR\b"
)
SETTINGS: Final = rf"(?:{LEAD}{_SETTING})*"
_SETTINGS: Final = re.compile(SETTINGS, re.IGNORECASE | re.DOTALL)
# What names are made of comes before numbers, which may stand in them.
_TOKEN: Final = re.compile(
    rf"(?P<comment>{COMMENT})"
    r"|(?P<name>`(?:[^`]|``)*(?:`|$)"
    rf"|(?!(?:[xXbBnN]'|0[xX]|{_BITS}|{_TRUTHS}|[0-9]+(?:[eE.]|\b)))[\w$@]+)"
    r"|(?P<value>[xXbBnN]?'(?:[^'\\]|\\.|'')*(?:'|$)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|$)"
    rf"|{_BITS}|{_TRUTHS}"
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
# MariaDB analyzes them, too.
_CHANGES_ROWS: Final = re.compile(
    rf"(?:\s|\(|{COMMENT}|/\*M?!\d*|ANALYZE\s+(?:FORMAT\s*=\s*JSON\s+)?(?!TABLE))*"
    r"(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|CALL|WITH|SELECT|DO|VALUES|TABLE)\b",
    re.IGNORECASE | re.DOTALL,
)
# A table that is filled by what follows; PARTITION ... VALUES stands before LESS THAN or IN.
_MAKES_OF_ROWS: Final = re.compile(
    rf"{LEAD}CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?TABLE\b"
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


def masked_in_any_mode(text: str) -> str:
    r"""
    Mask a statement of which nobody knows in what session it was executed.

    Returns:
        It as `masked` does, up to where that matters: each backslash may escape or not, and a ` behind a
        letter beyond ASCII may be half of that letter, so that what follows is no name but values, too.
    """
    shown = masked(_up_to_half_letter(text))
    if masked(_up_to_half_letter(text.replace("\\", "\\\\"))) == shown:
        return shown
    return masked(_up_to_half_letter(text[: text.index("\\")]))


def _up_to_half_letter(text: str) -> str:
    """Cut a text before the first ` that would begin a name and may be half of a letter."""
    text = text[:_READ]
    begins = (found.start() for found in _TOKEN.finditer(text) if found.group().startswith("`"))
    return text[: next((at for at in begins if at and not text[at - 1].isascii()), None)]


def changes_rows(text: str) -> bool:
    """Tell whether a statement of the log makes or changes rows by being executed again."""
    return bool(_CHANGES_ROWS.match(text) or _MAKES_OF_ROWS.match(text[:_LONG]))


def ends_in_comment(text: bytes) -> bool:
    """Tell whether the last words of a statement are those of a comment that goes on to its end."""
    *_, last = _TOKEN.finditer(text.decode("utf-8", "replace"))
    return last["comment"] is not None


def query_of(event: bytes, *, is_compressed: bool) -> tuple[str, str]:
    """
    Read a statement.

    Args:
        event: A Query event without its checksum.
        is_compressed: Whether its text is.

    Returns:
        The database and the text, without the variables that MariaDB sets for this statement alone.

    Raises:
        Malformed: It cannot be read.
    """
    variables, database, text = _parts(event)
    raw = inflate(text) if is_compressed else text
    return database.decode("utf-8", "replace"), _without_settings(_decoded(raw, variables))


def load_of(event: bytes) -> tuple[str, str]:
    """Return database and text of an event that loads a file, without its checksum; raises Malformed."""
    variables, database, text = _parts(event, skipped=_LOAD_BYTES)
    return database.decode("utf-8", "replace"), _without_settings(_decoded(text, variables))


def _without_settings(text: str) -> str:
    found = _SETTINGS.match(text)
    return text[found.end() :].lstrip() if found and found.end() else text


def query_text(event: bytes) -> bytes:
    """Return the text of a Query event without its checksum; compressed ones as they are. Raises Malformed."""
    return _parts(event)[2]


def _parts(event: bytes, *, skipped: int = 0) -> tuple[bytes, bytes, bytes]:
    """Return what was set in the session, the database and the text."""
    try:
        _, _, database, _, variables = _QUERY.unpack_from(event, HEADER_BYTES)
    except struct.error:
        raise Malformed("a statement is cut short") from None
    start = HEADER_BYTES + _QUERY.size + skipped
    name = start + variables
    return event[start:name], event[name : name + database], event[name + database + 1 :]


def _decoded(text: bytes, variables: bytes) -> str:
    """Decode a statement, so that each backslash in a string of it escapes, and a half of a letter is none."""
    if b"\\" not in text and b"`" not in text:
        return text.decode("utf-8", "replace")
    mode, charset = _session(variables)
    decoded = text.decode(_CODECS.get(charset, "utf-8"), "replace")
    return decoded.replace("\\", "\\\\") if mode & _NO_ESCAPES else decoded


def _session(variables: bytes) -> tuple[int, int]:
    """Return sql_mode and character set of a session; 0 where it does not say."""
    mode = charset = place = 0
    while place < len(variables):
        kind, value = variables[place], variables[place + 1 :]
        if kind == _MODE:
            mode = int.from_bytes(value[:8], "little")
        elif kind == _CHARSET:
            charset = int.from_bytes(value[:2], "little")
        size = 1 + sum(value[:1]) if kind == _CATALOG else _VARIABLES.get(kind, len(value))
        place += 1 + size
    return mode, charset
