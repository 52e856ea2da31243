"""
Proof that every object of a backup is there after a restore, defined as it was.

Definitions are compared as SHOW CREATE prints them, without the database's own name and without
AUTO_INCREMENT counters. A server of another version may print the same definition otherwise, so then
differences are warnings.
"""

from app.domain.manifest import Manifest
from app.engine import ddl
from app.engine.connection import Session
from app.engine.flavor import Flavor, version_number
from app.engine.introspect import Schema, read_server, read_tables, show_create
from app.engine.objects import read_objects
from app.engine.preflight import DatabaseLoad
from app.errors import ProofFailedError


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
    wanted = _wanted(load)
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


def _wanted(load: DatabaseLoad) -> dict[tuple[str, str], str]:
    objects = {(str(one.kind), one.name): one.definition_sha256 for one in load.entry.objects}
    tables = {("table", one.name): one.definition_sha256 for one in load.entry.tables}
    return {**objects, **tables}


async def _tables(session: Session, flavor: Flavor, database: str) -> dict[tuple[str, str], str]:
    tables = await read_tables(session, flavor, [database])
    return {
        ("table", table.name): ddl.fingerprint(await show_create(session, table), database)
        for table in tables
    }


async def _objects(
    session: Session, flavor: Flavor, load: DatabaseLoad
) -> dict[tuple[str, str], str]:
    schema = Schema(load.target, load.entry.charset, load.entry.collation)
    found = await read_objects(session, flavor, schema)
    return {(str(one.entry.kind), one.entry.name): one.entry.definition_sha256 for one in found}


def _series(version: str) -> tuple[int, int]:
    major, minor, _ = version_number(version)
    return major, minor
