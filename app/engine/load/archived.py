"""
What a backup holds: its objects, as statements for any database, and the definitions of its tables.

Backups of earlier versions name their schema in the headers of triggers, and their manifests hold the
digests of those headers. Such a digest is replaced by the one of the header without that name, if it is
that of the statement in the file; otherwise it stays, and nothing will ever be equal to it.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from app.domain.backups.manifest import (
    DatabaseEntry,
    Manifest,
    MemberKind,
    ObjectEntry,
    ObjectKind,
    StatementKind,
)
from app.domain.ports import MemberSource
from app.domain.restores.journal import ObjectSet, SavedStatement
from app.domain.restores.load import DatabaseLoad
from app.engine.schema.object_script import uncommented
from app.engine.schema.objects import Definition, digest, is_defined_as
from app.engine.sql.contained import MAKES, VIEW_PLACEHOLDER, Contained, Origin, contain
from app.engine.sql.quoting import folded
from app.engine.sql.references import constraint_names, with_databases


EXECUTED: Final = frozenset({
    *MAKES,
    StatementKind.SESSION,
    StatementKind.DROP,
    StatementKind.PLACEHOLDER,
})
# Several triggers of one moment are rare, more than this are unheard of.
_MOST_TRIGGERS: Final = 100


async def read_archived_objects(
    source: MemberSource,
    manifest: Manifest,
    load: DatabaseLoad,
    places: Mapping[str, str] | None = None,
    *,
    folds: bool,
) -> ObjectSet:
    """
    Read the objects of a backup that are to be restored.

    Args:
        source: Members of the backup.
        manifest: Of the backup.
        load: Which database, reduced to what is chosen.
        places: Where other databases are that its views name; not given = under their names.
        folds: Whether the target keeps names of tables and aliases in lower case.

    Returns:
        What the target should have.

    Raises:
        ChecksumMismatchError: The archive is damaged.
        UnsupportedObjectError: A statement is none that makes one of them, and nothing else.
    """
    contained = await _read_contained(source, manifest, load, places)
    is_folded = folds and manifest.server.lower_case_table_names != 1
    entries = tuple(
        _in_places(
            load.entry,
            entry,
            contained.origins.get(object_key(entry)),
            places or {},
            is_folded=is_folded,
        )
        for entry in load.entry.objects
    )
    return ObjectSet(
        source=load.entry.name,
        entries=entries,
        statements=contained.statements,
        assumed=load.entry.collation,
    )


async def _read_contained(
    source: MemberSource,
    manifest: Manifest,
    load: DatabaseLoad,
    places: Mapping[str, str] | None = None,
) -> Contained:
    keys = {object_key(entry) for entry in load.entry.objects}
    found: list[SavedStatement] = []
    for member in manifest.members:
        if member.kind is not MemberKind.OBJECTS or member.database != load.entry.name or not keys:
            continue
        found += [
            SavedStatement(listed.kind, plain_text(listed.kind, text), listed.name)
            for listed, text in zip(member.statements, await source.read(member), strict=True)
            if listed.kind in EXECUTED
        ]
    folded = manifest.server.lower_case_table_names == 1
    return contain(_statements_about(keys, found), load.entry.name, places, folded=folded)


async def read_view_texts(
    source: MemberSource, manifest: Manifest, load: DatabaseLoad
) -> dict[str, str]:
    """
    Read the statements that make the usable views of a database.

    Returns:
        By name, with other databases named and its own not.

    Raises:
        ChecksumMismatchError: The archive is damaged.
        UnsupportedObjectError: A statement is none that makes one of them, and nothing else.
    """
    found = await _read_contained(source, manifest, load)
    usable = {entry.name for entry in load.entry.objects if entry.valid}
    return {
        name: with_databases(origin.sql, {load.entry.name: ""})
        for (kind, name), origin in found.origins.items()
        if kind is ObjectKind.VIEW and name in usable
    }


async def read_origins(
    source: MemberSource, manifest: Manifest, load: DatabaseLoad
) -> Mapping[tuple[ObjectKind, str], Origin]:
    """
    Read what makes each object of a database.

    Returns:
        What was written of it, by kind and name.

    Raises:
        ChecksumMismatchError: The archive is damaged.
        UnsupportedObjectError: A statement is none that makes one of them, and nothing else.
    """
    return (await _read_contained(source, manifest, load)).origins


async def iter_definitions(
    source: MemberSource, manifest: Manifest, tables: Collection[tuple[str, str]]
) -> AsyncIterator[tuple[str, str, str]]:
    """
    Read the definitions of tables.

    Args:
        source: Members of the backup.
        manifest: Of the backup.
        tables: Database and name of each that is wanted.

    Yields:
        Database, name and CREATE TABLE, bytes that are no UTF-8 as surrogate escapes; not of sequences.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    for member in manifest.members:
        if member.kind is MemberKind.SCHEMA and (member.database, member.table) in tables:
            for listed, text in zip(member.statements, await source.read(member), strict=True):
                if listed.kind is StatementKind.TABLE:
                    sql = text.decode("utf-8", "surrogateescape")
                    yield member.database, member.table, sql


