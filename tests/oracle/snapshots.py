"""
The independent oracle: everything of a database that must survive a round trip, as one value.

It shares no code with the engine. Two snapshots of equal databases are equal, whatever their names.

1. Open a connection of its own with a fixed session: utf8mb4, UTC, empty sql_mode.
2. Read every row of every table as text that loses nothing: HEX of the bytes, DOUBLE for FLOAT, index and label for ENUM.
3. Read SHOW CREATE of every object and the rows of information_schema, replacing database names by markers.
4. `assert_same` compares two such values and prints the first differences.

Not guaranteed: the sign of a NaN (servers store none); row_start and row_end of transaction-precise history (BIGINT
periods), which no logical dump can restore and which are left out together with the old row versions.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import Error

from tests.oracle.catalogue import CATALOGUE, GRANTS, View, without_remembered
from tests.oracle.rows import Content, read_content
from tests.oracle.vendor_dump import outside_judge


__all__ = ["Snapshot", "Source", "assert_same", "literal", "outside_judge", "quote", "snapshot"]


_SAID_TWICE = re.compile(r" CHARACTER SET (\w+)(?= COLLATE \1_)")
Value: TypeAlias = "str | int | list[Value] | dict[str, Value] | None"
Snapshot = dict[str, "Value"]
Row = tuple[str | None, ...]

# Shown before the report is cut: enough to see a pattern, little enough to read.
DIFFERENCES_SHOWN = 20
CLIPPED_AT = 240


class Addressed(Protocol):
    """
    A server that tests can reach.

    Attributes:
        url: mysql://user:password@host:port/
    """

    @property
    def url(self) -> str:
        """Address of the server."""
        ...


class Connected(Protocol):
    """
    A client that tests already hold; the oracle opens a connection of its own to the same server.

    Attributes:
        connection: pymysql connection.
    """

    connection: "Connection[Cursor]"


Source: TypeAlias = "Mapping[str, Any] | str | Addressed | Connected"


class Reader:
    """
    A connection with the oracle's own session state; every value is text as the server printed it.

    Attributes:
        names: Database name -> marker that replaces it in definitions.
    """

    def __init__(self, source: Source, names: Mapping[str, str]) -> None:
        self.names = dict(names)
        self._qualifiers = [(_qualifier(name), marker) for name, marker in names.items()]
        self._connection = Connection(
            **{"ssl_disabled": True, **_parameters(source)},  # 35 ms for certificates otherwise
            charset="utf8mb4",
            use_unicode=False,
            conv={},
            autocommit=True,
            max_allowed_packet=1 << 30,
        )
        for statement in (
            # Some tables open in this mode only; a server that has some of them has it, too.
            "SET SESSION sql_mode=IF(@@GLOBAL.sql_mode='NO_UNSIGNED_SUBTRACTION',@@GLOBAL.sql_mode,'')",
            # Else counters are a day old. MariaDB takes this for a comment.
            "/*!80000 SET SESSION information_schema_stats_expiry=0 */",
            "SET SESSION time_zone='+00:00'",
            "SET SESSION sql_quote_show_create=1, sql_select_limit=DEFAULT, group_concat_max_len=1073741821",
        ):
            self.rows(statement)

    def rows(self, statement: str) -> list[Row]:
        """Run one statement and fetch all its rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(_text(value) for value in row) for row in cursor.fetchall() or ()]

    def named_rows(self, statement: str) -> list[dict[str, str | None]]:
        """Run one statement and fetch its rows by column name."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            columns = [column[0] for column in cursor.description or ()]
            return [
                dict(zip(columns, map(_text, row), strict=True)) for row in cursor.fetchall() or ()
            ]

    def columns(self, statement: str) -> list[Value]:
        """Run one statement and tell its columns: name, type, length, decimals, whether they may be NULL."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return [
                " ".join(str(_text(part)) for part in column) for column in cursor.description or ()
            ]

    @property
    def is_mysql(self) -> bool:
        """Tell whether the server is MySQL."""
        return "mariadb" not in self._connection.get_server_info().lower()

    def neutral(self, text: str | None) -> str | None:
        """Replace every known database name that stands where a qualifier stands."""
        if text is None:
            return None
        for pattern, marker in self._qualifiers:
            # A marker holds no backslash, so it needs no escape as a replacement.
            text = pattern.sub(marker, text)
        return text

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _qualifier(name: str) -> re.Pattern[str]:
    """What finds a database's name where it qualifies another one."""
    bare = rf"(?<![\w$`]){re.escape(name)}(?![\w$`])"
    return re.compile(rf"(?:{re.escape(quote(name))}|{bare})(?=\s*\.)")


