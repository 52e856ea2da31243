"""Backups: those that there are, what is in them, and what was done with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from app.documents.base import BACKUP_ID, BackupIdText, Bytes, Document, Moment, Seconds, Success
from app.documents.retention import PinFacts, PrintedPin
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import BackupPage, DamagedFile, Survey
from app.domain.backups.check_notes import Check, Pin, VerifyLevel, VerifyReport
from app.domain.backups.manifest import DatabaseEntry, Manifest
from app.domain.ids import BackupId


class UsedOptions(Document):
    """How a backup was made."""

    include_data: bool
    compress: bool
    verify: bool
    description: Annotated[str, Field(examples=["Manual backup"])]


class AllUsedOptions(UsedOptions):
    """How a backup was made, with what was asked."""

    tables: tuple[str, ...]
    exclude_tables: tuple[str, ...]
    level: Annotated[int | None, Field(description="Of compression; null: the codec's default.")]


class BackupFacts(Document):
    """One line of the catalogue."""

    backup_id: BackupIdText
    file: Annotated[str, Field(examples=[f"backup_2024-01-31_10-22-07_{BACKUP_ID}.sql.gz"])]
    size: Bytes
    created_at: Moment
    duration: Seconds
    options: UsedOptions
    tables_count: int
    checksum: Annotated[str, Field(description="SHA-256 of the file, hexadecimal.")]
    rows_count: int
    raw_size: Annotated[int, Field(description="Bytes of SQL before compression.")]
    databases: tuple[str, ...]
    server: Annotated[str, Field(examples=["MariaDB 10.11.6"])]
    encrypted: bool
    warnings_count: int
    recovery_point: bool
    recovered_from: BackupIdText | None
    proven_at: Annotated[
        Moment | None, Field(description="When all of it was last restored and equal.")
    ]
    pin: PinFacts | None

    @classmethod
    def of(
        cls, entry: CatalogueEntry, proven_at: datetime | None, pins: Mapping[str, Pin | None]
    ) -> Self:
        """Describe a backup by its entry, by its proofs, and by the pins there are."""
        return cls.taken(
            entry,
            encrypted=entry.is_encrypted,
            options=UsedOptions.taken(entry),
            recovered_from=entry.recovered_from or None,
            proven_at=proven_at,
            pin=PinFacts.find(pins, entry.backup_id),
        )


class PrintedBackup(BackupFacts):
    """One line of the catalogue, as commands print it."""

    pin: PrintedPin | None
    full_path: str


class LockedFacts(Document):
    """A backup that is encrypted for others: nobody here knows what is in it."""

    backup_id: BackupIdText
    file: str
    size: Bytes
    created_at: Moment
    checksum: Annotated[str, Field(description="SHA-256 of the file, hexadecimal.")]
    server_id: Annotated[str, Field(description="The same for backups of the same server.")]
    recipients: Annotated[tuple[str, ...], Field(description="Ids of those who can read it.")]
    signer: Annotated[str, Field(description="Id of who has signed it.")]


class Damage(Document):
    """A backup that is not whole, or of which nobody here can tell."""

    file: str
    code: str
    message: str

    @classmethod
    def of(cls, damaged: DamagedFile) -> Self:
        """Say what is wrong with a file."""
        return cls(file=damaged.file, code=damaged.error.code, message=str(damaged.error))


class _Backups(Document):
    """Backups, with what is damaged beside them."""

    success: Success
    backups: tuple[BackupFacts, ...]
    problems: Annotated[tuple[Damage, ...], Field(description="Backups that are damaged.")]
    orphans: Annotated[tuple[str, ...], Field(description="Data files without a manifest.")]
    locked: Annotated[
        tuple[LockedFacts, ...], Field(description="Backups that nobody here can read.")
    ]
    unknown: Annotated[
        tuple[Damage, ...],
        Field(description="Backups of a signer that is not known here: nobody here can tell."),
    ]

    @classmethod
    def _found(cls, survey: Survey, **others: object) -> Self:
        """Take what is damaged from a survey."""
        problems = [Damage.of(problem) for problem in survey.problems]
        locked = [LockedFacts.taken(backup) for backup in survey.locked]
        others["unknown"] = [Damage.of(found) for found in survey.unknown]
        return cls.taken(survey, success=True, problems=problems, locked=locked, **others)


class BackupList(_Backups):
    """A page of the catalogue."""

    total: Annotated[int, Field(description="How many there are in all.")]
    limit: int
    offset: int

    @classmethod
    def of(cls, page: BackupPage, *, limit: int, offset: int) -> Self:
        """Describe the backups of a page, which part that is, and what is damaged in all."""
        return cls._found(
            page.survey,
            backups=[BackupFacts.of(entry, proven, page.pins) for entry, proven in page.entries],
            total=page.total,
            limit=limit,
            offset=offset,
        )


class PrintedBackupList(_Backups):
    """The catalogue, as commands print it."""

    backups: tuple[PrintedBackup, ...]

    @classmethod
    def of(
        cls,
        survey: Survey,
        proven: Mapping[BackupId, datetime | None],
        pins: Mapping[str, Pin | None],
    ) -> Self:
        """Describe all that a survey has shown, with when each backup was last proven."""
        return cls._found(
            survey,
            backups=[
                PrintedBackup.of(entry, proven[entry.backup_id], pins) for entry in survey.entries
            ],
        )


class Consistency(Document):
    """What the snapshot was."""

    method: Annotated[str, Field(examples=["backup-stage"])]
    consistent: bool
    lock_seconds: float


class ServerFacts(Document):
    """Which server was backed up."""

    vendor: Annotated[str, Field(examples=["MariaDB"])]
    version: str


class Position(Document):
    """Where the binary log stood."""

    binlog_file: str
    binlog_position: int
    gtid: str


class TableFacts(Document):
    """A table in a backup."""

    name: str
    engine: str
    rows: int
    raw_size: int
    partial: Annotated[str, Field(description="Why rows are left out; empty = none are.")]


class ObjectFacts(Document):
    """A view, trigger, routine or event in a backup."""

    kind: str
    name: str
    valid: bool


class DatabaseFacts(Document):
    """A database in a backup."""

    database: str
    tables: tuple[TableFacts, ...]
    objects: tuple[ObjectFacts, ...]

    @classmethod
    def of(cls, database: DatabaseEntry) -> Self:
        """Describe a database by its entry."""
        return cls.taken(database, database=database.name)


class CheckFacts(Document):
    """What the last look at a backup on one level has shown."""

    level: Annotated[str, Field(examples=["hashes"])]
    at: Moment
    success: bool
    duration: Seconds
    error: Annotated[str | None, Field(description="Code of what was wrong.")]

    @classmethod
    def of(cls, level: str, check: Check) -> Self:
        """Describe a look by its note."""
        return cls.taken(check, level=level, duration=check.seconds, error=check.error or None)


class _BackupSummary(Document):
    """What every document about a single backup tells of it."""

    success: Success
    backup_id: BackupIdText
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
    recipients: Annotated[
        tuple[str, ...],
        Field(description="Ids of those for whom it is encrypted; none = it is not."),
    ]
    consistency: Consistency

    @classmethod
    def _summed(cls, manifest: Manifest, **others: object) -> Self:
        """Take what is not among the others from the manifest."""
        return cls.taken(
            manifest,
            success=True,
            databases=[database.name for database in manifest.databases],
            codec=manifest.options.codec,
            verified=manifest.options.verify,
            recovery_point=manifest.options.recovery_point,
            **others,
        )


class BackupCreated(_BackupSummary):
    """A backup that was made."""

    warnings: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, **others: object) -> Self:
        """Describe a backup by its manifest; the others are fields that it has not."""
        return cls._summed(manifest, **others)


class PrintedBackupCreated(BackupCreated):
    """A backup that was made, as the command prints it."""

    full_path: str


class ScheduledBackupCreated(BackupCreated):
    """A backup that was made since it was due."""

    due: bool


class BackupInfo(_BackupSummary):
    """Everything that is known about a backup."""

    description: str
    options: AllUsedOptions
    server: ServerFacts
    position: Position
    proven_at: Moment | None
    contents: tuple[DatabaseFacts, ...]
    warnings: tuple[str, ...]
    pin: PinFacts | None
    checks: Annotated[
        tuple[CheckFacts, ...],
        Field(description="The last look on each level, shallow ones first."),
    ]

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        proven_at: datetime | None,
        pins: Mapping[str, Pin | None],
        checks: Mapping[str, Check],
        **others: object,
    ) -> Self:
        """Describe a backup by its manifest, its proofs, the pins there are, and its checks."""
        return cls._summed(
            manifest,
            description=manifest.options.description,
            proven_at=proven_at,
            contents=[DatabaseFacts.of(database) for database in manifest.databases],
            pin=PinFacts.find(pins, manifest.backup_id),
            checks=[CheckFacts.of(level, check) for level, check in checks.items()],
            **others,
        )


class PrintedBackupInfo(BackupInfo):
    """Everything that is known about a backup, as the command prints it."""

    pin: PrintedPin | None
    full_path: str


class BackupVerified(Document):
    """A backup that is whole."""

    success: Success
    backup_id: str
    level: VerifyLevel
    size: int
    raw_size: int
    members: int
    statements: int
    rows_count: int
    bytes_read: int | None
    duration: float

    @classmethod
    def of(cls, backup_id: str, report: VerifyReport) -> Self:
        """Tell what was looked at, and how far."""
        return cls.taken(
            report,
            success=True,
            backup_id=backup_id,
            rows_count=report.rows,
            duration=round(report.seconds, 3),
        )


class BackupDeleted(Document):
    """A backup that is gone."""

    success: Success
    backup_id: str

    @classmethod
    def of(cls, backup_id: str) -> Self:
        """Name it."""
        return cls(success=True, backup_id=backup_id)


class CatalogueRebuilt(Document):
    """What was made again from the files."""

    success: Success
    backups_count: int
    rebuilt: tuple[str, ...]
    problems: tuple[Damage, ...]

    @classmethod
    def of(cls, count: int, rebuilt: Sequence[str], problems: Sequence[DamagedFile]) -> Self:
        """Tell how many backups there are now, which were lost, and what is damaged still."""
        return cls(
            success=not problems,
            backups_count=count,
            rebuilt=tuple(rebuilt),
            problems=tuple(map(Damage.of, problems)),
        )
