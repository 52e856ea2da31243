"""
Proof that every object of a backup is there after a restore, defined as it was.

Definitions are compared as SHOW CREATE prints them, without the database's own name and without
AUTO_INCREMENT counters. A server of another version may print the same definition otherwise, so then
differences are warnings.
"""

import hashlib
from collections.abc import Collection
from typing import TypeAlias

from app.domain.manifest import Manifest, MemberKind, ObjectKind, ServerEntry
from app.engine import ddl
from app.engine.connection import Session
from app.engine.definitions import sequence_position
from app.engine.flavor import Flavor, version_number
from app.engine.introspect import Schema, read_schemas, read_server, read_tables, show_create
from app.engine.objects import digest, read_objects
from app.engine.preflight import DatabaseLoad
from app.errors import ProofFailedError


# Digest by kind and name.
_Inventory: TypeAlias = dict[tuple[str, str], str]


async def prove_definitions(
    session: Session,
    flavor: Flavor,
    manifest: Manifest,
    load: DatabaseLoad,
    *,
    unlike: Collection[str] = (),
) -> list[str]:
    """
    Compare the tables of a staging schema with what should be.

    Args:
        session: Any.
        flavor: The server's.
        manifest: Of the backup.
        load: Which database.
        unlike: Tables that get the rest of their definition only in their own database.

    Returns:
        Warnings: differences that are not errors.

    Raises:
        ProofFailedError: A table is missing, or is not what was backed up.
    """
    there = await _tables(session, flavor, load, load.place)
    wanted = {
        key: digest
        for key, digest in (_wanted_tables(load) | _wanted_positions(manifest, load)).items()
        if key[1] not in unlike
    }
    return await _compare(session, flavor, manifest, load, wanted, there)


async def prove_inventory(
    session: Session,
    flavor: Flavor,
    manifest: Manifest,
    load: DatabaseLoad,
    *,
    rehearsal: bool = False,
) -> list[str]:
    """
    Compare what is in a restored database with what should be.

    Positions of sequences are not compared: where the database is in use, they have moved on.

    Args:
        session: Any.
        flavor: The server's.
        manifest: Of the backup.
        load: Which database, and under which name.
        rehearsal: Whether it is looked at where it was loaded; events are disabled there.

    Returns:
        Warnings: differences that are not errors.

    Raises:
        ProofFailedError: Something is missing, or is not what was backed up.
    """
    database = load.place if rehearsal else load.target
    (schema,) = await read_schemas(session, [database])
    there = await _tables(session, flavor, load, database)
    there |= await _objects(session, flavor, load, database)
    there["database", load.target] = schema.collation
    wanted = _wanted_tables(load) | {
        (str(one.kind), one.name): one.definition_sha256
        for one in load.entry.objects
        if one.valid and not (rehearsal and one.kind is ObjectKind.EVENT)
    }
    if load.whole:
        wanted["database", load.target] = load.entry.collation
    return await _compare(session, flavor, manifest, load, wanted, there)


async def _compare(
    session: Session,
    flavor: Flavor,
    manifest: Manifest,
    load: DatabaseLoad,
    wanted: _Inventory,
    there: _Inventory,
) -> list[str]:
    missing = sorted(set(wanted) - set(there))
    different = sorted(key for key in set(wanted) & set(there) if wanted[key] != there[key])
    if missing:
        kind, name = missing[0]
        raise ProofFailedError(f"{kind} {load.target}.{name} is missing after the restore")
    problems = [
        f"{kind} {load.target}.{name} is not defined as in the backup" for kind, name in different
    ]
    server = await read_server(session, flavor)
    if problems and _is_same(server, manifest.server):
        raise ProofFailedError(problems[0])
    return [f"{problem}; this server has another version" for problem in problems]


def _wanted_tables(load: DatabaseLoad) -> _Inventory:
    return {("table", one.name): one.definition_sha256 for one in load.entry.tables}


def _wanted_positions(manifest: Manifest, load: DatabaseLoad) -> _Inventory:
    sequences = {one.name for one in load.entry.tables if one.sequence}
    return {
        ("position of sequence", member.table): statement.sha256
        for member in manifest.members
        if member.kind is MemberKind.SCHEMA and member.database == load.entry.name
        for statement in member.statements[-1:]
        if member.table in sequences
    }


async def _tables(
    session: Session, flavor: Flavor, load: DatabaseLoad, database: str
) -> _Inventory:
    found: _Inventory = {}
    names = {one.name for one in load.entry.tables}
    for table in await read_tables(session, flavor, [database], lambda ref: ref.name in names):
        definition = ddl.fingerprint(await show_create(session, table), database)
        found["table", table.name] = definition
        if table.entry.sequence:
            statement = await sequence_position(session, table)
            found["position of sequence", table.name] = hashlib.sha256(statement).hexdigest()
    return found


async def _objects(
    session: Session, flavor: Flavor, load: DatabaseLoad, database: str
) -> _Inventory:
    if not load.entry.objects:
        return {}
    schema = Schema(database, load.entry.charset, load.entry.collation)
    only_triggers = all(one.kind is ObjectKind.TRIGGER for one in load.entry.objects)
    return {
        (str(one.entry.kind), one.entry.name): digest(one, database, load.entry.name)
        for one in await read_objects(session, flavor, schema, only_triggers=only_triggers)
    }


def _is_same(one: ServerEntry, other: ServerEntry) -> bool:
    return (one.vendor, _series(one.version)) == (other.vendor, _series(other.version))


def _series(version: str) -> tuple[int, int]:
    major, minor, _ = version_number(version)
    return major, minor
