"""
What a manifest leaves out since it follows from what stands before it, and how that is filled in again.

Of ten thousand small tables the index is as large as their rows. So in version 3 of the format

1. a table that has engine, columns, index and key of one listed before it, in its database, names that one;
2. a part of a shared member that is not its first one says neither the digest nor the database once more;
3. in such a part the definition of a table has no digest: that of the member proves it.

In memory there is no difference but for 3. Versions 1 and 2 know nothing of it; where there are few tables 2 is
written, for earlier programs read that.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from app.domain.backups.formats import SHARING_VERSION, THIN_VERSION
from app.domain.backups.manifest import (
    DatabaseEntry,
    Manifest,
    MemberEntry,
    StatementEntry,
    StatementKind,
    TableEntry,
)
from app.errors import ManifestError


# What only the mysql client executes, so that the digest of its member is proof enough.
FOR_THE_CLIENT: Final = frozenset({StatementKind.TEXT, StatementKind.DATABASE, StatementKind.DROP})
# With fewer the index is a hundred kilobytes, and a file that more programs read is worth more.
_MANY_TABLES: Final = 100
_PROVEN_BY_MEMBER: Final = {
    SHARING_VERSION: FOR_THE_CLIENT,
    THIN_VERSION: FOR_THE_CLIENT | {StatementKind.TABLE},
}


def version_for(tables_count: int) -> int:
    """Return the version of the format in which a backup of so many tables is written."""
    return SHARING_VERSION if tables_count < _MANY_TABLES else THIN_VERSION


def without_digest(version: int) -> frozenset[StatementKind]:
    """Return the kinds of statements that may lack a digest in a version of the format."""
    return _PROVEN_BY_MEMBER.get(version, frozenset())


def thinned(manifest: Manifest) -> Manifest:
    """
    Leave out what follows, for writing.

    Args:
        manifest: Of any version.

    Returns:
        What `filled` makes whole again; the same one where its version leaves out nothing.
    """
    if manifest.format_version < THIN_VERSION:
        return manifest
    databases = tuple(
        replace(database, tables=tuple(_thin_tables(database.tables)))
        for database in manifest.databases
    )
    return replace(manifest, databases=databases, members=tuple(_thin_members(manifest.members)))


def filled(manifest: Manifest, *, source: str) -> Manifest:
    """
    Fill in what was left out, after reading.

    Args:
        manifest: As it was read, of any version; not checked.
        source: Name for messages.

    Returns:
        The whole; what cannot be filled in stays empty, and the check of the index refuses it.

    Raises:
        ManifestError: A table is like one that is not there.
    """
    if manifest.format_version < THIN_VERSION:
        return manifest
    databases = tuple(
        replace(database, tables=tuple(_whole_tables(database, source)))
        for database in manifest.databases
    )
    return replace(manifest, databases=databases, members=tuple(_whole_members(manifest.members)))


def _thin_tables(tables: Iterable[TableEntry]) -> Iterator[TableEntry]:
    firsts: dict[Hashable, str] = {}
    for table in tables:
        first = firsts.setdefault((table.engine, table.columns, table.index, table.key), table.name)
        if first == table.name:
            yield table
        else:
            yield replace(table, engine="", columns=(), index="", key=(), like=first)


def _whole_tables(database: DatabaseEntry, source: str) -> Iterator[TableEntry]:
    whole: dict[str, TableEntry] = {}
    for table in database.tables:
        if not table.like:
            whole[table.name] = table
            yield table
            continue
        first = whole.get(table.like)
        if first is None:
            raise ManifestError(
                f"{source}: {database.name}.{table.name} is like a table that is not there"
            )
        yield replace(
            table,
            engine=first.engine,
            columns=first.columns,
            index=first.index,
            key=first.key,
            like="",
        )


def _thin_members(members: Iterable[MemberEntry]) -> Iterator[MemberEntry]:
    """Leave alone what shares nothing: of large tables there may be a million entries."""
    before: MemberEntry | None = None
    for member in members:
        if before is not None and member.offset == before.offset:
            yield _thin_part(member, before)
        else:
            yield member
        before = member


def _thin_part(part: MemberEntry, before: MemberEntry) -> MemberEntry:
    return replace(
        part,
        sha256="" if part.sha256 == before.sha256 else part.sha256,
        database="" if part.database == before.database else part.database,
        statements=tuple(map(_thin_statement, part.statements)),
    )


def _thin_statement(statement: StatementEntry) -> StatementEntry:
    is_definition = statement.kind is StatementKind.TABLE
    return replace(statement, sha256="") if is_definition else statement


def _whole_members(members: Iterable[MemberEntry]) -> Iterator[MemberEntry]:
    before: MemberEntry | None = None
    for member in members:
        whole = member
        if before is not None and member.offset == before.offset:
            whole = replace(
                member,
                sha256=member.sha256 or before.sha256,
                database=member.database or before.database,
            )
        yield whole
        before = whole
