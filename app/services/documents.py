"""
The JSON documents about backups and restores, the same for every edge.

The command line prints them, the history of runs keeps them, the API answers them. None holds where
on the machine something lies: who may read the history need not know the machine.
"""

from collections.abc import Sequence
from datetime import datetime

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import VerifyReport
from app.domain.backups.manifest import DatabaseEntry, Manifest
from app.domain.document import Document
from app.domain.restores.dry_run import (
    Compatibility,
    Forecast,
    Proof,
    Space,
    TableForecast,
    proven_at,
)
from app.domain.restores.restore import RestoreResult
from app.domain.restores.results import DrillResult, Options
from app.domain.schedule import Schedule, schedule_fields
from app.errors import AppError


def backup_line(entry: CatalogueEntry, proven: datetime | None) -> Document:
    """Describe a backup as one of a list; `proven` is when all of it was last restored and equal."""
    return {
        "backup_id": entry.backup_id,
        "file": entry.file,
        "size": entry.size,
        "created_at": _plain(entry.created_at),
        "duration": entry.duration,
        "options": {
            "include_data": entry.include_data,
            "compress": entry.compress,
            "verify": entry.verify,
            "description": entry.description,
        },
        "tables_count": entry.tables_count,
        "checksum": entry.checksum,
        "rows_count": entry.rows_count,
        "raw_size": entry.raw_size,
        "databases": entry.databases,
        "server": entry.server,
        "warnings_count": entry.warnings_count,
        "recovery_point": entry.recovery_point,
        "proven_at": _plain(proven) if proven else None,
    }


def backup_summary(manifest: Manifest) -> Document:
    """Describe a backup as every document about a single one does."""
    return {
        "backup_id": manifest.backup_id,
        "file": manifest.file,
        "size": manifest.size,
        "raw_size": manifest.raw_size,
        "checksum": manifest.checksum,
        "created_at": _plain(manifest.created_at),
        "duration": manifest.duration,
        "tables_count": manifest.tables_count,
        "rows_count": manifest.rows_count,
        "databases": [database.name for database in manifest.databases],
        "codec": manifest.options.codec,
        "verified": manifest.options.verify,
        "recovery_point": manifest.options.recovery_point,
        "consistency": {
            "method": manifest.consistency.method,
            "consistent": manifest.consistency.consistent,
            "lock_seconds": manifest.consistency.lock_seconds,
        },
    }


def backup_details(manifest: Manifest, proven: datetime | None) -> Document:
    """Describe a backup with all that it holds; `proven` is as for one of a list."""
    return {
        "success": True,
        **backup_summary(manifest),
        "description": manifest.options.description,
        "options": {
            "include_data": manifest.options.include_data,
            "compress": manifest.options.compress,
            "verify": manifest.options.verify,
            "description": manifest.options.description,
            "tables": manifest.options.tables,
            "exclude_tables": manifest.options.exclude_tables,
        },
        "server": {"vendor": manifest.server.vendor, "version": manifest.server.version},
        "position": {
            "binlog_file": manifest.position.binlog_file,
            "binlog_position": manifest.position.binlog_position,
            "gtid": manifest.position.gtid,
        },
        "proven_at": _plain(proven) if proven else None,
        "contents": [_contents(database) for database in manifest.databases],
        "warnings": manifest.warnings,
    }


def _contents(database: DatabaseEntry) -> Document:
    return {
        "database": database.name,
        "tables": [
            {
                "name": table.name,
                "engine": table.engine,
                "rows": table.rows,
                "raw_size": table.raw_size,
                "partial": table.partial,
            }
            for table in database.tables
        ],
        "objects": [
            {"kind": one.kind, "name": one.name, "valid": one.valid} for one in database.objects
        ],
    }


def backup_created(manifest: Manifest) -> Document:
    """Tell of a backup that was made."""
    return {"success": True, **backup_summary(manifest), "warnings": manifest.warnings}


def survey_problems(survey: Survey) -> Document:
    """Tell what in a directory is damaged (`problems`), and what lacks a manifest (`orphans`)."""
    return {
        "problems": [
            {"file": problem.file, "code": problem.error.code, "message": str(problem.error)}
            for problem in survey.problems
        ],
        "orphans": survey.orphans,
    }


def verification(backup_id: str, report: VerifyReport) -> Document:
    """Tell of a backup that is whole."""
    return {
        "success": True,
        "backup_id": backup_id,
        "level": report.level,
        "size": report.size,
        "raw_size": report.raw_size,
        "members": report.members,
        "statements": report.statements,
        "rows_count": report.rows,
        "duration": round(report.seconds, 3),
    }


def deletion(backup_id: str) -> Document:
    """Tell of a backup that is gone."""
    return {"success": True, "backup_id": backup_id}


