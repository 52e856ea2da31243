"""
Views, triggers, routines and events as statements that load in one pass.

Order: placeholders for all views and for functions that use views, the other routines, the views
themselves, those functions, triggers, events (disabled), and last the statements that enable events.
A placeholder has the view's columns, so neither views on views, nor functions used by views, nor
views used by functions wait for each other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

from app.domain.backups.manifest import ObjectKind, StatementKind
from app.domain.ports import Statement
from app.engine.schema.databases import Schema
from app.engine.schema.definitions import TAKEN_AWAY
from app.engine.schema.objects import ROUTINE_KINDS, Definition
from app.engine.sql.contained import LONG_AGO, NOW
from app.engine.sql.ddl import is_text, tokens, unquoted_parts
from app.engine.sql.events import disabled_event, last_time, schedule
from app.engine.sql.quoting import quote, quote_text
from app.engine.sql.references import with_databases
from app.errors import UnsupportedObjectError


RESET: Final = (
    b"SET NAMES utf8mb4, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
    b"NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00';\n"
)
# Up to the return type; MariaDB and MySQL print the characteristics on lines of their own after it.
_SIGNATURE: Final = re.compile(r"CREATE .*?\) RETURNS [^\n]*", re.DOTALL)
# An aggregate function that asks for no row is refused.
_OF_NO_ROWS: Final = "BEGIN DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN NULL; LOOP FETCH GROUP NEXT ROW; END LOOP; END"
_EXECUTE: Final = b"EXECUTE IMMEDIATE @backstay_sql;\n"
# Kinds that are made anew without being dropped: views replace placeholders, triggers went with tables.
_REPLACED: Final = frozenset({ObjectKind.VIEW, ObjectKind.TRIGGER})
# What the mysql client takes for the begin of a comment, or rewrites.
_CLIENT_MARKS: Final = ("--", "#", "/*", "\r")
# Client character sets whose bytes are those of the file, with the last character they have.
_LARGEST: Final = {"utf8": "\uffff", "utf8mb3": "\uffff", "utf8mb4": "\U0010ffff"}


Phases: TypeAlias = tuple[Sequence[Statement], ...]


def object_phases(
    definitions: Sequence[Definition],
    schema: Schema,
    *,
    plain_names: bool,
    prepared: bool,
) -> Phases:
    """
    Write the objects of one database.

    Of several databases, each phase of all comes before the next one of any: views and routines may use
    those of the others.

    Args:
        definitions: From `read_objects`.
        schema: Their database.
        plain_names: Whether the database's own name is removed from views, so that the file loads
            into a database of any name.
        prepared: Whether the server prepares any CREATE from a variable.

    Returns:
        Placeholders of views; routines, and stubs of functions that use views; views; those
        functions; triggers and events. Each phase may be empty.
    """
    write = _Writer(schema, plain_names=plain_names, prepared=prepared)
    views = [definition for definition in definitions if definition.entry.kind is ObjectKind.VIEW]
    routines = [definition for definition in definitions if definition.entry.kind in ROUTINE_KINDS]
    events = [definition for definition in definitions if definition.entry.kind is ObjectKind.EVENT]
    stubs = {routine: stub for routine in routines if (stub := _stub(routine, views))}
    triggers = chain.from_iterable(
        write.compound(definition, StatementKind.TRIGGER, definition.sql)
        for definition in definitions
        if definition.entry.kind is ObjectKind.TRIGGER
    )
    return (
        [_placeholder(view) for view in views if view.entry.valid and not _is_document(view)],
        list(write.routines(routines, stubs)),
        list(chain.from_iterable(map(write.view, _by_need(views)))),
        list(write.real(stubs)),
        [*triggers, *write.events(events), Statement(StatementKind.SESSION, RESET)],
    )


def object_statements(
    definitions: Sequence[Definition],
    schema: Schema,
    *,
    plain_names: bool,
    prepared: bool,
) -> list[Statement]:
    """Write the objects of one database, all phases in their order; arguments as above."""
    phases = object_phases(definitions, schema, plain_names=plain_names, prepared=prepared)
    return list(chain.from_iterable(phases))


def status_statements(event: Definition, schema: Schema, *, enables: bool) -> list[Statement]:
    """
    Write what enables or disables an event that is there, and changes nothing else of it.

    Args:
        event: As it is.
        schema: Its database, which is selected.
        enables: Whether it fires afterwards.

    Returns:
        Statements in order.
    """
    write = _Writer(schema, plain_names=True, prepared=False)
    return list(write.altered(event, "ENABLE" if enables else "DISABLE"))


def _stub(routine: Definition, views: Sequence[Definition]) -> str:
    """
    Make a function that stands in for one that uses views.

    A view on such a function could not be created before the function, nor after it.

    Returns:
        CREATE FUNCTION with the same signature; empty when none is needed or the signature is not
        in the usual form.
    """
    if routine.entry.kind is not ObjectKind.FUNCTION:
        return ""
    if not any(view.entry.name in routine.sql for view in views):
        return ""
    signature = _SIGNATURE.match(routine.sql)
    if signature is None:
        return ""
    head = "".join(unquoted_parts(signature[0])).partition("(")[0]
    body = _OF_NO_ROWS if " AGGREGATE " in head else "RETURN NULL"
    return f"{signature[0]}\n    NO SQL\n{body}"


def _by_need(views: Sequence[Definition]) -> list[Definition]:
    """Sort views after those they name; a CHECK OPTION refuses a placeholder below it."""
    by_name = {quote(view.entry.name): view for view in views}
    done: dict[str, Definition] = {}
    waiting: set[str] = set()

    def visit(name: str) -> None:
        if name in done or name in waiting:
            return
        waiting.add(name)
        for part in tokens(by_name[name].sql):
            if part in by_name and part != name:
                visit(part)
        done[name] = by_name[name]

    for name in by_name:
        visit(name)
    return list(done.values())


def _is_document(view: Definition) -> bool:
    """Tell whether a view of MySQL shows rows as documents: such a one replaces no ordinary one (6483)."""
    return " JSON RELATIONAL DUALITY VIEW " in view.sql.partition(" AS ")[0]


def _placeholder(view: Definition) -> Statement:
    columns = ", ".join(f"1 AS {quote(column or TAKEN_AWAY)}" for column in view.columns)
    sql = f"CREATE OR REPLACE VIEW {quote(view.entry.name)} AS SELECT {columns};\n"
    return Statement(StatementKind.PLACEHOLDER, sql.encode(), name=view.entry.name)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the objects of one database."""

    schema: Schema
    plain_names: bool
    prepared: bool

    def routines(
        self, routines: Sequence[Definition], stubs: Mapping[Definition, str]
    ) -> Iterator[Statement]:
        """Write routines, or what stands in for some of them."""
        for routine in routines:
            stub = stubs.get(routine, "")
            kind = StatementKind.PLACEHOLDER if stub else StatementKind.ROUTINE
            yield from self.compound(routine, kind, stub or routine.sql)

    def real(self, functions: Iterable[Definition]) -> Iterator[Statement]:
        """Write functions in the place of what stood in for them."""
        for function in functions:
            drop = f"DROP FUNCTION {quote(function.entry.name)};\n".encode()
            yield Statement(StatementKind.SESSION, RESET)
            yield Statement(StatementKind.PLACEHOLDER, drop, name=function.entry.name)
            yield from self.compound(function, StatementKind.ROUTINE, function.sql)

    def events(self, events: Sequence[Definition]) -> Iterator[Statement]:
        """Write events so that none fires before the last of everything is there."""
        enabled = []
        for event in events:
            sql, was_enabled = disabled_event(event.sql)
            statements = self.compound(event, StatementKind.EVENT, sql)
            yield from _long_ago(statements) if last_time(sql) else statements
            if was_enabled:
                enabled.append(event)
        for event in enabled:
            yield from self.enabled(event)

    def view(self, view: Definition) -> Iterator[Statement]:
        """Write a view; one that the server itself cannot use as a comment."""
        sql = with_databases(view.sql, {self.schema.name: ""}) if self.plain_names else view.sql
        real = f"CREATE OR REPLACE {sql.removeprefix('CREATE ')}"
        if view.entry.valid:
            yield from self._created(view, StatementKind.VIEW, real)
            return
        # The client would stop at it; a restore by this program takes the marks off and tries.
        commented = "".join(f"-- {line}\n" for line in re.split(r"[\r\n]", f"{real};"))
        yield Statement(StatementKind.INVALID_VIEW, commented.encode(), name=view.entry.name)

    def compound(
        self, definition: Definition, kind: StatementKind, sql: str
    ) -> Iterator[Statement]:
        """Write an object that has a body."""
        created = self._created(definition, kind, sql)
        yield from self._with_database_collation(definition, created)

    def enabled(self, event: Definition) -> Iterator[Statement]:
        """Enable an event; whoever alters one becomes its definer and gives it a session."""
        yield from self._with_database_collation(event, self._enabled(event))

    def altered(self, event: Definition, status: str) -> Iterator[Statement]:
        """Alter the status of an event; its definer is named, or it would become the one who alters it."""
        definer = f"DEFINER={event.entry.definer} " if event.entry.definer else ""
        text = f"ALTER {definer}EVENT {quote(event.entry.name)} {status};\n"
        statements = [
            Statement(StatementKind.SESSION, _session(event).encode()),
            Statement(StatementKind.ENABLE_EVENT, text.encode(), name=event.entry.name),
            Statement(StatementKind.SESSION, RESET),
        ]
        return self._with_database_collation(event, statements)

    def _enabled(self, event: Definition) -> Iterator[Statement]:
        session = Statement(StatementKind.SESSION, _session(event).encode())
        until = last_time(event.sql)
        definer = f"DEFINER={event.entry.definer} " if event.entry.definer else ""
        altered = f"ALTER {definer}EVENT {quote(event.entry.name)}"
        text, after = f"{altered} ENABLE", ""
        if until and self.prepared and not set("'\\") & set(text):
            # Or it would fire as soon as somebody loads an old file.
            text = f"EXECUTE IMMEDIATE IF(NOW() < {until}, {quote_text(text)}, 'DO 0')"
        elif self.prepared and not _is_plain(event, text):
            yield from _variable(text)
            yield session
            yield Statement(StatementKind.ENABLE_EVENT, _EXECUTE, name=event.entry.name)
            return
        elif until:
            # The same without a condition: with its schedule one that is over, and may stay, is disabled.
            when, stays = schedule(event.sql)
            text = f"{altered} {when} ON COMPLETION PRESERVE ENABLE"
            after = "" if stays else f"{altered} ON COMPLETION NOT PRESERVE;\n"
        yield session
        yield from _for_the_client(event, text)
        yield Statement(StatementKind.ENABLE_EVENT, f"{text};\n".encode(), name=event.entry.name)
        if after:  # a restore by this program looks at the time itself
            yield Statement(StatementKind.TEXT, after.encode())

    def _with_database_collation(
        self, definition: Definition, statements: Iterable[Statement]
    ) -> Iterator[Statement]:
        """Write statements about an object while the database has the collation of its creation."""
        differs = definition.database_collation not in {"", self.schema.collation}
        if differs:
            yield _database_collation(definition.database_collation)
        yield from statements
        if differs:
            yield _database_collation(self.schema.collation)

    def _created(
        self, definition: Definition, kind: StatementKind, sql: str
    ) -> Iterator[Statement]:
        """Write one CREATE, in the session that the object was made in."""
        entry = definition.entry
        name = entry.name
        if not is_text(sql):
            raise UnsupportedObjectError(
                f"{entry.kind} {name!r} was made with bytes that are no text of any character set",
                hint="Make it anew, or leave it out with --exclude-table.",
            )
        variable = self.prepared and not _is_plain(definition, sql)
        drop = f"DROP {entry.kind.value.upper()} IF EXISTS {quote(name)};\n"
        drops = [] if entry.kind in _REPLACED else [Statement(StatementKind.DROP, drop.encode())]
        if variable:
            yield from _variable(sql)
            yield from drops
            yield Statement(StatementKind.SESSION, _session(definition).encode())
            yield Statement(kind, _EXECUTE, name=name)
            return
        yield Statement(StatementKind.SESSION, _session(definition).encode())
        yield from _for_the_client(definition, sql)
        yield from drops
        delimiter = next(mark for mark in _delimiters() if mark not in sql)
        yield Statement(StatementKind.TEXT, f"DELIMITER {delimiter}\n".encode())
        yield Statement(kind, sql.encode(), name=name)
        yield Statement(StatementKind.TEXT, f"\n{delimiter}\nDELIMITER ;\n".encode())


