"""Restores: what they would do, what they have done, and what is possible."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema

from app.documents.base import BackupIdText, Document, RestoreIdText, Seconds, SecondText, Success
from app.domain.backups.manifest import DatabaseEntry
from app.domain.restores.dry_run import (
    Compatibility,
    Forecast,
    ObjectForecast,
    RestoreOptions,
    TableForecast,
)
from app.domain.restores.proofs import DrillResult, Proof, proven_at
from app.domain.restores.restore import RestoreResult
from app.errors import AppError


class LogPlaceFacts(Document):
    """A place in the server's binary log."""

    file: Annotated[str, Field(examples=["mysql-bin.000012"])]
    position: int


class Restored(Document):
    """What a restore or an undo has done."""

    success: Success
    restore_id: str
    backup_id: str
    databases: tuple[str, ...]
    restored_tables: tuple[str, ...]
    dropped_tables: tuple[str, ...]
    rows_count: int
    raw_size: int
    size: int
    verified_before: bool
    verified: bool
    recovery_point: str | None
    undo_until: SecondText | None
    fence: str
    binary_log: str
    bytes_read: int | None
    duration: float
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, result: RestoreResult) -> Self:
        """Tell of it."""
        return cls.taken(result, success=True, recovery_point=result.recovery_point or None)


class Refusal(Document):
    """Why a restore would be refused."""

    code: str
    title: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: AppError) -> Self:
        """Tell of the error that it would end with."""
        return cls.taken(error, message=str(error))


class Packet(Document):
    """Largest statement, in bytes."""

    needed: int
    allowed: int


class SpaceFacts(Document):
    """Room on the server, in bytes; `free` is unknown on another machine."""

    needed: int
    free: int | None


class TablePlan(Document):
    """What a restore would do with a table."""

    database: str
    name: str
    action: str
    rows_now: int | None
    rows_then: int | None
    same_definition: bool | None
    chunks: int
    chunks_changed: int

    @classmethod
    def of(cls, table: TableForecast) -> Self:
        """Describe it."""
        return cls.taken(table, action=table.action)


class ObjectPlan(Document):
    """What a restore would do with a view, trigger, routine or event."""

    database: str
    kind: str
    name: str
    action: str

    @classmethod
    def of(cls, found: ObjectForecast) -> Self:
        """Describe it."""
        return cls.taken(found, action=found.action)


class DryRun(Document):
    """What a restore would do and meet; a success when the restore would be one."""

    success: bool
    dry_run: Literal[True]
    backup_id: str
    verified: bool | None
    problems: tuple[Refusal, ...]
    restored_tables: tuple[str, ...]
    rows_count: int
    tables: tuple[TablePlan, ...]
    objects: tuple[ObjectPlan, ...]
    compared: bool
    incoming_foreign_keys: tuple[str, ...]
    missing_rights: tuple[str, ...]
    missing_engines: tuple[str, ...]
    missing_collations: tuple[str, ...]
    missing_features: tuple[str, ...]
    packet: Packet
    disk: SpaceFacts
    estimated_duration: float
    estimated_by: str
    binary_log: str
    bytes_read: int | None
    duration: float
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, forecast: Forecast) -> Self:
        """Tell of a dry run."""
        restored = [table for table in forecast.tables if table.rows_then is not None]
        return cls.taken(
            forecast,
            success=not forecast.problems,
            dry_run=True,
            restored_tables=[f"{table.database}.{table.name}" for table in restored],
            rows_count=sum(table.rows_then or 0 for table in restored),
            tables=[TablePlan.of(table) for table in forecast.tables],
            objects=[ObjectPlan.of(found) for found in forecast.objects],
            **_conditions(forecast),
        )


class DrillPassed(Document):
    """A backup that was restored beside the live data, and proven."""

    success: Success
    drill: Literal[True]
    backup_id: str
    databases: tuple[str, ...]
    tables_count: int
    rows_count: int
    verified: Literal[True]
    bytes_read: int | None
    duration: float
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, result: DrillResult) -> Self:
        """Tell what was shown."""
        return cls.taken(result, success=True, drill=True, verified=True)


class RestorableTable(Document):
    """A table that a restore could bring back."""

    name: str
    rows: int
    raw_size: int
    has_rows: bool


class RestorableDatabase(Document):
    """A database that a restore could bring back."""

    database: str
    tables: tuple[RestorableTable, ...]
    objects_count: int

    @classmethod
    def of(cls, database: DatabaseEntry) -> Self:
        """Describe what a backup has of a database."""
        return cls(
            database=database.name,
            tables=tuple(
                RestorableTable.taken(table, has_rows=table.holds_rows) for table in database.tables
            ),
            objects_count=len(database.objects),
        )


class ProofFacts(Document):
    """One time that the backup was restored, or could not be."""

    at: SecondText
    # What lies beside a backup may be of a newer release.
    by: Annotated[
        str,
        WithJsonSchema({
            "type": "string",
            "enum": ["drill", "restore", "recovery-drill", "recovery"],
        }),
    ]
    success: bool
    duration: float
    server: str
    tables_count: int
    rows_count: int
    whole: bool
    error: str | None

    @classmethod
    def of(cls, proof: Proof) -> Self:
        """Describe what it has shown."""
        return cls.taken(
            proof,
            duration=proof.seconds,
            tables_count=proof.tables,
            rows_count=proof.rows,
            error=proof.error or None,
        )


class Undoable(Document):
    """A restore that can be taken back."""

    restore_id: RestoreIdText
    until: SecondText | None


class RecoveryOptions(Document):
    """What can be done with a backup here."""

    success: Success
    backup_id: BackupIdText
    recovery_point: bool
    description: str
    full_restore: Annotated[bool, Field(description="Whether a full restore would pass.")]
    problems: tuple[Refusal, ...]
    databases: tuple[RestorableDatabase, ...]
    missing_rights: Annotated[tuple[str, ...], Field(description="GRANT statements.")]
    missing_engines: tuple[str, ...]
    missing_collations: tuple[str, ...]
    missing_features: tuple[str, ...]
    packet: Packet
    disk: SpaceFacts
    estimated_duration: Seconds
    estimated_by: str
    proven_at: SecondText | None
    proofs: tuple[ProofFacts, ...]
    undoable: tuple[Undoable, ...]

    @classmethod
    def of(cls, options: RestoreOptions) -> Self:
        """Tell what was found."""
        manifest = options.manifest
        return cls.taken(
            options,
            success=True,
            backup_id=manifest.backup_id,
            recovery_point=manifest.options.recovery_point,
            description=manifest.options.description,
            full_restore=not options.problems,
            databases=[RestorableDatabase.of(database) for database in manifest.databases],
            proven_at=proven_at(options.proofs),
            proofs=[ProofFacts.of(proof) for proof in options.proofs],
            undoable=[
                Undoable.taken(journal, until=journal.keep_until) for journal in options.undoable
            ],
            **_conditions(options),
        )


def _conditions(found: Forecast | RestoreOptions) -> dict[str, object]:
    """Tell what a restore would need and meet here."""
    lacking: Compatibility = found.compatibility
    problems: Sequence[AppError] = found.problems
    return {
        "problems": [Refusal.of(problem) for problem in problems],
        "missing_engines": lacking.missing_engines,
        "missing_collations": lacking.missing_collations,
        "missing_features": (*lacking.missing_features, *lacking.clashing_names),
        "packet": Packet(needed=lacking.packet_needed, allowed=lacking.packet_allowed),
        "disk": SpaceFacts.taken(found.space),
        "estimated_duration": found.estimate.seconds,
        "estimated_by": found.estimate.by,
    }
