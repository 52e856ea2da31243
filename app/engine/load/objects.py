"""
Views, triggers, routines and events of a live database, brought to a wanted state.

What is already as it should be is not touched, so nobody who reads through a view or calls a
procedure sees a gap, and a run that was interrupted is finished by running it again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.restores.journal import ObjectSet, RoutineGrant, SavedStatement
from app.engine.load.archived import EXECUTED, kinds_of, object_key, plain_text
from app.engine.schema.databases import Schema, read_schemas
from app.engine.schema.object_script import RESET, object_statements
from app.engine.schema.objects import is_defined_as, read_objects
from app.engine.schema.routine_grants import PACKAGES, ensure_grants, read_routine_grants
from app.engine.server.connection import OTHER_SUBTRACTION, Session
from app.engine.server.errors import about
from app.engine.sql.contained import LONG_AGO, contain, or_replace
from app.engine.sql.events import last_time
from app.engine.sql.quoting import about_package, qualified, quote, quote_text
from app.errors import PermissionDeniedError, StatementError


_NOT_PARSED: Final = 1064
# A view of rows as documents (JSON duality) and an ordinary one do not replace each other.
_OTHER_VIEW: Final = 6483
# Settings of a session that go without saying, where the server does not let us change them.
_REFUSALS: Final = {LONG_AGO: (StatementError, PermissionDeniedError)}


async def read_live_objects(
    session: Session,
    database: str,
    tables: Iterable[str] | None,
    besides: Collection[tuple[ObjectKind, str]] = (),
) -> ObjectSet:
    """
    Read the objects of a database as they are, with what makes them again.

    Args:
        session: Any.
        database: Its name.
        tables: Only the triggers of these tables; None = everything.
        besides: Kinds and names of what is read as well.

    Returns:
        What is there.

    Raises:
        PermissionDeniedError: A definition is hidden from this user.
    """
    (schema,) = await read_schemas(session, [database])
    only_triggers = tables is not None and not besides
    definitions = (await read_objects(session, schema, only_triggers=only_triggers)).definitions
    if tables is not None:
        kept, names = set(besides), set(tables)
        definitions = [
            d for d in definitions if d.entry.table in names or object_key(d.entry) in kept
        ]
    statements = object_statements(
        definitions, schema, plain_names=True, prepared=session.flavor.prepared_ddl
    )
    saved = [
        SavedStatement(statement.kind, plain_text(statement.kind, statement.sql), statement.name)
        for statement in statements
        if statement.kind in EXECUTED
    ]
    entries = tuple(definition.entry for definition in definitions)
    grants = () if only_triggers else await read_routine_grants(session, database)
    return ObjectSet(
        source=database,
        entries=entries,
        statements=contain(saved, database).statements,
        charset=schema.charset,
        collation=schema.collation,
        assumed=schema.collation,
        comment=schema.comment,
        grants=grants_on(entries, grants or ()),
    )


def grants_on(
    entries: Sequence[ObjectEntry], grants: Iterable[RoutineGrant]
) -> tuple[RoutineGrant, ...]:
    """Return the grants on routines that are among some objects."""
    routines = {(entry.kind, entry.name.lower()) for entry in entries}
    return tuple(grant for grant in grants if (grant.kind, grant.name.lower()) in routines)


async def apply_objects(
    session: Session,
    database: str,
    wanted: ObjectSet,
    *,
    enable_events: bool = True,
) -> list[str]:
    """
    Bring a database to exactly the wanted objects, apart from those nobody mentions.

    Args:
        session: Left in the loading state if it was so before, unless an error is raised.
        database: Where.
        wanted: What should be there, and what not.
        enable_events: False for a drill: events are made, but none fires.

    Returns:
        Warnings: views that cannot be created here, and could not be used there either.

    Raises:
        DatabaseError: The server refused; running it again goes on from there.
        UnsupportedObjectError: A statement could work on another database; none was executed.
    """
    # Again, because a journal of an earlier version holds statements as they were.
    contained = contain(wanted.statements, wanted.source)
    wanted = replace(wanted, statements=contained.statements)
    (schema,) = await read_schemas(session, [database])
    if wanted.collation and wanted.collation != schema.collation:
        schema = replace(schema, charset=wanted.charset, collation=wanted.collation)
        await _set_default_collation(session, database, schema.collation)
    warnings: list[str] = []
    if wanted.entries or wanted.unwanted:
        events = {
            name: last_time(origin.sql)
            for (kind, name), origin in contained.origins.items()
            if kind is ObjectKind.EVENT
        }
        change = _ObjectChange(session, database, wanted, events)
        await change.compare(schema)
        await change.drop_unwanted()
        warnings = await change.create_missing(schema, enable_events=enable_events)
        warnings += await ensure_grants(session, database, wanted.grants)
    await _set_comment(session, database, wanted.comment)
    return warnings


async def _set_comment(session: Session, database: str, comment: str | None) -> None:
    """Give a database its comment, on a server that knows such."""
    if comment is None:
        return
    (schema,) = await read_schemas(session, [database])
    if comment != schema.comment and session.flavor.has_schema_comments:
        await session.query(f"ALTER DATABASE {quote(database)} COMMENT = {quote_text(comment)}")


async def apply_together(
    session: Session,
    wanted: Sequence[tuple[str, ObjectSet]],
    *,
    enable_events: bool = True,
) -> list[str]:
    """
    Bring several databases to their wanted objects, which may use those of the others.

    A database whose objects miss some of another is tried again when that one has them, or has what
    stands in for them.

    Args:
        session: As for `apply_objects`.
        wanted: Each database with its objects.
        enable_events: As for `apply_objects`.

    Returns:
        Warnings, as of `apply_objects`.

    Raises:
        StatementError: The server refused, after nothing more could be done for any of them.
        DatabaseError: The connection is lost, or a right is missing.
        UnsupportedObjectError: A statement could work on another database.
    """
    warnings: list[str] = []
    pending = list(wanted)
    for tries_left in range(len(pending), -1, -1):
        refused = []
        for database, objects in pending:
            try:
                warnings += await apply_objects(
                    session, database, objects, enable_events=enable_events
                )
            except StatementError:
                if not tries_left or len(wanted) == 1:
                    raise
                refused.append((database, objects))
                await session.query(RESET)
        pending = refused
    return warnings


async def _set_default_collation(session: Session, database: str, collation: str) -> None:
    """Give a database a default collation, and its character set."""
    await session.query(f"ALTER DATABASE {quote(database)} COLLATE = {quote_text(collation)}")


class _ObjectChange:
    """From the objects of a database to the wanted ones; statements run as far as they are needed."""

    def __init__(
        self, session: Session, database: str, wanted: ObjectSet, events: Mapping[str, str]
    ) -> None:
        self._session = session
        self._database = database
        self._wanted = wanted
        self._live: dict[tuple[ObjectKind, str], ObjectEntry] = {}
        self._done: set[tuple[ObjectKind, str]] = set()
        self._unusable = {object_key(entry) for entry in wanted.entries if not entry.valid}
        self._unparsable: set[str] = set()  # events, which are to be enabled later
        self._events = events  # when each is over, in its own zone

    async def compare(self, schema: Schema) -> None:
        """Find out what is there, and what of it is as it should be."""
        wanted = {object_key(entry): entry.definition_sha256 for entry in self._wanted.entries}
        kinds = {entry.kind for entry in (*self._wanted.entries, *self._wanted.unwanted)}
        only_triggers = kinds <= {ObjectKind.TRIGGER}
        present = await read_objects(self._session, schema, only_triggers=only_triggers)
        found = present.definitions
        self._live = {object_key(definition.entry): definition.entry for definition in found}
        self._done = {
            object_key(definition.entry)
            for definition in found
            if is_defined_as(
                definition,
                wanted.get(object_key(definition.entry)),
                self._database,
                self._wanted.source,
            )
        }
        # The order of a table's triggers is the order of their creation.
        torn = {
            entry.table
            for entry in self._wanted.entries
            if entry.kind is ObjectKind.TRIGGER and object_key(entry) not in self._done
        }
        self._done -= {
            key for key, entry in self._live.items() if entry.table and entry.table in torn
        }
        # A package goes with its body.
        self._done -= {
            (ObjectKind.PACKAGE_BODY, name)
            for kind, name in wanted.keys() - self._done
            if kind is ObjectKind.PACKAGE
        }

    async def drop_unwanted(self) -> None:
        """Drop what is unwanted, and triggers that are to be made again."""
        entries = [entry for entry in self._wanted.unwanted if object_key(entry) in self._live]
        entries += [
            self._live[object_key(entry)]
            for entry in self._wanted.entries
            if entry.kind is ObjectKind.TRIGGER
            and object_key(entry) in self._live.keys() - self._done
        ]
        for entry in entries:
            await drop_object(self._session, self._database, entry)
            self._live.pop(object_key(entry), None)

    async def create_missing(self, schema: Schema, *, enable_events: bool) -> list[str]:
        """Execute what is needed, in order, in a database that has the assumed collation meanwhile."""
        if self._done >= {object_key(entry) for entry in self._wanted.entries}:
            return []
        await self._session.use(self._database)
        differs = self._wanted.assumed not in {"", schema.collation}
        if differs:
            await _set_default_collation(self._session, self._database, self._wanted.assumed)
        try:
            warnings = await self._execute(enable_events=enable_events)
        except StatementError:  # perhaps between two statements of the set that change the default
            await _set_default_collation(self._session, self._database, schema.collation)
            raise
        if differs:
            await _set_default_collation(self._session, self._database, schema.collation)
        return warnings

    async def _execute(self, *, enable_events: bool) -> list[str]:
        warnings: list[str] = []
        drop = ""
        for statement in self._wanted.statements:
            if statement.kind is StatementKind.DROP:
                drop = statement.sql  # of the object whose CREATE comes next
            elif statement.kind is StatementKind.SESSION:
                with suppress(*_REFUSALS.get(statement.sql, ())):
                    await self._session.query(self._known_modes(statement.sql))
            elif self._is_needed(statement) and (
                statement.kind is not StatementKind.ENABLE_EVENT
                or (enable_events and statement.name not in self._unparsable)
            ):
                warnings += await self._replace(statement, drop)
                drop = ""
            else:
                drop = ""
        return warnings

    async def _replace(self, statement: SavedStatement, drop: str) -> list[str]:
        """Create an object in the place of one that may be there; grants on that stay where they can."""
        is_routine = ObjectKind.FUNCTION in kinds_of(statement)
        if is_routine and self._session.flavor.replaces_routines:
            if statement.sql.startswith("DROP FUNCTION "):  # of a stand-in
                return []
            return await self._create(replace(statement, sql=or_replace(statement.sql)))
        if drop:
            await self._run(drop)
        return await self._create(statement)

    async def _create(self, statement: SavedStatement) -> list[str]:
        label = f"{self._database}.{statement.name}"
        if statement.kind is StatementKind.ENABLE_EVENT and await self._is_over(statement.name):
            return [f"event {label} was made, and not enabled: its last time has passed"]
        with about(f"{statement.kind} {label}"):
            try:
                await self._make(statement)
            except (StatementError, PermissionDeniedError) as exc:
                if statement.kind is StatementKind.INVALID_VIEW:
                    problem = f"view {label} could not be created"
                    return [f"{problem}: it was unusable when it was backed up ({exc})"]
                if (ObjectKind.VIEW, statement.name) in self._unusable:
                    return [f"view {label} was left out ({exc})"]
                is_parsed = not isinstance(exc, StatementError) or exc.errno != _NOT_PARSED
                # The one that stands in for a view would pass for it.
                if is_parsed or statement.kind is StatementKind.VIEW:
                    raise
                if statement.kind is StatementKind.EVENT:
                    self._unparsable.add(statement.name)
                # It came with an upgrade, and cannot be put back; a proof that wants it says so as well.
                return [
                    f"{statement.kind} {label} could not be created: no server of this version can"
                ]
        return []

    async def _make(self, statement: SavedStatement) -> None:
        try:
            await self._run(statement.sql)
        except StatementError as exc:
            if exc.errno == OTHER_SUBTRACTION and statement.kind is StatementKind.TRIGGER:
                await self._open_table(statement.name)
            elif exc.errno == _OTHER_VIEW:
                await self._session.query(f"DROP VIEW {qualified(self._database, statement.name)}")
            else:
                raise
            await self._run(statement.sql)

    async def _open_table(self, trigger: str) -> None:
        """Open the table of a trigger that keeps a mode in which the server does not open it."""
        for entry in self._wanted.entries:
            if entry.kind is ObjectKind.TRIGGER and entry.name == trigger:
                sql = f"SELECT 1 FROM {qualified(self._database, entry.table)} LIMIT 0"
                await self._run(sql)

    async def _is_over(self, event: str) -> bool:
        """Tell whether an event's last time has passed; the session is in its time zone."""
        until = self._events[event]
        return bool(until) and await self._session.scalar(f"SELECT {until} <= NOW()") == "1"

    def _known_modes(self, sql: str) -> str:
        """Leave out of a session's setting what the server does not know because it always does so."""
        for mode in self._session.flavor.needless_modes:
            if mode in sql and not sql.startswith("SET @"):
                sql = sql.replace(f"{mode},", "").replace(f",{mode}", "").replace(mode, "")
        return sql

    async def _run(self, sql: str) -> None:
        """Send a statement in the character set of the session, which the object keeps."""
        await self._session.define(await _in_session_charset(self._session, sql))

    def _is_needed(self, statement: SavedStatement) -> bool:
        kinds = kinds_of(statement)
        if statement.kind is StatementKind.PLACEHOLDER and ObjectKind.VIEW in kinds:
            key = ObjectKind.VIEW, statement.name
            return key not in self._live and key not in self._unusable
        return self._is_open(kinds, statement.name)

    def _is_open(self, kinds: frozenset[ObjectKind], name: str) -> bool:
        """Tell whether one of the wanted objects of a name is not as it should be."""
        return any(
            entry.name == name and entry.kind in kinds and object_key(entry) not in self._done
            for entry in self._wanted.entries
        )


async def _in_session_charset(session: Session, sql: str) -> str | bytes:
    """Let the server convert a statement; not all of its character sets are known elsewhere."""
    if sql.isascii():
        return sql
    charset = await session.scalar("SELECT @@SESSION.character_set_client")
    if charset.startswith("utf8"):
        return sql
    text = f"CONVERT(X'{sql.encode().hex()}' USING utf8mb4)"
    return bytes.fromhex(await session.scalar(f"SELECT HEX(CONVERT({text} USING {charset}))"))


async def drop_object(session: Session, database: str, entry: ObjectEntry) -> None:
    """Drop a view, trigger, routine or event; one that is gone already is fine."""
    sql = f"DROP {entry.kind.value.upper()} IF EXISTS {qualified(database, entry.name)}"
    await session.define(about_package(sql) if entry.kind in PACKAGES else sql)