def snapshot(
    source: Source,
    database: str,
    *,
    names: Mapping[str, str] | None = None,
    grants: bool = False,
) -> Snapshot:
    """
    Read everything of one database that must survive a round trip.

    Args:
        source: pymysql parameters, a mysql:// address, or a server or client of the fixtures.
        database: Name of an existing database.
        names: Further database names -> markers: the former name that bodies still mention, or a partner schema.
        grants: Whether to read who may do what with the database, its tables, columns and routines; these are of
            the server, so that only one database at two times has the same.

    Returns:
        Nested dicts of text, without the database's own name; equal for equal databases.
    """
    with closing(Reader(source, {database: "<db>", **(names or {})})) as reader:
        reader.rows(f"USE {quote(database)}")
        found: Snapshot = {
            view.name.lower(): _catalogue(reader, view, database) for view in CATALOGUE
        }
        found["content"] = {
            name: _content(read_content(reader.rows, database, name))
            for name in _tables(reader, database, "BASE TABLE", "SYSTEM VERSIONED")
        }
        found["view columns"] = {
            name: _view_columns(reader, name) for name in _tables(reader, database, "VIEW")
        }
        found["sequence"] = {
            name: _sequence(reader, name) for name in _tables(reader, database, "SEQUENCE")
        }
        found["definition"] = dict(_definitions(reader, database))
        if grants:
            found["grants"] = _grants(reader, database)
        return found


def assert_same(a: Snapshot, b: Snapshot) -> None:
    """
    Fail with a short readable list of differences unless both snapshots are equal.

    Raises:
        AssertionError: They differ; the message names at most DIFFERENCES_SHOWN places.
    """
    differences = list(_differences(a, b, ""))
    if differences:
        shown = "\n".join(differences[:DIFFERENCES_SHOWN])
        more = len(differences) - DIFFERENCES_SHOWN
        tail = f"\n... and {more} more" if more > 0 else ""
        message = f"{len(differences)} differences:\n{shown}{tail}"
        raise AssertionError(message)


