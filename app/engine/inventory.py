"""
Proof that every object of a backup is there after a restore, defined as it was.

Definitions are compared as SHOW CREATE prints them, without the database's own name and without
AUTO_INCREMENT counters. A server of another version may print the same definition otherwise, so then
differences are warnings.
"""

import hashlib
from typing import TypeAlias

from app.domain.manifest import Manifest, MemberKind
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


async def prove_inventory(
    session: Session,
    flavor: Flavor,
    manifest: Manifest,
    load: DatabaseLoad,
) -> list[str]:
    """
    Compare what is in a restored database with what should be.

    Args:
        session: Any.
        flavor: The server's.
        manifest: Of the backup.
        load: Which database, and under which name.

    Returns:
        Warnings: differences that are not errors.

    Raises:
        ProofFailedError: Something is missing, or is not what was backed up.
    """
    there = await _tables(session, flavor, load.target)
    there |= await _objects(session, flavor, load)
    wanted = _wanted(manifest, load)
    invalid = {("view", one.name) for one in load.entry.objects if not one.valid}
    missing = sorted(set(wanted) - set(there) - invalid)
    different = sorted(
        key for key in set(wanted) & set(there) - invalid if wanted[key] != there[key]
    )
    if missing:
        kind, name = missing[0]
        raise ProofFailedError(f"{kind} {load.target}.{name} is missing after the restore")
    if not different:
        return []
    kind, name = different[0]
    server = await read_server(session, flavor)
    problem = f"{kind} {load.target}.{name} is not defined as in the backup"
    if server.vendor == manifest.server.vendor and _series(server.version) == _series(
        manifest.server.version
    ):
        raise ProofFailedError(problem)
    return [f"{problem}; this server has another version" for kind, name in different]


def _wanted(manifest: Manifest, load: DatabaseLoad) -> _Inventory:
    objects = {(str(one.kind), one.name): one.definition_sha256 for one in load.entry.objects}
    tables = {("table", one.name): one.definition_sha256 for one in load.entry.tables}
    sequences = {one.name for one in load.entry.tables if one.sequence}
    positions = {
        ("position of sequence", member.table): statement.sha256
        for member in manifest.members
        if member.kind is MemberKind.SCHEMA and member.database == load.entry.name
        for statement in member.statements[-1:]
        if member.table in sequences
    }
    return {("database", load.target): load.entry.collation, **objects, **tables, **positions}


async def _tables(session: Session, flavor: Flavor, database: str) -> _Inventory:
    (schema,) = await read_schemas(session, [database])
    found = {("database", database): schema.collation}
    for table in await read_tables(session, flavor, [database]):
        definition = ddl.fingerprint(await show_create(session, table), database)
        found["table", table.name] = definition
        if table.entry.sequence:
            statement = await sequence_position(session, table)
            found["position of sequence", table.name] = hashlib.sha256(statement).hexdigest()
    return found


async def _objects(session: Session, flavor: Flavor, load: DatabaseLoad) -> _Inventory:
    schema = Schema(load.target, load.entry.charset, load.entry.collation)
    return {
        (str(one.entry.kind), one.entry.name): digest(one, load.target, load.entry.name)
        for one in await read_objects(session, flavor, schema)
    }


def _series(version: str) -> tuple[int, int]:
    major, minor, _ = version_number(version)
    return major, minor
