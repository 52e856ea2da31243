"""What is found out about a restore without doing it: the dry run, and the options of a backup."""

from dataclasses import dataclass
from enum import StrEnum

from app.domain.backups.manifest import Manifest, ObjectKind
from app.domain.ids import BackupId
from app.domain.restores.journal import Journal
from app.domain.restores.proofs import Proof
from app.errors import AppError


class Action(StrEnum):
    """What a restore would do with something."""

    CREATE = "create"
    REPLACE = "replace"
    DROP = "drop"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class TableForecast:
    """
    What a restore would do with one table.

    Attributes:
        database: Of the target.
        name: Of the table.
        action: What would be done with it.
        rows_now: Rows in the live table, counted; None when there is none or it stays.
        rows_then: Rows after the restore; None when the table goes or stays.
        same_definition: Whether live and backup are defined alike; None without either.
        chunks: Chunks of the backup that were compared with the live table; 0 when they could not be.
        chunks_changed: How many of them differ.
    """

    database: str
    name: str
    action: Action
    rows_now: int | None = None
    rows_then: int | None = None
    same_definition: bool | None = None
    chunks: int = 0
    chunks_changed: int = 0


@dataclass(frozen=True, slots=True)
class ObjectForecast:
    """What a restore would do with one view, trigger, routine or event."""

    database: str
    kind: ObjectKind
    name: str
    action: Action


@dataclass(frozen=True, slots=True)
class Compatibility:
    """
    What a server lacks for a backup.

    Attributes:
        missing_engines: Storage engines.
        missing_collations: Collations.
        missing_features: In words.
        clashing_names: In words; names that are one on this server.
        largest_table: The one that needs the largest packet.
        packet_needed: Bytes of the largest packet.
        packet_allowed: The server's limit.
    """

    missing_engines: tuple[str, ...]
    missing_collations: tuple[str, ...]
    missing_features: tuple[str, ...]
    clashing_names: tuple[str, ...]
    largest_table: str
    packet_needed: int
    packet_allowed: int

    @property
    def findings(self) -> list[str]:
        """Return everything that would make a restore fail, in words."""
        packet = (
            f"table {self.largest_table!r} needs max_allowed_packet of at least {self.packet_needed},"
            f" it is {self.packet_allowed}"
        )
        return [
            *(f"engine {name} is not on this server" for name in self.missing_engines),
            *(f"collation {name} is not on this server" for name in self.missing_collations),
            *([packet] if self.packet_needed > self.packet_allowed else []),
            *self.missing_features,
            *self.clashing_names,
        ]


@dataclass(frozen=True, slots=True)
class Space:
    """
    Disk that a restore needs on the server.

    Attributes:
        needed: Bytes, estimated.
        free: Bytes where the server keeps its data; None when that is on another machine.
    """

    needed: int
    free: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    How long a restore would take.

    Attributes:
        seconds: Estimated.
        by: `drill` or `restore`, whichever of this backup was measured last; else `typical rate`.
    """

    seconds: float
    by: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    What a restore would do and meet; nothing was changed.

    Attributes:
        problems: What it would be refused for, worst first; empty = it would pass.
        verified: Whether the whole file was checked; None when that was not asked for.
        tables: What would become of them; empty where a missing right hides them.
        objects: What would become of them; empty where a missing right hides them.
        compared: Whether no missing right has hidden tables or objects.
        missing_rights: GRANT statements.
        incoming_foreign_keys: `database.table.constraint` of tables that stay, made again by a restore.
        warnings: What is not in the backup, and what could not be found out here.
        bytes_read: Bytes that came from the store; None = the backup lies in the backup directory.
    """

    backup_id: BackupId
    problems: tuple[AppError, ...]
    verified: bool | None
    tables: tuple[TableForecast, ...]
    objects: tuple[ObjectForecast, ...]
    compared: bool
    compatibility: Compatibility
    missing_rights: tuple[str, ...]
    incoming_foreign_keys: tuple[str, ...]
    space: Space
    estimate: Estimate
    binary_log: str
    warnings: tuple[str, ...]
    duration: float
    bytes_read: int | None = None


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """
    What can be done with a backup here.

    Attributes:
        problems: What a full restore in place would be refused for.
        proofs: What restores of it have shown, newest first.
        undoable: Restores of it that can be undone now.
    """

    manifest: Manifest
    problems: tuple[AppError, ...]
    compatibility: Compatibility
    missing_rights: tuple[str, ...]
    space: Space
    estimate: Estimate
    proofs: tuple[Proof, ...]
    undoable: tuple[Journal, ...]