def quote(name: str) -> str:
    """Quote an identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Quote a string for a session without NO_BACKSLASH_ESCAPES."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def named(column: str, database: str) -> str:
    """
    Make the condition for rows of information_schema about one database.

    The server compares names there without regard to case and accents; the second part does not, and the first lets
    it open no other database.
    """
    return f"{column}={literal(database)} AND CAST({column} AS BINARY)=CAST({literal(database)} AS BINARY)"


def _parameters(source: Source) -> dict[str, Any]:
    if isinstance(source, Mapping):
        return dict(source)
    if hasattr(source, "connection"):
        held = source.connection
        return {"host": held.host, "port": held.port, "user": held.user, "password": held.password}
    address = urlsplit(source if isinstance(source, str) else source.url)
    return {
        "host": address.hostname,
        "port": address.port or 3306,
        "user": unquote(address.username or "root"),
        "password": unquote(address.password or ""),
    }


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        # SHOW CREATE prints some literals and defaults as raw bytes that are no UTF-8; they too must be compared.
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def _tables(reader: Reader, database: str, *kinds: str) -> list[str]:
    wanted = ",".join(literal(kind) for kind in kinds)
    rows = reader.rows(
        "SELECT TABLE_NAME FROM information_schema.TABLES "
        f"WHERE {named('TABLE_SCHEMA', database)} AND TABLE_TYPE IN ({wanted}) ORDER BY BINARY TABLE_NAME"
    )
    return [name for (name,) in rows if name is not None]


def _content(content: Content) -> Value:
    if content.digest is not None:
        return {"rows": content.count, "digest": content.digest}
    return {"rows": content.count, "multiset": list(content.rows)}


def _view_columns(reader: Reader, name: str) -> Value:
    try:
        [(_, definition, *_)] = reader.rows(f"SHOW CREATE VIEW {quote(name)}")
        # Even a query that wants no row takes a number.
        if "nextval(" in str(definition).lower():
            return "takes numbers"
        return reader.columns(f"SELECT * FROM {quote(name)} LIMIT 0")
    except Error as error:
        return f"error {error.args[0]}"


def _sequence(reader: Reader, name: str) -> Value:
    # Qualified by USE; a sequence is read like a table of one row.
    [row] = reader.named_rows(f"SELECT * FROM {quote(name)}")
    return dict(row)


def _catalogue(reader: Reader, view: View, database: str) -> Value:
    rows = reader.named_rows(
        f"SELECT * FROM information_schema.{view.name} WHERE {named(view.schema, database)}"
    )
    if view.name == "COLUMNS" and reader.is_mysql:
        rows = without_remembered(rows, _tables(reader, database, "VIEW"))
    found: dict[str, Value] = {}
    for row in sorted(rows, key=lambda row: [row.get(key) or "" for key in view.keys]):
        kept = {
            column: _schema_cell(reader, column, cell)
            for column, cell in row.items()
            if column not in view.dropped
        }
        key = " / ".join(row.get(key) or "" for key in view.keys)
        # Two rows with one key would hide one another.
        while key in found:
            key += " again"
        found[key] = dict(kept)
    return found


def _schema_cell(reader: Reader, column: str, cell: str | None) -> str | None:
    if column.endswith("_SCHEMA") or column == "SCHEMA_NAME":
        return reader.names.get(cell or "", cell)
    if column == "CREATE_OPTIONS" and cell:
        # SHOW CREATE prints Aria's default PAGE_CHECKSUM=1, so every dump makes it an explicit option.
        cell = " ".join(part for part in cell.split() if part != "page_checksum=1")
    if (
        column == "AUTO_INCREMENT" and cell == "1"
    ):  # MySQL says so, or nothing, of a table without rows
        cell = None
    return reader.neutral(cell)


def _grants(reader: Reader, database: str) -> Value:
    """Read grants as the server keeps them, without who gave them and when."""
    found: dict[str, Value] = {}
    for table, keys in GRANTS.items():
        for row in reader.named_rows(
            f"SELECT * FROM mysql.{table} WHERE Db = BINARY {literal(database)}"
        ):
            kept = {key: cell for key, cell in row.items() if key not in {"Grantor", "Timestamp"}}
            kept.pop("Db")
            key = " / ".join([table, *(row[name] or "" for name in ("User", "Host", *keys))])
            found[key] = dict(kept)
    return found


def _definitions(reader: Reader, database: str) -> Iterator[tuple[str, Value]]:
    for kind, name in _objects(reader, database):
        try:
            [row] = reader.named_rows(f"SHOW CREATE {kind} {quote(name)}")
        except Error as error:
            # A view in a cycle cannot be shown; the number of the error is then the truth to keep.
            yield f"{kind} {name}", f"error {error.args[0]}"
            continue
        row.pop("Created", None)
        if kind == "TABLE":  # MySQL says a column's character set twice or not, by how it was made
            row = {column: _SAID_TWICE.sub("", cell or "") for column, cell in row.items()}
        yield (
            f"{kind} {name}",
            {column: reader.neutral(cell) for column, cell in row.items()},
        )


def _objects(reader: Reader, database: str) -> Iterator[tuple[str, str]]:
    for name in _tables(reader, database, "BASE TABLE", "SYSTEM VERSIONED"):
        yield "TABLE", name
    for kind in ("SEQUENCE", "VIEW"):
        for name in _tables(reader, database, kind):
            yield kind, name
    found = reader.rows(
        f"SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {named('TRIGGER_SCHEMA', database)} "
        "UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES "
        f"WHERE {named('ROUTINE_SCHEMA', database)} "
        f"UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE {named('EVENT_SCHEMA', database)}"
    )
    yield from ((kind or "", title or "") for kind, title in found)


def _differences(a: Value, b: Value, path: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            here = f"{path}.{key}" if path else key
            if key not in b:
                yield f"{here}: only in the first: {_clip(a[key])}"
            elif key not in a:
                yield f"{here}: only in the second: {_clip(b[key])}"
            else:
                yield from _differences(a[key], b[key], here)
    elif isinstance(a, list) and isinstance(b, list):
        yield from _row_differences(a, b, path)
    elif a != b:
        yield f"{path}:\n  first:  {_clip(a, b)}\n  second: {_clip(b, a)}"


def _row_differences(a: list[Value], b: list[Value], path: str) -> Iterator[str]:
    # Both are sorted: a merge shows what each side has more of, duplicates included.
    left, right = [str(row) for row in a], [str(row) for row in b]
    i = j = 0
    while i < len(left) or j < len(right):
        if j == len(right) or (i < len(left) and left[i] < right[j]):
            yield f"{path}: row only in the first:  {_clip(left[i])}"
            i += 1
        elif i == len(left) or right[j] < left[i]:
            yield f"{path}: row only in the second: {_clip(right[j])}"
            j += 1
        else:
            i, j = i + 1, j + 1


def _clip(value: Value, other: Value = None) -> str:
    text, against = repr(value), repr(other)
    start = 0
    if other is not None:
        common = next(
            (i for i, (x, y) in enumerate(zip(text, against, strict=False)) if x != y),
            min(len(text), len(against)),
        )
        start = max(0, common - CLIPPED_AT // 3)
    shown = text[start : start + CLIPPED_AT]
    return ("..." if start else "") + shown + ("..." if start + CLIPPED_AT < len(text) else "")
