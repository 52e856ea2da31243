"""
Definitions as the server prints them, with what it prints wrongly put right.

Servers write SHOW CREATE TABLE in utf8mb3: a character beyond U+FFFF in a label of an ENUM or SET, or
on MariaDB in a plain DEFAULT, comes out as a question mark. Where there is one, the server is asked for
the text itself: what the column makes of the number of each member, DEFAULT(column) of no row.
"""

import hashlib
import itertools
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from app.domain.backups.manifest import ColumnEntry, ObjectKind
from app.engine.schema.tables import Table, show_create
from app.engine.server.connection import Session
from app.engine.sql import columns, ddl
from app.engine.sql.headers import split_head
from app.engine.sql.quoting import quote, quote_text, same_name
from app.errors import PermissionDeniedError, StatementError


_PRINTED_TWICE: Final = 2
# Character sets of clients in which a backslash may be the second byte of a letter.
_BACKSLASHES: Final = {
    "sjis": "shift_jis", "cp932": "cp932", "gbk": "gbk", "big5": "big5", "gb18030": "gb18030",
}  # fmt: skip
# A name of which nothing is left.
TAKEN_AWAY: Final = "\x01"
_NOT_NULL: Final = " is not null)"
_CHECK_OPTION: Final = re.compile(r" WITH (?:CASCADED|LOCAL) CHECK OPTION\Z")
# A column, or anything else, that is not where a view looks for it.
_NOT_THERE: Final = frozenset({1054, 1356})
_BEFORE_BACKSLASH: Final = re.compile(r"([^\x00-\x7f])\\")


async def exact_definition(session: Session, table: Table) -> tuple[str, str]:
    """
    Read a table's definition.

    Returns:
        What SHOW CREATE prints, and the same with all texts as they are.
    """
    printed = await show_create(session, table)
    exact = ddl.utf8_only(printed)
    if "?" not in printed:
        return printed, exact
    for column in table.entry.columns:
        texts = columns.column_texts(exact, column.name)
        if any("?" in label for label in texts.labels):
            labels = await _labels(session, table, column, len(texts.labels))
            exact = columns.with_labels(exact, column.name, labels)
        if "?" in texts.default and not column.generated:
            default = await _default(session, table, column)
            exact = columns.with_default(exact, column.name, default)
    return printed, exact


async def sequence_position(session: Session, table: Table) -> tuple[bytes, ...]:
    """
    Read where a sequence stands.

    An INSERT says all of it, but is refused where the binary log holds statements (1665); so only one that
    has run out, and cannot be sent to a value of its own, is written like that.

    Returns:
        The statements that put it there.
    """
    values = await _sequence_values(session, table)
    name, (begin, least, most, *_, rounds) = quote(table.name), map(int, values)
    if not least <= begin <= most:
        return (_sequence_row(table, values),)
    restart = f"ALTER SEQUENCE {name} RESTART {begin};\n".encode()
    # How often it began again; what it has counted already is not taken back.
    again = f"DO SETVAL({name}, {begin}, 0, {rounds});\n".encode()
    return (restart, again) if rounds else (restart,)


async def sequence_digests(session: Session, table: Table) -> set[str]:
    """Digest where a sequence stands in every form in which a backup may say it."""
    row = _sequence_row(table, await _sequence_values(session, table))
    forms = (row, *(await sequence_position(session, table))[-1:])
    return {hashlib.sha256(form).hexdigest() for form in forms}


async def _sequence_values(session: Session, table: Table) -> tuple[str, ...]:
    (values,) = await session.texts(f"SELECT * FROM {table.sql}")
    return values


def _sequence_row(table: Table, values: Sequence[str]) -> bytes:
    return f"INSERT INTO {quote(table.name)} VALUES ({', '.join(values)});\n".encode()


async def _labels(session: Session, table: Table, column: ColumnEntry, count: int) -> Sequence[str]:
    """Let the server turn the number of each member into its label."""
    query = session.flavor.member_labels.format(
        table=table.sql,
        column=quote(column.name),
        count=count,
        next="n + 1" if column.data_type == "enum" else "1 << n",
    )
    rows = await session.texts(query)
    return [bytes.fromhex(text).decode() for row in rows for text in row[0].split(",")]


async def _default(session: Session, table: Table, column: ColumnEntry) -> str:
    """Read a default from a row that is not there."""
    reply = await session.texts(
        f"SELECT HEX(CONVERT(DEFAULT(t.{quote(column.name)}) USING utf8mb4))"
        f" FROM (SELECT 1) AS one LEFT JOIN {table.sql} AS t ON FALSE"
    )
    return bytes.fromhex(reply[0][0]).decode()


async def as_typed(session: Session, kind: ObjectKind, row: tuple[str, ...]) -> tuple[str, ...]:
    """
    Put the head of a CREATE right.

    Names, comments and types are UTF-8 inside of both vendors, and are printed as if they were of the
    character set that the object was made in; some are, so each is looked at by itself.

    Returns:
        What SHOW CREATE returned, with the head as it was typed.
    """
    place = 3 if kind is ObjectKind.EVENT else 2  # its time zone stands before
    charset = row[place + 1]
    head, body = split_head(kind, row[place])
    if charset.startswith("utf8") or all(part.isascii() for part in head):
        return row
    for number, part in enumerate(head):
        if ddl.is_quoted(part) and not part.isascii() and ddl.is_text(part):
            head[number] = await _reread(session, part, charset)
    return (*row[:place], f"{''.join(head)}{body}", *row[place + 1 :])


