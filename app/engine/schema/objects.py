"""
Views, triggers, routines and events, as SHOW CREATE prints them.

`app.engine.schema.object_script` writes them into the file.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from app.domain.backups.manifest import ObjectEntry, ObjectKind
from app.engine.schema.databases import Schema, read_events
from app.engine.schema.definitions import as_typed, can_be_made, is_doubled, view_as_typed
from app.engine.server.connection import Session
from app.engine.server.description import strictness
from app.engine.sql.ddl import fingerprint, printed, unqualify, utf8_only
from app.engine.sql.events import enabled_event, last_time
from app.engine.sql.headers import read_header
from app.engine.sql.quoting import folded, quote, quote_text, same_name
from app.errors import PermissionDeniedError, StatementError, UnsupportedObjectError


# It was dropped meanwhile: a view, routine, trigger or event.
_GONE: Final = frozenset({1146, 1305, 1360, 1539})
_STORED: Final = "stored"  # in the place of a name: of a view not even shown, or not to be made


@dataclass(frozen=True, slots=True)
class Definition:
    """
    One object as SHOW CREATE prints it, but for any database, with the session it is created in.

    Attributes:
        entry: What the manifest says about it.
        sql: CREATE statement without a terminator; its header names no schema.
        sql_mode: Mode it was made in; empty string is a mode too. Of a view no server keeps it.
        charset: character_set_client.
        collation: collation_connection.
        database_collation: The database's collation when it was made; empty for views.
        time_zone: Of an event, else empty.
        order: Of a trigger among those of the same moment, else empty.
        columns: Of a valid view.
        over: Whether it is an event whose last time has passed.
    """

    entry: ObjectEntry
    sql: str
    sql_mode: str
    charset: str
    collation: str
    database_collation: str = ""
    time_zone: str = ""
    order: str = ""
    columns: tuple[str, ...] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class SchemaObjects:
    """
    What a database holds besides tables.

    Attributes:
        definitions: Views, routines, triggers in their order of action, events; unsorted by dependency.
        unreadable: What the server keeps and cannot open, and why, for people.
    """

    definitions: list[Definition]
    unreadable: list[str]


ROUTINE_KINDS: Final = (
    ObjectKind.FUNCTION,
    ObjectKind.PROCEDURE,
    ObjectKind.PACKAGE,
    ObjectKind.PACKAGE_BODY,
)
# As information_schema and mysql.procs_priv name them.
ROUTINE_TYPES: Final = {kind.value.upper(): kind for kind in ROUTINE_KINDS}


async def read_objects(
    session: Session, schema: Schema, *, only_triggers: bool = False, bodies: bool = True
) -> SchemaObjects:
    """
    Read everything of a database that is not a table or sequence.

    Leaves the session with that database selected, because the server prints a view's own tables
    without a qualifier only then.

    Args:
        session: Any.
        schema: The database.
        only_triggers: Leave out the rest, which may be hidden from this user.
        bodies: Whether routines and events, which may be hidden as well, are read.

    Returns:
        All that can be read, and what cannot.

    Raises:
        PermissionDeniedError: A definition is hidden from this user.
        UnsupportedObjectError: A header is in no form that is known here.
    """
    await session.use(schema.name)
    reader = _Reader(session, schema)
    found = await reader.triggers()
    if not only_triggers:
        views = await reader.views()
        if bodies:
            found = [*await reader.routines(), *found, *await reader.events()]
        found = [*views, *found]
    definitions = [
        replace(
            definition,
            entry=replace(definition.entry, definition_sha256=digest(definition, schema.name)),
        )
        for definition in found
    ]
    return SchemaObjects(definitions, reader.unreadable)


def digest(definition: Definition, database: str, source: str = "") -> str:
    """
    Digest all that makes an object what it is.

    Args:
        definition: Of the object.
        database: Where it is; it is the same object in a database of another name.
        source: Where it was backed up; bodies of routines go on to name that database.

    Returns:
        SHA-256 of its normalised SHOW CREATE and of the session it is created in.
    """
    parts = (
        unqualify(definition.sql, source) if source else definition.sql,
        definition.sql_mode * (definition.entry.kind is not ObjectKind.VIEW),  # no view keeps one
        definition.charset,
        definition.collation,
        definition.database_collation,
        definition.time_zone,
        definition.order,
    )
    return fingerprint("\n".join(parts), database)


def is_defined_as(
    definition: Definition, wanted: str | None, database: str, source: str = ""
) -> bool:
    """
    Tell whether an object is what a digest is of.

    Returns:
        True also for a view whose folded text it is of, and for an event that was enabled and is
        disabled, when its last time has passed: enabled it would be executed at once, or dropped.
    """
    forms = [definition]
    if definition.entry.kind is ObjectKind.VIEW:
        forms.append(replace(definition, sql=folded(definition.sql)))
    if definition.over:
        forms.append(replace(definition, sql=enabled_event(definition.sql)))
    return any(digest(form, database, source) == wanted for form in forms)


async def list_views(session: Session, database: str) -> list[str]:
    """List the names of the views of a database."""
    rows = await session.texts(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'VIEW'"
        f" AND {same_name('TABLE_SCHEMA', database)} ORDER BY TABLE_NAME",
    )
    return [name for (name,) in rows]


class _Reader:
    """Reads the objects of one database, which is selected; used once."""

    def __init__(self, session: Session, schema: Schema) -> None:
        self._session = session
        self._database = schema.name
        self.unreadable: list[str] = []

    async def views(self) -> list[Definition]:
        """Read views."""
        found = []
        mode = await strictness(self._session)
        for name in await list_views(self._session, self._database):
            columns = await self._view_columns(name)
            if row := await self._show_view(name, valid=columns is not None):
                valid = columns is not None and row[0] != _STORED
                made = _definition(ObjectKind.VIEW, name, row, valid=valid)
                found.append(replace(made, sql_mode=mode, columns=tuple(columns or ())))
        return found

    async def _show_view(self, name: str, *, valid: bool) -> tuple[str, ...]:
        """Read a view in the columns that SHOW CREATE has for others."""
        try:
            ((_, sql, *session),) = await self._session.texts(f"SHOW CREATE VIEW {quote(name)}")
        except StatementError as exc:
            # MySQL describes views that it cannot read, such as of sjis with a backslash in a letter.
            if exc.is_passing or (valid and exc.errno in _GONE):
                raise
            return await self._stored_view(name)
        if self._session.flavor.spoils_expressions and is_doubled(sql, session[0]):
            self.unreadable.append(
                f"view {self._database}.{name} holds letters of {session[0]} that the server prints otherwise"
                " than it reads them"
            )
            return ()
        sql = await view_as_typed(self._session, printed := utf8_only(sql), session[0])
        can = await can_be_made(self._session, name, sql, is_misread=sql != printed)
        return ("" if can else _STORED, "", sql, *session, "")

    async def _stored_view(self, name: str) -> tuple[str, ...]:
        """Put together what is stored of a view that the server does not even show."""
        rows = await self._session.texts(
            "SELECT VIEW_DEFINITION, DEFINER, SECURITY_TYPE, CHECK_OPTION, CHARACTER_SET_CLIENT,"
            " COLLATION_CONNECTION FROM information_schema.VIEWS"
            f" WHERE {same_name('TABLE_SCHEMA', self._database)} AND {same_name('TABLE_NAME', name)}"
        )
        if not rows or not rows[0][0]:
            self.unreadable.append(f"view {self._database}.{name} cannot be opened")
            return ()
        select, definer, security, check, charset, collation = rows[0]
        user, _, host = definer.rpartition("@")
        owner = f"{quote(user)}@{quote(host)}" if host else quote(user)
        sql = f"CREATE DEFINER={owner} SQL SECURITY {security} VIEW {quote(name)} AS {select}"
        if check != "NONE":
            sql += f" WITH {check} CHECK OPTION"
        return (_STORED, "", utf8_only(sql), charset, collation, "")

    async def routines(self) -> list[Definition]:
        """Read functions, procedures and packages."""
        listing = await self._session.texts(
            "SELECT ROUTINE_TYPE, ROUTINE_NAME, ROUTINE_COMMENT FROM information_schema.ROUTINES"
            f" WHERE {same_name('ROUTINE_SCHEMA', self._database)}"
            " ORDER BY ROUTINE_TYPE, ROUTINE_NAME",
        )
        found = []
        for kind_text, name, comment in listing:
            kind = ROUTINE_TYPES[kind_text.upper()]
            if not (row := await self._show(kind, name)):
                continue
            if not row[2]:
                right = self._session.flavor.routine_right
                raise PermissionDeniedError(
                    f"the body of {kind} {self._database}.{name} is hidden from this user",
                    hint=f"GRANT {right} TO the user of BACKSTAY_DATABASE_URL;",
                )
            _, sql_mode, sql, *columns = row
            exact = _with_comment(sql, comment, sql_mode)
            found.append(_definition(kind, name, (name, sql_mode, exact, *columns)))
        return sorted(found, key=lambda definition: ROUTINE_KINDS.index(definition.entry.kind))

    async def triggers(self) -> list[Definition]:
        """Read triggers in their order of action."""
        listing = await self._session.texts(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_ORDER FROM information_schema.TRIGGERS"
            f" WHERE {same_name('TRIGGER_SCHEMA', self._database)}"
            " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        )
        found = []
        for name, table, order in listing:
            if row := await self._show(ObjectKind.TRIGGER, name):
                made = _definition(ObjectKind.TRIGGER, name, row, table=table)
                found.append(replace(made, order=order))
        return found

    async def events(self) -> list[Definition]:
        """Read events, if the server shows any."""
        columns = "EVENT_NAME, EVENT_COMMENT"
        listing = await read_events(self._session, self._database, columns)
        if listing is None:
            await self._name_hidden_events()
        found = []
        for name, comment in listing or ():
            if row := await self._show(ObjectKind.EVENT, name):
                _, sql_mode, time_zone, sql, *others = row
                exact = _with_comment(sql, comment, sql_mode)
                made = _definition(ObjectKind.EVENT, name, (name, sql_mode, exact, *others))
                over = await is_over(self._session, made.sql, time_zone)
                found.append(replace(made, time_zone=time_zone, over=over))
        return found

    async def _show(self, kind: ObjectKind, name: str) -> tuple[str, ...]:
        """Ask for a definition; empty when the server has one and cannot open it."""
        try:
            (row,) = await self._session.texts(f"SHOW CREATE {kind.value.upper()} {quote(name)}")
        except StatementError as exc:
            if exc.is_passing or exc.errno in _GONE:
                raise
            self.unreadable.append(
                f"{kind} {self._database}.{name} cannot be opened (error {exc.errno})"
            )
            return ()
        row = await as_typed(self._session, kind, row)
        place = 3 if kind is ObjectKind.EVENT else 2  # its time zone stands before
        with suppress(
            UnsupportedObjectError
        ):  # whoever makes a definition of it says what is wrong
            if read_header(row[place], row[1]).name.lower() != name.lower():
                charset = row[place + 1]
                self.unreadable.append(
                    f"{kind} {self._database}.{name}, made under {charset}, is printed in letters that no"
                    " server reads"
                )
                return ()
        return row

    async def _view_columns(self, name: str) -> list[str] | None:
        """Return a view's columns, None when the server itself cannot use it."""
        try:
            rows = await self._session.texts(f"SHOW COLUMNS FROM {quote(name)}")
        except StatementError as exc:
            if exc.is_passing:
                raise
            return None
        except PermissionDeniedError:
            return None
        return [row[0] for row in rows]

    async def _name_hidden_events(self) -> None:
        """Find out whether there are events on a server that was started without."""
        why = "cannot be read: the server was started without events"
        try:
            rows = await self._session.texts(
                f"SELECT name FROM mysql.event WHERE {same_name('db', self._database)}"
            )
        except (PermissionDeniedError, StatementError):
            self.unreadable.append(f"events of {self._database}, if there are any, {why}")
        else:
            self.unreadable += [f"event {self._database}.{name} {why}" for (name,) in rows]


