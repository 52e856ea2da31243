"""
Statements that make objects, rewritten so that they work on the session's database and on no other.

What a backup or a journal holds is read here before any of it is executed: old ones name their schema,
and others may have been edited. Each statement has the form that its kind has in our own files, or it is
refused; what is executed is made from what was read.

Not guaranteed: what a view or a body names. A view is resolved when it is made, which reads definitions;
a body is not.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from app.domain.backups.manifest import ObjectKind, StatementKind
from app.domain.restores.journal import SavedStatement
from app.engine.sql.headers import Header, read_header
from app.engine.sql.quoting import quote, quote_text
from app.engine.sql.references import with_databases
from app.errors import UnsupportedObjectError


# Which objects a statement may be about; names are unique within each.
MAKES: Final = {
    StatementKind.VIEW: frozenset({ObjectKind.VIEW}),
    StatementKind.INVALID_VIEW: frozenset({ObjectKind.VIEW}),
    StatementKind.TRIGGER: frozenset({ObjectKind.TRIGGER}),
    StatementKind.ROUTINE: frozenset({
        ObjectKind.FUNCTION,
        ObjectKind.PROCEDURE,
        ObjectKind.PACKAGE,
        ObjectKind.PACKAGE_BODY,
    }),
    StatementKind.EVENT: frozenset({ObjectKind.EVENT}),
    StatementKind.ENABLE_EVENT: frozenset({ObjectKind.EVENT}),
}
LONG_AGO: Final = "SET SESSION timestamp = 1"
NOW: Final = "SET SESSION timestamp = DEFAULT"
VIEW_PLACEHOLDER: Final = "CREATE OR REPLACE VIEW "
_NAME: Final = r"`(?:[^`]|``)+`"
_MODE: Final = r"'(?P<mode>\w*(?:,\w+)*)'"
_ZONE: Final = r"SESSION time_zone = '[\w+:/-]*'"
_SESSION_FORMS: Final = (
    re.compile(rf"SET NAMES \w+, SESSION sql_mode = {_MODE}, {_ZONE}", re.ASCII),
    re.compile(
        rf"SET SESSION sql_mode = {_MODE}, character_set_client = (?P<charset>\w+),"
        rf" collation_connection = (?P<collation>\w+)(?:, {_ZONE})?",
        re.ASCII,
    ),
    re.compile(rf"{LONG_AGO}|{NOW}"),
    re.compile(r"ALTER DATABASE COLLATE = '(?P<database>\w+)'", re.ASCII),
)
_DROP: Final = re.compile(
    rf"DROP (?:FUNCTION|PROCEDURE|PACKAGE|PACKAGE BODY|EVENT) IF EXISTS {_NAME}"
)
_PLACEHOLDER: Final = re.compile(
    rf"{VIEW_PLACEHOLDER}(?P<name>{_NAME}) AS SELECT (?:1 AS {_NAME}(?:, 1 AS {_NAME})*)?"
)
_VARIABLE: Final = re.compile(r"SET @backstay_sql = '((?:[^'\\]|\\[\\'0rZ])*)'", re.DOTALL)
_EXECUTE: Final = "EXECUTE IMMEDIATE @backstay_sql"
_TEXT: Final = r"'(?:[^'\\]|\\.|'')*'"
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"0": "\0", "r": "\r", "Z": "\x1a"}
# As SHOW CREATE prints it, in the state that keeps an event from firing.
_DISABLED: Final = re.compile(
    r" ON SCHEDULE (?:'[^']*'|[A-Z0-9_ -])+? ON COMPLETION (?:NOT )?PRESERVE DISABLE\b"
)
_HINT: Final = "Nothing was changed. Leave it out, or make a new backup if this one was not edited."


@dataclass(frozen=True, slots=True)
class Origin:
    """
    One CREATE as it was written, and for which session.

    Attributes:
        header: What it says.
        sql: As it was, without the variable around it.
        sql_mode: Of its session.
        charset: character_set_client.
        collation: collation_connection.
        database_collation: That its database has by default; empty = as always.
    """

    header: Header
    sql: str
    sql_mode: str
    charset: str
    collation: str
    database_collation: str


@dataclass(frozen=True, slots=True)
class Contained:
    """
    What may be executed.

    Attributes:
        statements: As many as were given, in their order.
        origins: What makes each object in the end, by its kind and name.
    """

    statements: tuple[SavedStatement, ...]
    origins: dict[tuple[ObjectKind, str], Origin]


def require_sequence(statements: Sequence[str], name: str) -> None:
    """
    Require a CREATE SEQUENCE, and the statements that put it where it stood.

    Raises:
        UnsupportedObjectError: It is something else.
    """
    own = re.escape(quote(name))
    made = re.compile(rf"CREATE SEQUENCE {own} (?:[\w =-]|{_TEXT})+", re.ASCII | re.DOTALL)
    put = re.compile(
        rf"INSERT INTO {own} VALUES \(-?\d+(?:, -?\d+)*\)"
        rf"|ALTER SEQUENCE {own} RESTART -?\d+|DO SETVAL\({own}, -?\d+, 0, \d+\)",
        re.ASCII,
    )
    create, *positions = statements or [""]
    if not made.fullmatch(create) or not positions or not all(map(put.fullmatch, positions)):
        _refuse(SavedStatement(StatementKind.SEQUENCE, "", name), "it is no plain sequence")


def contain(
    statements: Iterable[SavedStatement],
    source: str,
    places: Mapping[str, str] | None = None,
    *,
    folded: bool = False,
) -> Contained:
    """
    Rewrite statements for whatever database their session is in.

    Args:
        statements: In order, from a backup, a journal or `object_statements`.
        source: Database that views name as their own.
        places: Where other databases are that views name; not given = under their names.
        folded: Whether their server keeps names of tables in lower case.

    Returns:
        The same objects, for any database.

    Raises:
        UnsupportedObjectError: One is not in the form that its kind has in our files.
    """
    return _Containment(source, places or {}, folded=folded).read(statements)


def or_replace(sql: str) -> str:
    """Return the CREATE of a routine, or what executes it from a variable, as CREATE OR REPLACE."""
    if sql == _EXECUTE:
        return f"EXECUTE IMMEDIATE CONCAT('CREATE OR REPLACE', SUBSTRING(@backstay_sql, {len('CREATE ')}))"
    return f"CREATE OR REPLACE {sql.removeprefix('CREATE ')}"


class _Containment:
    """Reads the statements of one database; used once."""

    def __init__(self, source: str, places: Mapping[str, str], *, folded: bool) -> None:
        self._source = source
        self._places = places
        self._folded = folded
        self._state = {"mode": "", "charset": "", "collation": "", "database": ""}
        self._statements: list[SavedStatement] = []
        self._variable = ""
        self._variable_at = -1
        self._origins: dict[tuple[ObjectKind, str], Origin] = {}

    def read(self, statements: Iterable[SavedStatement]) -> Contained:
        """Read all of them."""
        for statement in statements:
            self._statements.append(self._contained(statement))
        return Contained(tuple(self._statements), self._origins)

    def _contained(self, statement: SavedStatement) -> SavedStatement:
        kind = statement.kind
        if kind is StatementKind.SESSION:
            self._read_session(statement)
            return statement
        if kind is StatementKind.PLACEHOLDER:
            return self._placeholder(statement)
        if kind is StatementKind.ENABLE_EVENT:
            return self._rewritten(statement, self._enabled(statement))
        if kind in MAKES:
            return self._made(statement, MAKES[kind])
        if kind is not StatementKind.DROP or not _DROP.fullmatch(statement.sql):
            _refuse(statement, "it does not begin as its kind must")
        return statement

    def _read_session(self, statement: SavedStatement) -> None:
        if found := _VARIABLE.fullmatch(statement.sql):
            if "NO_BACKSLASH_ESCAPES" in self._state["mode"]:
                _refuse(statement, "a text is escaped where nothing is")
            self._variable = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), found[1])
            self._variable_at = len(self._statements)
            return
        for form in _SESSION_FORMS:
            if found := form.fullmatch(statement.sql):
                self._state |= found.groupdict()
                return
        _refuse(statement, "it is no setting of a session")

    def _placeholder(self, statement: SavedStatement) -> SavedStatement:
        name = quote(statement.name)
        found = _PLACEHOLDER.fullmatch(statement.sql)
        if (found and found["name"] == name) or statement.sql == f"DROP FUNCTION {name}":
            return statement
        return self._made(statement, frozenset({ObjectKind.FUNCTION}))

    def _made(self, statement: SavedStatement, kinds: frozenset[ObjectKind]) -> SavedStatement:
        """Rewrite a CREATE, in its variable if that is where it is."""
        prepared = statement.sql == _EXECUTE
        sql = self._variable if prepared else statement.sql
        header = self._header(statement, sql, kinds)
        self._origins[header.kind, statement.name] = Origin(
            header,
            sql,
            self._state["mode"],
            self._state["charset"],
            self._state["collation"],
            self._state["database"],
        )
        is_view = header.kind is ObjectKind.VIEW
        plain = header.sql
        if is_view:
            plain = with_databases(plain, {**self._places, self._source: ""})
        return self._rewritten(statement, plain)

    def _rewritten(self, statement: SavedStatement, plain: str) -> SavedStatement:
        """Put what is executed in the place of a statement, or of the text in its variable."""
        if statement.sql != _EXECUTE:
            return replace(statement, sql=plain)
        if not self._variable:
            _refuse(statement, "nothing was put into its variable")
        assignment = self._statements[self._variable_at]
        text = f"SET @backstay_sql = {quote_text(plain)}"
        self._statements[self._variable_at] = replace(assignment, sql=text)
        self._variable = ""  # or the next one would change what this one executes
        return statement

    def _header(self, statement: SavedStatement, sql: str, kinds: frozenset[ObjectKind]) -> Header:
        try:
            header = read_header(sql, self._state["mode"], folded=self._folded)
        except UnsupportedObjectError as exc:
            raise UnsupportedObjectError(f"{_label(statement)}: {exc}", hint=exc.hint) from exc
        # Names of triggers and tables may be printed in lower case where they are kept so.
        if header.kind not in kinds or header.name.lower() != statement.name.lower():
            _refuse(statement, f"it makes {header.kind} {header.name!r}")
        if header.kind is ObjectKind.EVENT and not _DISABLED.match(header.rest):
            _refuse(statement, "it would fire before everything is there")
        return header

    def _enabled(self, statement: SavedStatement) -> str:
        """Write what enables an event anew: whoever alters one becomes its definer otherwise."""
        origin = self._origins.get((ObjectKind.EVENT, statement.name))
        if origin is None:
            _refuse(statement, "it is about an event that is not made")
        definer = f"DEFINER={origin.header.definer} " if origin.header.definer else ""
        return f"ALTER {definer}EVENT {quote(statement.name)} ENABLE"


def _label(statement: SavedStatement) -> str:
    return f"{statement.kind} statement {statement.name!r}".replace(" ''", "")


def _refuse(statement: SavedStatement, problem: str) -> NoReturn:
    raise UnsupportedObjectError(f"{_label(statement)} is not executed: {problem}", hint=_HINT)
