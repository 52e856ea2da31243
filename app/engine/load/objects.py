"""
Views, triggers, routines and events of a live database, brought to a wanted state.

What is already as it should be is not touched, so nobody who reads through a view or calls a
procedure sees a gap, and a run that was interrupted is finished by running it again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from app.domain.backups.manifest import (
    Manifest,
    MemberKind,
    ObjectEntry,
    ObjectKind,
    StatementKind,
)
from app.domain.ports import MemberSource
from app.domain.restores.journal import ObjectSet, SavedStatement
from app.domain.restores.load import DatabaseLoad
from app.engine.schema.databases import Schema, read_schemas
from app.engine.schema.object_script import object_statements, uncommented
from app.engine.schema.objects import ROUTINE_KINDS, digest, read_objects
from app.engine.server.connection import Session
from app.engine.sql.ddl import unqualify
from app.engine.sql.quoting import qualified, quote, quote_text
from app.errors import StatementError


# Which objects a statement may be about; names are unique within each.
_KINDS: Final = {
    StatementKind.VIEW: frozenset({ObjectKind.VIEW}),
    StatementKind.INVALID_VIEW: frozenset({ObjectKind.VIEW}),
    StatementKind.TRIGGER: frozenset({ObjectKind.TRIGGER}),
    StatementKind.ROUTINE: frozenset(ROUTINE_KINDS),
    StatementKind.EVENT: frozenset({ObjectKind.EVENT}),
    StatementKind.ENABLE_EVENT: frozenset({ObjectKind.EVENT}),
}
_VIEW_PLACEHOLDER: Final = "CREATE OR REPLACE VIEW "
_EXECUTED: Final = frozenset({
    *_KINDS,
    StatementKind.SESSION,
    StatementKind.DROP,
    StatementKind.PLACEHOLDER,
})


async def read_archived_objects(
    source: MemberSource, manifest: Manifest, load: DatabaseLoad
) -> ObjectSet:
    """
    Read the objects of a backup that are to be restored.

    Args:
        source: Members of the backup.
        manifest: Of the backup.
        load: Which database, reduced to what is chosen.

    Returns:
        What the target should have.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    keys = {_key(entry) for entry in load.entry.objects}
    found: list[SavedStatement] = []
    for member in manifest.members:
        if member.kind is not MemberKind.OBJECTS or member.database != load.entry.name or not keys:
            continue
        found += [
            SavedStatement(listed.kind, _plain(listed.kind, text, load.entry.name), listed.name)
            for listed, text in zip(member.statements, await source.read(member), strict=True)
            if listed.kind in _EXECUTED
        ]
    return ObjectSet(
        source=load.entry.name,
        entries=load.entry.objects,
        statements=tuple(_statements_about(keys, found)),
        assumed=load.entry.collation,
    )


def _statements_about(
    keys: Collection[tuple[ObjectKind, str]], statements: Iterable[SavedStatement]
) -> Iterator[SavedStatement]:
    """Leave out statements about other objects, and the DROP that stands before each CREATE."""
    drop: SavedStatement | None = None
    for statement in statements:
        if statement.kind is StatementKind.DROP:
            drop = statement
        elif not statement.name:
            yield statement
        else:
            if any((kind, statement.name) in keys for kind in _kinds_of(statement)):
                yield from [drop, statement] if drop else [statement]
            drop = None


def _kinds_of(statement: SavedStatement) -> frozenset[ObjectKind]:
    """Return the kinds of objects that a statement may be about; a trigger and a view may share a name."""
    if statement.kind is not StatementKind.PLACEHOLDER:
        return _KINDS[statement.kind]
    is_view = statement.sql.startswith(_VIEW_PLACEHOLDER)
    return _KINDS[StatementKind.VIEW if is_view else StatementKind.ROUTINE]


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
    return ObjectSet(
        source=database,
        entries=tuple(definition.entry for definition in definitions),
        statements=tuple(
            SavedStatement(
                statement.kind, _plain(statement.kind, statement.sql, database), statement.name
            )
            for statement in statements
            if statement.kind in _EXECUTED
        ),
        charset=schema.charset,
        collation=schema.collation,
        assumed=schema.collation,
    )


