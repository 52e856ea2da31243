"""What the API answers about backups, restores of them, and how they are doing."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.answers import (
    BACKUP_ID,
    RESTORE_ID,
    Answer,
    BackupIdField,
    Bytes,
    Moment,
    RunAnswer,
    Seconds,
    Success,
)


class BackupOptions(Answer):
    """How a backup was made."""

    include_data: bool
    compress: bool
    verify: bool
    description: Annotated[str, Field(examples=["Manual backup"])]


class PinFacts(Answer):
    """That nobody can delete a backup."""

    at: Annotated[datetime | None, Field(description="null where its notes are damaged.")]
    by: Annotated[str, Field(examples=["alice"])]
    reason: str


class PinAnswer(Answer):
    """Whether a backup is pinned now."""

    success: Success
    backup_id: BackupIdField
    pin: PinFacts | None


class PlannedBackup(Answer):
    """What would become of a backup."""

    backup_id: BackupIdField
    created_at: Moment
    schedule: Annotated[str | None, Field(examples=["default"])]
    recovery_point: bool
    size: Bytes
    reason: Annotated[str, Field(examples=["older than the 30 newest"])]


class PrunePlan(Answer):
    """What a prune would do now; nothing was changed."""

    success: Success
    dry_run: Literal[True]
    delete: Annotated[tuple[PlannedBackup, ...], Field(description="What would go.")]
    keep: Annotated[tuple[PlannedBackup, ...], Field(description="What would stay.")]
    freed_bytes: Bytes
    clock: Annotated[
        str | None, Field(description="Why nothing would be deleted now; null = it would.")
    ]


class Backup(Answer):
    """One line of the catalogue."""

    backup_id: BackupIdField
    file: Annotated[str, Field(examples=[f"backup_2024-01-31_10-22-07_{BACKUP_ID}.sql.gz"])]
    size: Bytes
    created_at: Moment
    duration: Seconds
    options: BackupOptions
    tables_count: int
    checksum: Annotated[str, Field(description="SHA-256 of the file, hexadecimal.")]
    rows_count: int
    raw_size: Annotated[int, Field(description="Bytes of SQL before compression.")]
    databases: tuple[str, ...]
    server: Annotated[str, Field(examples=["MariaDB 10.11.6"])]
    warnings_count: int
    recovery_point: bool
    proven_at: Annotated[
        Moment | None, Field(description="When all of it was last restored and equal.")
    ]
    pin: PinFacts | None


class Damage(Answer):
    """A backup that is not whole."""

    file: str
    code: str
    message: str


class BackupList(Answer):
    """A page of the catalogue."""

    success: Success
    backups: tuple[Backup, ...]
    total: Annotated[int, Field(description="How many there are in all.")]
    limit: int
    offset: int
    problems: Annotated[tuple[Damage, ...], Field(description="Backups that are damaged.")]
    orphans: Annotated[tuple[str, ...], Field(description="Data files without a manifest.")]


class DetailedOptions(BackupOptions):
    """How a backup was made, with what was asked."""

    tables: tuple[str, ...]
    exclude_tables: tuple[str, ...]


class Consistency(Answer):
    """What the snapshot was."""

    method: Annotated[str, Field(examples=["backup-stage"])]
    consistent: bool
    lock_seconds: float


class ServerFacts(Answer):
    """Which server was backed up."""

    vendor: Annotated[str, Field(examples=["MariaDB"])]
    version: str


class Position(Answer):
    """Where the binary log stood."""

    binlog_file: str
    binlog_position: int
    gtid: str


class TableFacts(Answer):
    """A table in a backup."""

    name: str
    engine: str
    rows: int
    raw_size: int
    partial: Annotated[str, Field(description="Why rows are left out; empty = none are.")]


class ObjectFacts(Answer):
    """A view, trigger, routine or event in a backup."""

    kind: str
    name: str
    valid: bool


class DatabaseFacts(Answer):
    """A database in a backup."""

    database: str
    tables: tuple[TableFacts, ...]
    objects: tuple[ObjectFacts, ...]


class CheckFacts(Answer):
    """What the last look at a backup on one level has shown."""

    level: Annotated[str, Field(examples=["hashes"])]
    at: Moment
    success: bool
    duration: Seconds
    error: Annotated[str | None, Field(description="Code of what was wrong.")]


class BackupInfo(Answer):
    """Everything that is known about a backup."""

    success: Success
    backup_id: BackupIdField
    file: str
    size: Bytes
    raw_size: int
    checksum: str
    created_at: Moment
    duration: Seconds
    tables_count: int
    rows_count: int
    databases: tuple[str, ...]
    codec: str
    verified: bool
    recovery_point: bool
    consistency: Consistency
    description: str
    options: DetailedOptions
    server: ServerFacts
    position: Position
    proven_at: Moment | None
    pin: PinFacts | None
    checks: Annotated[
        tuple[CheckFacts, ...],
        Field(description="The last look on each level, shallow ones first."),
    ]
    contents: tuple[DatabaseFacts, ...]
    warnings: tuple[str, ...]


class RestorableTable(Answer):
    """A table that a restore could bring back."""

    name: str
    rows: int
    raw_size: int
    has_rows: bool


class RestorableDatabase(Answer):
    """A database that a restore could bring back."""

    database: str
    tables: tuple[RestorableTable, ...]
    objects_count: int


class Refusal(Answer):
    """Why a restore would be refused."""

    code: str
    title: str
    message: str
    hint: str


class Packet(Answer):
    """Largest statement, in bytes."""

    needed: int
    allowed: int


class Disk(Answer):
    """Room on the server, in bytes; `free` is unknown on another machine."""

    needed: int
    free: int | None


class ProofFacts(Answer):
    """One time that the backup was restored, or could not be."""

    at: str
    by: Literal["drill", "restore"]
    success: bool
    duration: float
    server: str
    tables_count: int
    rows_count: int
    whole: bool
    error: str | None


class Undoable(Answer):
    """A restore that can be taken back."""

    restore_id: Annotated[str, Field(examples=[RESTORE_ID])]
    until: str | None


class RecoveryOptions(Answer):
    """What can be done with a backup here."""

    success: Success
    backup_id: BackupIdField
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
    disk: Disk
    estimated_duration: Seconds
    estimated_by: str
    proven_at: str | None
    proofs: tuple[ProofFacts, ...]
    undoable: tuple[Undoable, ...]


class StatusAnswer(Answer):
    """How the backups are doing."""

    success: Success
    last_backup: Backup | None
    backups_count: int
    size: Bytes
    raw_size: int
    disk_free: int | None
    disk_total: int | None
    running: tuple[RunAnswer, ...]
    next_due_at: datetime | None
    last_failures: tuple[RunAnswer, ...]
    damaged: Annotated[int, Field(description="Backups that are not whole.")]
    checks_failing: Annotated[int, Field(description="Backups of which the last check failed.")]
    last_proven_at: Annotated[
        datetime | None,
        Field(description="When all of a backup, of any, was last restored and equal."),
    ]
