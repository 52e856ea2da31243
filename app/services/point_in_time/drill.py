"""Recovery drills: an older backup and the binary log, compared with what a newer backup holds."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.reading import ArchivedStream
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.restores.dry_run import Action, Forecast
from app.domain.restores.points import Point, PointKind, RecoverPlan, RecoverRequest
from app.domain.restores.proofs import RECOVERY_DRILL, Proof
from app.domain.restores.restore import RestoreRequest
from app.engine.schema.databases import read_schemas
from app.errors import BaseUnfitError, RecoverMismatchError
from app.services.point_in_time.plan import plan_recovery
from app.services.point_in_time.scratch import Scratch


_SHOWN: Final = 10
_HINT: Final = (
    "Something changed them past the binary log, such as a session with sql_log_bin=0; points since the older"
    " backup are not what was there, points since the newer one are."
)


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """
    What a drill will do.

    Attributes:
        recovery: To the position of the newer backup.
        backup: The newer one.
    """

    recovery: RecoverPlan
    backup: Manifest


def plan_drill(
    stream: ArchivedStream, backups: Iterator[Manifest], wanted: Manifest | None, threads: int
) -> DrillPlan:
    """
    Choose two backups; blocks.

    Args:
        stream: The archived binary log.
        backups: Manifests, newest first; consumed.
        wanted: The newer one; None = the newest that can be a base.
        threads: Connections.

    Returns:
        The plan.

    Raises:
        BaseUnfitError: There is no such backup, or none older.
        PointNotCoveredError: The archive does not reach.
    """
    newer = wanted or next((backup for backup in backups if not _unfitness(backup)), None)
    if newer is None or (reason := _unfitness(newer)):
        what = f"backup {newer.backup_id}: {reason}" if newer else "no backup has a position"
        raise BaseUnfitError(f"a drill cannot end with it: {what}")
    position = newer.position
    point = Point(
        PointKind.POSITION,
        f"{position.binlog_file}:{position.binlog_position}",
        file=position.binlog_file,
        position=position.binlog_position,
        at=newer.created_at,
    )
    older = (
        backup
        for backup in backups
        if backup.backup_id < newer.backup_id and not backup.recovered_from
    )
    request = RecoverRequest(point, databases_of(newer), threads, is_whole=True)
    return DrillPlan(plan_recovery(stream, older, request), newer)


def _unfitness(backup: Manifest) -> str:
    """Say why a backup cannot be what a replay is compared with; empty = it can."""
    if backup.recovered_from:  # it would be compared with itself
        return "it was itself recovered from the binary log, and shows nothing of the server"
    return unfitness(backup)


def proof_of(plan: DrillPlan, at: datetime, seconds: float, server: str, error: str = "") -> Proof:
    """
    Describe what a drill has shown of the newer backup.

    Args:
        plan: What was done.
        at: Aware UTC instant of the end.
        seconds: How long it took.
        server: Vendor and version of the scratch server.
        error: Code of what went wrong; empty when nothing.

    Returns:
        What is kept beside the backup; none of it was restored.
    """
    return Proof(
        at=at,
        by=RECOVERY_DRILL,
        success=not error,
        seconds=seconds,
        server=server,
        tables=plan.backup.tables_count,
        rows=plan.backup.rows_count,
        raw_size=0,
        whole=False,
        error=error,
    )


async def require_equal(
    scratch: Scratch, plan: DrillPlan, catalogue: Catalogue, clock: Clock
) -> None:
    """
    Compare a scratch server with a backup, chunk by chunk and object by object.

    Raises:
        RecoverMismatchError: Something is another one; named.
    """
    forecast = await _dry_run(scratch, plan, catalogue, clock)
    if forecast.problems:
        raise forecast.problems[0]
    tables = [
        f"{table.database}.{table.name}"
        for table in forecast.tables
        if table.action is not Action.REPLACE
        or table.chunks_changed
        or table.rows_now != table.rows_then
        or not table.same_definition
    ]
    objects = [
        f"{item.kind} {item.database}.{item.name}"
        for item in forecast.objects
        if item.action is not Action.KEEP
    ]
    databases = [name async for name in _other_databases(scratch, plan.backup)]
    if differing := [*(f"database {name}" for name in databases), *tables, *objects]:
        shown = ", ".join(differing[:_SHOWN])
        count = len(plan.backup.databases) + len(forecast.tables) + len(forecast.objects)
        raise RecoverMismatchError(
            f"{len(differing)} of {count} databases, tables and objects are not those of backup"
            f" {plan.backup.backup_id}: {shown}",
            hint=_HINT,
        )


async def _other_databases(scratch: Scratch, backup: Manifest) -> AsyncIterator[str]:
    """Yield the databases that are in one of both alone, or that make other tables by their character set."""
    async with scratch.server.session() as session:
        schemas = await read_schemas(session, ())
    there = {schema.name: (schema.charset, schema.collation) for schema in schemas}
    held = {entry.name: (entry.charset, entry.collation) for entry in backup.databases}
    # Of one that is limited to some, the others are there for statements that were executed in them.
    names = held.keys() if databases_of(backup) else there.keys() | held.keys()
    for name in sorted(names):
        if there.get(name) != held.get(name):
            yield name


async def _dry_run(
    scratch: Scratch, plan: DrillPlan, catalogue: Catalogue, clock: Clock
) -> Forecast:
    """Ask what a restore of the backup would change there."""
    restores = await scratch.recoveries(catalogue, clock)
    request = RestoreRequest(plan.backup.backup_id, verify_before=False, create_backup=False)
    return await restores.dry_run(await restores.plan(request))