def _variable(sql: str) -> Iterator[Statement]:
    """Put a statement into a variable, which the server converts to whatever session executes it."""
    yield Statement(StatementKind.SESSION, RESET)
    text = f"SET @backstay_sql = {quote_text(sql)};\n"
    yield Statement(StatementKind.SESSION, text.encode())


def _for_the_client(definition: Definition, sql: str) -> Iterator[Statement]:
    """
    Let the mysql client send a statement as the file holds it.

    Yields:
        Nothing where that is how the object's session reads it too. Else its text is right, and its
        character_set_client is utf8mb4; a restore by this program sends it in the session's own.
    """
    if not sql.isascii() and definition.charset not in _LARGEST:
        yield Statement(StatementKind.TEXT, b"SET SESSION character_set_client = utf8mb4;\n")


def _is_plain(definition: Definition, sql: str) -> bool:
    """
    Tell whether an object survives the mysql client as it is.

    The client drops comments from bodies and rewrites CR LF. And the file is UTF-8: what was made
    under, say, koi8r with other than ASCII characters is prepared from a variable, so that the server
    converts the text and the object keeps its character set.

    Returns:
        False when it must be prepared from a variable.
    """
    if any(mark in sql for mark in _CLIENT_MARKS):
        return False
    largest = _LARGEST.get(definition.charset, "")
    return sql.isascii() or max(sql) <= largest


def _delimiters() -> Iterator[str]:
    yield ";;"
    number = 0
    while True:
        yield f"$backstay{number}$"
        number += 1


def _database_collation(collation: str) -> Statement:
    """Routines remember the collation their database had; only the database can give it to them."""
    return Statement(
        StatementKind.SESSION, f"ALTER DATABASE COLLATE = {quote_text(collation)};\n".encode()
    )


def _long_ago(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Write an event that ends as before its end: of one that is over the server makes nothing."""
    yield Statement(StatementKind.SESSION, f"{LONG_AGO};\n".encode())
    yield from statements
    yield Statement(StatementKind.SESSION, f"{NOW};\n".encode())


def _session(definition: Definition) -> str:
    zone = definition.time_zone
    return (
        f"SET SESSION sql_mode = {quote_text(definition.sql_mode)},"
        f" character_set_client = {definition.charset},"
        f" collation_connection = {definition.collation}"
        f"{f', SESSION time_zone = {quote_text(zone)}' if zone else ''};\n"
    )


def uncommented(sql: bytes) -> bytes:
    """Return an INVALID_VIEW statement as SQL again."""
    return b"\n".join(line.removeprefix(b"-- ") for line in sql.rstrip(b"\n").split(b"\n"))