def _plain(kind: StatementKind, text: bytes, database: str) -> str:
    """Return SQL for any database; bodies of routines, triggers and events stay as they are."""
    if kind is StatementKind.INVALID_VIEW:
        text = uncommented(text)
    sql = text.decode().removesuffix(";\n")
    return (
        unqualify(sql, database)
        if kind in {StatementKind.VIEW, StatementKind.INVALID_VIEW}
        else sql
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
    """
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
        wanted = {_key(entry): entry.definition_sha256 for entry in self._wanted.entries}
        kinds = {entry.kind for entry in (*self._wanted.entries, *self._wanted.unwanted)}
        found = await read_objects(
            self._session, schema, only_triggers=kinds <= {ObjectKind.TRIGGER}
        )
        self._live = {_key(definition.entry): definition.entry for definition in found}
        self._done = {
            _key(definition.entry)
            for definition in found
            if wanted.get(_key(definition.entry))
            == digest(definition, self._database, self._wanted.source)
        }
        # The order of a table's triggers is the order of their creation.
        torn = {
            entry.table
            for entry in self._wanted.entries
            if entry.kind is ObjectKind.TRIGGER and _key(entry) not in self._done
        }
        self._done -= {
            key for key, entry in self._live.items() if entry.table and entry.table in torn
        }

    async def drop_unwanted(self) -> None:
        """Drop what is unwanted, and triggers that are to be made again."""
        entries = [entry for entry in self._wanted.unwanted if _key(entry) in self._live]
        entries += [
            self._live[_key(entry)]
            for entry in self._wanted.entries
            if entry.kind is ObjectKind.TRIGGER and _key(entry) in self._live.keys() - self._done
        ]
        for entry in entries:
            await drop_object(self._session, self._database, entry)
            self._live.pop(_key(entry), None)

    async def create_missing(self, schema: Schema, *, enable_events: bool) -> list[str]:
        """Execute what is needed, in order, in a database that has the assumed collation meanwhile."""
        if self._done >= {_key(entry) for entry in self._wanted.entries}:
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
                    await self._session.query(drop, no_timeout=True)
                drop = ""
                warnings += await self._create(statement)
            else:
                drop = ""
        return warnings

    async def _create(self, statement: SavedStatement) -> list[str]:
        try:
            await self._session.query(statement.sql, no_timeout=True)
        except StatementError as exc:
            if statement.kind is not StatementKind.INVALID_VIEW:
                raise
            problem = f"view {self._database}.{statement.name} could not be created"
            return [f"{problem}: it was unusable when it was backed up ({exc})"]
        return []

    def _is_needed(self, statement: SavedStatement) -> bool:
        kinds = _kinds_of(statement)
        if statement.kind is StatementKind.PLACEHOLDER and ObjectKind.VIEW in kinds:
            return (ObjectKind.VIEW, statement.name) not in self._live
        return self._is_open(kinds, statement.name)

    def _is_open(self, kinds: frozenset[ObjectKind], name: str) -> bool:
        """Tell whether one of the wanted objects of a name is not as it should be."""
        return any(
            entry.name == name and entry.kind in kinds and _key(entry) not in self._done
            for entry in self._wanted.entries
        )


async def drop_object(session: Session, database: str, entry: ObjectEntry) -> None:
    """Drop a view, trigger, routine or event; one that is gone already is fine."""
    kind = entry.kind.value.upper()
    await session.query(f"DROP {kind} IF EXISTS {qualified(database, entry.name)}")


def unwanted_objects(
    present: Sequence[ObjectEntry], wanted: Sequence[ObjectEntry]
) -> tuple[ObjectEntry, ...]:
    """Return what is present and not wanted."""
    keys = {_key(entry) for entry in wanted}
    return tuple(entry for entry in present if _key(entry) not in keys)


def _key(entry: ObjectEntry) -> tuple[ObjectKind, str]:
    return entry.kind, entry.name
