"""What is asked of a restore, how it is planned, and what it says it has done."""

from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.domain.restores.journal import RestoreId, RestoreKind
from app.domain.restores.load import DatabaseLoad


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """
    What to restore, and how.

    Attributes:
        backup_id: Which backup; text of a user.
        into: Another name, for one database; nothing is ever overwritten there. Empty = each under
            its own name, in the place of what is there.
        databases: Exact names; empty = all of the backup.
        tables: Globs on `table` or `database.table`; empty = all, and nothing else stays.
        schema_only: Whether rows are left out.
        data_only: Whether tables keep the definitions they have.
        accounts: Whether accounts of the backup that the server has not are created.
        verify_before: Whether the whole file is checked before anything changes.
        verify_after: Whether every chunk is read back and compared.
        create_backup: Whether what is there is backed up first, as a recovery point.
        skip_binlog: Whether the restore stays out of the binary log.
        threads: Connections.
    """

    backup_id: str
    into: str = ""
    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    schema_only: bool = False
    data_only: bool = False
    accounts: bool = False
    verify_before: bool = True
    verify_after: bool = True
    create_backup: bool = True
    skip_binlog: bool = False
    threads: int = 2

    def in_lower_case(self) -> "RestoreRequest":
        """Ask for parts of a backup of a server that keeps all names in lower case."""
        return replace(
            self,
            databases=tuple(name.lower() for name in self.databases),
            tables=tuple(pattern.lower() for pattern in self.tables),
        )


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """
    What a restore or a drill will do, by the manifest alone: no server was asked, no file is open.

    Attributes:
        restore_id: Names it and its staging schemas, so a plan is carried out once.
        kind: RESTORE, or DRILL, whose targets are its staging schemas.
        request: What is asked for.
        manifest: Of the backup.
        loads: One a database with anything to restore.
        in_scratch: Whether it is for a recovery, into a server of ours that nobody else uses.
    """

    restore_id: RestoreId
    kind: RestoreKind
    request: RestoreRequest
    manifest: Manifest
    loads: tuple[DatabaseLoad, ...]
    in_scratch: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the databases that are filled."""
        return tuple(load.target for load in self.loads)

    @property
    def is_drill(self) -> bool:
        """Tell whether it is restored where nobody reads."""
        return self.kind is RestoreKind.DRILL

    @property
    def makes_recovery_point(self) -> bool:
        """Whether what is there is backed up first."""
        in_place = self.kind is RestoreKind.RESTORE and not self.request.into
        return in_place and self.request.create_backup

    @property
    def keeps_definitions(self) -> bool:
        """Whether the tables that are there keep their definitions; a drill has none there."""
        return self.kind is RestoreKind.RESTORE and self.request.data_only


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """
    What a restore or an undo did.

    Attributes:
        restore_id: Names it to an undo.
        backup_id: Of the backup.
        databases: Names of the databases that were filled.
        restored_tables: Names, `database.table`, sorted.
        dropped_tables: Tables that were there and have no place in the backup.
        rows_count: Rows loaded; 0 for an undo, like the next two.
        raw_size: Bytes of SQL of the tables that were loaded.
        size: What their members take in the backup's file.
        verified_before: Whether the whole file was checked first.
        verified: Whether all rows were read back and are equal, and every object is there.
        recovery_point: Backup of what was there before; empty when there was nothing, or none wanted.
        undo_until: Until when the old tables are kept, aware UTC; None when they are not.
        fence: `read_only`, `none` when that right was missing, `not needed`; `unknown` as below.
        binary_log: `off`, `written`, `skipped`; `unknown` when it was cancelled too late.
        duration: Seconds.
        warnings: What is not as it was, and why.
        bytes_read: Bytes that came from the store; None = the backup lies in the backup directory.
    """

    restore_id: RestoreId
    backup_id: BackupId
    databases: tuple[str, ...]
    restored_tables: tuple[str, ...]
    dropped_tables: tuple[str, ...]
    rows_count: int
    raw_size: int
    size: int
    verified_before: bool
    verified: bool
    recovery_point: str
    undo_until: datetime | None
    fence: str
    binary_log: str
    duration: float
    warnings: tuple[str, ...]
    bytes_read: int | None = None
