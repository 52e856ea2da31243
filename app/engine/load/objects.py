"""
Views, triggers, routines and events of a live database, brought to a wanted state.

What is already as it should be is not touched, so nobody who reads through a view or calls a
procedure sees a gap, and a run that was interrupted is finished by running it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.restores.journal import ObjectSet, SavedStatement
from app.engine.load.archived import EXECUTED, kinds_of, object_key, plain_text
from app.engine.schema.databases import Schema, read_schemas
from app.engine.schema.object_script import object_statements
from app.engine.schema.objects import digest, read_objects
from app.engine.server.connection import Session
from app.engine.sql.contained import contain
from app.engine.sql.quoting import qualified, quote, quote_text
from app.errors import StatementError


async def read_live_objects(
    session: Session, database: str, tables: Iterable[str] | None
) -> ObjectSet:
    """
    Read the objects of a database as they are, with what makes them again.

    Args:
        session: Any.
        database: Its name.
        tables: Only the triggers of these tables; None = everything.

    Returns:
        What is there.

    Raises:
        PermissionDeniedError: A definition is hidden from this user.
    """
    (schema,) = await read_schemas(session, [database])
    definitions = await read_objects(session, schema, only_triggers=tables is not None)
    if tables is not None:
        wanted = set(tables)
        definitions = [definition for definition in definitions if definition.entry.table in wanted]
    statements = object_statements(
        definitions, schema, plain_names=True, prepared=session.flavor.prepared_ddl
    )
    saved = [
        SavedStatement(statement.kind, plain_text(statement.kind, statement.sql), statement.name)
        for statement in statements
        if statement.kind in EXECUTED
    ]
    return ObjectSet(
        source=database,
        entries=tuple(definition.entry for definition in definitions),
        statements=contain(saved, database).statements,
        charset=schema.charset,
        collation=schema.collation,
        assumed=schema.collation,
    )


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
    wanted = replace(wanted, statements=contain(wanted.statements, wanted.source).statements)
    (schema,) = await read_schemas(session, [database])
    if wanted.collation and wanted.collation != schema.collation:
        schema = Schema(database, wanted.charset, wanted.collation)
        await _set_default_collation(session, database, schema.collation)
    if not wanted.entries and not wanted.unwanted:
        return []
    change = _ObjectChange(session, database, wanted)
    await change.compare(schema)
    await change.drop_unwanted()
    return await change.create_missing(schema, enable_events=enable_events)


async def _set_default_collation(session: Session, database: str, collation: str) -> None:
    """Give a database a default collation, and its character set."""
    await session.query(f"ALTER DATABASE {quote(database)} COLLATE = {quote_text(collation)}")


class _ObjectChange:
    """From the objects of a database to the wanted ones; statements run as far as they are needed."""

    def __init__(self, session: Session, database: str, wanted: ObjectSet) -> None:
        self._session = session
        self._database = database
        self._wanted = wanted
        self._live: dict[tuple[ObjectKind, str], ObjectEntry] = {}
        self._done: set[tuple[ObjectKind, str]] = set()

    async def compare(self, schema: Schema) -> None:
        """Find out what is there, and what of it is as it should be."""
        wanted = {object_key(entry): entry.definition_sha256 for entry in self._wanted.entries}
        kinds = {entry.kind for entry in (*self._wanted.entries, *self._wanted.unwanted)}
        found = await read_objects(
            self._session, schema, only_triggers=kinds <= {ObjectKind.TRIGGER}
        )
        self._live = {object_key(definition.entry): definition.entry for definition in found}
        self._done = {
            object_key(definition.entry)
            for definition in found
            if wanted.get(object_key(definition.entry))
            == digest(definition, self._database, self._wanted.source)
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
                await self._session.query(statement.sql)
            elif self._is_needed(statement) and (
                enable_events or statement.kind is not StatementKind.ENABLE_EVENT
            ):
                if drop:
                    await self._run(drop)
                drop = ""
                warnings += await self._create(statement)
            else:
                drop = ""
        return warnings

    async def _create(self, statement: SavedStatement) -> list[str]:
        try:
            await self._run(statement.sql)
        except StatementError as exc:
            if statement.kind is not StatementKind.INVALID_VIEW:
                raise
            problem = f"view {self._database}.{statement.name} could not be created"
            return [f"{problem}: it was unusable when it was backed up ({exc})"]
        return []

    async def _run(self, sql: str) -> None:
        """Send a statement in the character set of the session, which the object keeps."""
        await self._session.query(await _in_session_charset(self._session, sql), no_timeout=True)

    def _is_needed(self, statement: SavedStatement) -> bool:
        kinds = kinds_of(statement)
        if statement.kind is StatementKind.PLACEHOLDER and ObjectKind.VIEW in kinds:
            return (ObjectKind.VIEW, statement.name) not in self._live
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
    kind = entry.kind.value.upper()
    await session.query(f"DROP {kind} IF EXISTS {qualified(database, entry.name)}")


def unwanted_objects(
    present: Sequence[ObjectEntry], wanted: Sequence[ObjectEntry]
) -> tuple[ObjectEntry, ...]:
    """Return what is present and not wanted."""
    keys = {object_key(entry) for entry in wanted}
    return tuple(entry for entry in present if object_key(entry) not in keys)