async def view_as_typed(session: Session, sql: str, charset: str) -> str:
    """
    Put right what servers print of a view, and do not read.

    Args:
        session: Any.
        sql: From SHOW CREATE VIEW.
        charset: That the view was made in.

    Returns:
        The same view as it could have been typed.
    """
    return _without_repeated(_with_named_columns(await _with_named_calls(session, sql, charset)))


async def _with_named_calls(session: Session, sql: str, charset: str) -> str:
    """
    Put right the names of functions that a view calls.

    MySQL prints them like the heads of routines, twice over; they are right where there is such a function.

    Returns:
        The same view, calling what it calls.
    """
    if charset.startswith("utf8") or sql.isascii():
        return sql
    parts = ddl.tokens(sql)
    for index, (part, after) in enumerate(itertools.pairwise(parts)):
        if after != "(" or part[0] != "`" or part.isascii():
            continue
        name = part
        for _ in range(_PRINTED_TWICE + 1):
            if await session.texts(
                "SELECT 1 FROM information_schema.ROUTINES"
                f" WHERE {same_name('ROUTINE_NAME', ddl.unquoted_name(name))} LIMIT 1"
            ):
                parts[index] = name
                break
            name = await _reread(session, name, charset)
    return "".join(parts)


def _with_named_columns(sql: str) -> str:
    """
    Name the columns of a view that have no name.

    Servers take blanks and control characters away from the begin of an alias, and print what is left, which
    may be nothing; of a name that is empty when it comes they make no column (1166).

    Returns:
        The same view as it could have been typed.
    """
    if "AS ``" not in sql:
        return sql
    pairs = itertools.pairwise(["", *ddl.tokens(sql)])
    return "".join(
        quote(TAKEN_AWAY) if part == "``" and before.endswith(" AS ") else part
        for before, part in pairs
    )


def _without_repeated(sql: str) -> str:
    """
    Say once that a column of an INTERSECT is not NULL.

    MySQL takes that for granted whenever such a view is made, and prints it, so what it prints grows with each.

    Args:
        sql: From SHOW CREATE VIEW.

    Returns:
        The same view, as it was made first.
    """
    if " intersect " not in sql or _NOT_NULL not in sql:
        return sql
    groups: list[list[list[str]]] = [[[]]]  # of each open bracket what stands between its `and`s
    for part in ddl.tokens(sql):
        if part == "(":
            groups.append([[]])
        elif part == ")" and len(groups) > 1:
            closed = _bracketed(["".join(parts) for parts in groups.pop()])
            groups[-1][-1].append(closed)
        elif part == " and ":
            groups[-1].append([])
        else:
            groups[-1][-1].append(part)
    return "(".join(" and ".join("".join(parts) for parts in group) for group in groups)


def _bracketed(terms: Sequence[str]) -> str:
    """Put what `and` joins into brackets, unless only one term is left that has some."""
    kept = [
        term
        for index, term in enumerate(terms)
        if not (term.endswith(_NOT_NULL) and term in terms[:index])
    ]
    return kept[0] if len(kept) == 1 < len(terms) else f"({' and '.join(kept)})"


async def can_be_made(session: Session, name: str, sql: str, *, is_misread: bool) -> bool:
    """
    Tell whether a view that the dictionary describes could be made anew as it is printed.

    MySQL describes views without looking at what they read, such as one of a column that has no name, which it
    calls `Name_exp_1` and does not find. And both vendors describe one of a view whose owner has lost rights.

    Args:
        session: Its database is that of the view.
        name: Of the view.
        sql: From SHOW CREATE VIEW, as it could have been typed.
        is_misread: Whether the server prints it otherwise, and so may not find what it calls itself.

    Returns:
        False only where the server says that something is not there, or may not be called; of other
        refusals nothing is known.
    """
    parts = ddl.tokens(sql)
    begin = next(i for i, part in enumerate(parts) if not ddl.is_quoted(part) and " AS " in part)
    select = "".join((parts[begin].partition(" AS ")[2], *parts[begin + 1 :]))
    try:
        with suppress(StatementError):
            await _prepare(session, f"SELECT 1 FROM {quote(name)}")
            return True
    except PermissionDeniedError:  # its owner may not call a function
        return False
    try:
        await _prepare(session, _CHECK_OPTION.sub("", select))
    except StatementError as exc:
        return exc.errno not in _NOT_THERE
    except PermissionDeniedError:
        return True
    # So its owner lacks a right. It can be made all the same if that is to read; if it is to call, by nobody.
    return is_misread or not any(
        part[0] == "`" and after == "(" for part, after in itertools.pairwise(parts)
    )


async def _prepare(session: Session, query: str) -> None:
    """Have what a query reads opened, and nothing executed; the next one takes its place."""
    await session.query(f"PREPARE backstay_view FROM {quote_text(query)}")


def is_doubled(sql: str, charset: str) -> bool:
    """Tell whether a backslash stands behind a letter that ends in one in its own character set."""
    codec = _BACKSLASHES.get(charset, "")
    return bool(codec) and any(
        letter.encode(codec, "ignore").endswith(b"\\") for letter in _BEFORE_BACKSLASH.findall(sql)
    )


async def _reread(session: Session, part: str, charset: str) -> str:
    """Read a quoted part as the UTF-8 that was taken for a character set; return it where it is none."""
    read = f"CONVERT(X'{part.encode().hex()}' USING utf8mb4)"
    stored = await session.scalar(f"SELECT HEX(CONVERT({read} USING {charset}))")
    try:
        return bytes.fromhex(stored).decode()
    except UnicodeDecodeError:
        return part