async def read_trigger_tables(session: Session, database: str) -> dict[str, str]:
    """Return the table of each trigger of a database, by the trigger's name."""
    rows = await session.texts(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
        f" WHERE {same_name('TRIGGER_SCHEMA', database)}"
    )
    return {row[0]: row[1] for row in rows}


async def is_over(session: Session, sql: str, time_zone: str) -> bool:
    """Tell whether the last time of a CREATE EVENT has passed."""
    until = last_time(sql)
    if not until:
        return False
    zone = quote_text(time_zone)
    return (
        await session.scalar(f"SELECT CONVERT_TZ({until}, {zone}, '+00:00') <= UTC_TIMESTAMP()")
        == "1"
    )


def _definition(
    kind: ObjectKind, name: str, row: Sequence[str], *, table: str = "", valid: bool = True
) -> Definition:
    """
    Make a definition from the columns that SHOW CREATE has for routines and triggers alike.

    Returns:
        All but what only some kinds have; the digest is still missing.

    Raises:
        UnsupportedObjectError: Its header is in no form that is known here.
    """
    _, sql_mode, sql, charset, collation, database_collation, *_ = row
    try:
        header = read_header(sql, sql_mode)
    except UnsupportedObjectError as exc:
        raise UnsupportedObjectError(f"{kind} {name!r}: {exc}", hint=exc.hint) from exc
    return Definition(
        entry=ObjectEntry(kind, name, table, valid, header.definer, definition_sha256=""),
        sql=header.sql,
        sql_mode=sql_mode,
        charset=charset,
        collation=collation,
        database_collation=database_collation,
    )


def _with_comment(sql: str, comment: str, sql_mode: str) -> str:
    """
    Write the comment of a routine or event for the session that makes it.

    The server prints it with backslashes always, also where they are characters like others.

    Args:
        sql: From SHOW CREATE.
        comment: What it says.
        sql_mode: Of the session.

    Returns:
        The statement that gives this comment.
    """
    if "NO_BACKSLASH_ESCAPES" not in sql_mode:
        return sql
    plain = comment.replace("'", "''")
    return sql.replace(f"COMMENT {printed(comment)}", f"COMMENT '{plain}'", 1)
