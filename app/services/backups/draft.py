"""What is known of a backup before and after its rows: the draft of its manifest, and the head of its file."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Final

from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import COVERS, Codec, DatabaseEntry, Manifest, OptionsEntry
from app.domain.ids import BackupId
from app.domain.ports import Statement
from app.engine.dump.dump import DumpPlan
from app.engine.dump.snapshot import Snapshot
from app.engine.server.description import read_server
from app.engine.server.server import Server
from app.engine.sql.preludes import header


_ID_DIGITS: Final = 12


async def draft_manifest(
    server: Server,
    snapshot: Snapshot,
    plan: DumpPlan,
    request: BackupRequest,
    backup_id: BackupId,
    began_at: datetime,
) -> Manifest:
    """
    Write down what is known before a row is read.

    Args:
        server: Is backed up.
        snapshot: Open on it.
        plan: What is there.
        request: What was asked for, the databases of the address included.
        backup_id: Of the backup.
        began_at: Aware instant.

    Returns:
        A manifest without databases, members and the facts of the file.
    """
    described = await read_server(snapshot.sessions[0])
    return Manifest(
        backup_id=backup_id,
        file="",
        created_at=began_at,
        duration=0.0,
        tool_version=version("backstay"),
        server=replace(described, server_id=_id_of(server.where)),
        position=snapshot.position,
        consistency=snapshot.consistency,
        options=_options(request, plan),
        databases=(),
        members=(),
        tables_count=0,
        rows_count=0,
        raw_size=0,
        size=0,
        checksum="",
        covers=COVERS,
    )


def completed(
    draft: Manifest, databases: tuple[DatabaseEntry, ...], warnings: tuple[str, ...]
) -> Manifest:
    """Fill in what is known when all rows are written."""
    tables = [table for database in databases for table in database.tables]
    return replace(
        draft,
        databases=databases,
        warnings=warnings,
        tables_count=sum(not table.sequence for table in tables),
        rows_count=sum(table.rows for table in tables),
    )


def header_of(draft: Manifest, plan: DumpPlan) -> list[Statement]:
    """Begin the file with what a person wants to know."""
    options = {
        "include_data": draft.options.include_data,
        "compress": draft.options.compress,
        "verify": draft.options.verify,
    }
    lines = [
        f"Backstay {draft.tool_version} database backup {draft.backup_id}",
        f"Generated: {draft.created_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Description: {draft.options.description}",
        f"Server: {draft.server.vendor} {draft.server.version}",
        f"Options: {json.dumps(options, separators=(',', ':'))}",
    ]
    schemas = [] if plan.single else [(s.name, s.charset, s.collation) for s in plan.schemas]
    return header(lines, schemas)


def _options(request: BackupRequest, plan: DumpPlan) -> OptionsEntry:
    return OptionsEntry(
        include_data=request.include_data,
        compress=request.codec is not Codec.NONE,
        verify=request.verify,
        description=request.description,
        codec=request.codec,
        databases=tuple(schema.name for schema in plan.schemas),
        tables=request.tables,
        exclude_tables=request.exclude_tables,
        threads=request.threads,
        chunk_bytes=request.chunk_bytes,
        accounts=request.accounts,
        recovery_point=request.recovery_point,
        schedule=request.schedule,
        requested=tuple(sorted(request.databases)),
        level=request.level,
    )


def _id_of(address: str) -> str:
    """Make the same id of the same address."""
    return hashlib.sha256(address.encode()).hexdigest()[:_ID_DIGITS]