async def read_constraint_names(
    source: MemberSource, manifest: Manifest, load: DatabaseLoad
) -> set[tuple[str, str]]:
    """
    Read what the foreign keys and CHECKs of the tables of a database are called.

    Returns:
        Kind and name of each, in small letters.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    tables = {(load.entry.name, table.name) for table in load.entry.tables}
    found: set[tuple[str, str]] = set()
    async for _, _, sql in iter_definitions(source, manifest, tables):
        found |= constraint_names(sql)
    return found


async def as_of_today(
    source: MemberSource, manifest: Manifest, load: DatabaseLoad, *, folds: bool
) -> DatabaseLoad:
    """
    Read all that makes the objects of a database, and describe them as this version does.

    Args:
        source: Members of the backup.
        manifest: Of the backup.
        load: Which database.
        folds: As above.

    Returns:
        The load with owners and digests read from the statements themselves.

    Raises:
        ChecksumMismatchError: The archive is damaged.
        UnsupportedObjectError: A statement is none that makes one of them, and nothing else.
    """
    if load.definitions or not load.entry.objects:  # those that are there stay
        return load
    found = await read_archived_objects(source, manifest, load, folds=folds)
    return replace(load, entry=replace(load.entry, objects=found.entries))


def plain_text(kind: StatementKind, text: bytes) -> str:
    """Return a statement of a file as the server takes it."""
    if kind is StatementKind.INVALID_VIEW:
        return uncommented(text).decode().removesuffix(";")
    return text.decode().removesuffix(";\n")


def object_key(entry: ObjectEntry) -> tuple[ObjectKind, str]:
    """Return what tells an object of a database from all others."""
    return entry.kind, entry.name


def kinds_of(statement: SavedStatement) -> frozenset[ObjectKind]:
    """Return the kinds of objects that a statement may be about; a trigger and a view may share a name."""
    if statement.kind is not StatementKind.PLACEHOLDER:
        return MAKES[statement.kind]
    is_view = statement.sql.startswith(VIEW_PLACEHOLDER)
    return MAKES[StatementKind.VIEW if is_view else StatementKind.ROUTINE]


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
            if any((kind, statement.name) in keys for kind in kinds_of(statement)):
                yield from [drop, statement] if drop else [statement]
            drop = None


def _in_places(
    database: DatabaseEntry,
    entry: ObjectEntry,
    origin: Origin | None,
    places: Mapping[str, str],
    *,
    is_folded: bool,
) -> ObjectEntry:
    """Describe an object; a view by what it is where the databases that it names are elsewhere."""
    today = _as_of_today(database, entry, origin)
    if origin is None or entry.kind is not ObjectKind.VIEW:
        return today
    sql = origin.sql.replace("CREATE OR REPLACE ", "CREATE ", 1)
    written = Definition(today, sql, "", origin.charset, origin.collation)
    if not is_defined_as(written, entry.definition_sha256, database.name):
        return today
    others = {name: place for name, place in places.items() if name != database.name}
    there = replace(written, sql=with_databases(sql, others))
    if is_folded:  # the server prints tables and aliases, and nothing else, in lower case
        there = replace(there, sql=folded(there.sql))
    return replace(today, definition_sha256=digest(there, database.name))


def _as_of_today(database: DatabaseEntry, entry: ObjectEntry, origin: Origin | None) -> ObjectEntry:
    """Read the owner from the statement itself, and replace the digest of a header that named its schema."""
    if origin is None:
        return entry
    entry = replace(entry, definer=origin.header.definer)
    if origin.header.sql == origin.sql:
        return entry
    definition = Definition(
        entry,
        origin.sql,
        origin.sql_mode,
        origin.charset,
        origin.collation,
        origin.database_collation or database.collation,
    )
    for order in range(1, _MOST_TRIGGERS + 1):  # the file does not hold it
        written = replace(definition, order=str(order))
        if digest(written, database.name) == entry.definition_sha256:
            today = replace(written, sql=origin.header.sql)
            return replace(entry, definition_sha256=digest(today, database.name))
    return entry