def schedule(one: Schedule) -> Document:
    """Describe a schedule; `considered_at` is how it works, not what it is."""
    return {
        **{key: value for key, value in schedule_fields(one).items() if key != "considered_at"},
        "expression": one.expression,
        "last_backup_id": one.last_backup_id or None,
        "last_error": one.last_error or None,
        "next_due_at": _iso(one.next_due()),
    }


def restore_result(result: RestoreResult) -> Document:
    """Tell of a restore or an undo."""
    return {
        "success": True,
        "restore_id": result.restore_id,
        "backup_id": result.backup_id,
        "databases": result.databases,
        "restored_tables": result.restored_tables,
        "dropped_tables": result.dropped_tables,
        "rows_count": result.rows_count,
        "raw_size": result.raw_size,
        "size": result.size,
        "verified_before": result.verified_before,
        "verified": result.verified,
        "recovery_point": result.recovery_point or None,
        "undo_until": _iso(result.undo_until),
        "fence": result.fence,
        "binary_log": result.binary_log,
        "duration": result.duration,
        "warnings": result.warnings,
    }


def forecast(found: Forecast) -> Document:
    """Tell of a dry run; it is a success when the restore would be one."""
    return {
        "success": not found.problems,
        "dry_run": True,
        "backup_id": found.backup_id,
        "verified": found.verified,
        "problems": _problems(found.problems),
        "restored_tables": [
            f"{table.database}.{table.name}"
            for table in found.tables
            if table.rows_then is not None
        ],
        "rows_count": sum(table.rows_then or 0 for table in found.tables),
        "tables": [_table(table) for table in found.tables],
        "objects": [
            {"database": one.database, "kind": one.kind, "name": one.name, "action": one.fate}
            for one in found.objects
        ],
        "incoming_foreign_keys": found.incoming_foreign_keys,
        "missing_rights": found.missing_rights,
        **_compatibility(found.compatibility),
        "disk": _space(found.space),
        "estimated_duration": found.estimate.seconds,
        "estimated_by": found.estimate.by,
        "binary_log": found.binary_log,
        "duration": found.duration,
    }


def _table(one: TableForecast) -> Document:
    return {
        "database": one.database,
        "name": one.name,
        "action": one.fate,
        "rows_now": one.rows_now,
        "rows_then": one.rows_then,
        "same_definition": one.same_definition,
        "chunks": one.chunks,
        "chunks_changed": one.chunks_changed,
    }


def drill(result: DrillResult) -> Document:
    """Tell of a drill."""
    return {
        "success": True,
        "drill": True,
        "backup_id": result.backup_id,
        "databases": result.databases,
        "tables_count": result.tables_count,
        "rows_count": result.rows_count,
        "verified": True,
        "duration": result.duration,
        "warnings": result.warnings,
    }


def options(found: Options) -> Document:
    """Tell what can be done with a backup."""
    return {
        "success": True,
        "backup_id": found.manifest.backup_id,
        "recovery_point": found.manifest.options.recovery_point,
        "description": found.manifest.options.description,
        "full_restore": not found.problems,
        "problems": _problems(found.problems),
        "databases": [_restorable(database) for database in found.manifest.databases],
        "missing_rights": found.missing_rights,
        **_compatibility(found.compatibility),
        "disk": _space(found.space),
        "estimated_duration": found.estimate.seconds,
        "estimated_by": found.estimate.by,
        "proven_at": _iso(proven_at(found.proofs)),
        "proofs": [_proof(proof) for proof in found.proofs],
        "undoable": [
            {"restore_id": one.restore_id, "until": _iso(one.keep_until)} for one in found.undoable
        ],
    }


def _restorable(database: DatabaseEntry) -> Document:
    return {
        "database": database.name,
        "tables": [
            {
                "name": table.name,
                "rows": table.rows,
                "raw_size": table.raw_size,
                "has_rows": not table.partial,
            }
            for table in database.tables
        ],
        "objects_count": len(database.objects),
    }


def _proof(one: Proof) -> Document:
    return {
        "at": _iso(one.at),
        "by": one.by,
        "success": one.success,
        "duration": one.seconds,
        "server": one.server,
        "tables_count": one.tables,
        "rows_count": one.rows,
        "whole": one.whole,
        "error": one.error or None,
    }


def _compatibility(found: Compatibility) -> Document:
    return {
        "missing_engines": found.missing_engines,
        "missing_collations": found.missing_collations,
        "missing_features": (*found.missing_features, *found.clashing_names),
        "packet": {"needed": found.packet_needed, "allowed": found.packet_allowed},
    }


def _space(space: Space) -> Document:
    return {"needed": space.needed, "free": space.free}


def _problems(problems: Sequence[AppError]) -> Sequence[Document]:
    return [
        {
            "code": problem.code,
            "title": problem.title,
            "message": str(problem),
            "hint": problem.hint,
        }
        for problem in problems
    ]


def _plain(at: datetime) -> str:
    """Write an instant as the catalogue does."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _iso(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
