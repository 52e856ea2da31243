"""What is asked of a backup, and what the catalogue says about one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.domain.backups.manifest import Codec, Manifest
from app.domain.ids import BackupId
from app.errors import InvalidRequestError


# Levels of compression. Those of zstd above 19 need its `--ultra`, also where a file is read.
LEVELS: Final[Mapping[Codec, range]] = {
    Codec.GZIP: range(1, 10),
    Codec.ZSTD: range(1, 20),
    Codec.NONE: range(0),
}


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """
    What to back up, and how.

    Attributes:
        databases: Exact names; empty = the one of the settings, or all that are not the system's.
        tables: Globs on `table` or `database.table`; empty = all.
        exclude_tables: Globs of what to leave out.
        include_data: Whether rows are included; definitions always are.
        description: Free text for people, one line.
        codec: How to compress.
        level: How much time that may take, one of the codec's `LEVELS`; None = its default.
        verify: Whether the file is read back before it is published.
        threads: Connections, at least 1.
        chunk_bytes: Target size of one statement.
        accounts: Whether users, roles and grants are included.
        recovery_point: Whether it is made to go back to, not by a plan of backups.
        schedule: Name of the schedule that it is made for; empty = none.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    codec: Codec = Codec.GZIP
    level: int | None = None
    verify: bool = True
    threads: int = 2
    chunk_bytes: int = 1 << 20
    accounts: bool = False
    recovery_point: bool = False
    schedule: str = ""

    def in_lower_case(self) -> "BackupRequest":
        """Ask a server that keeps all names in lower case."""
        return replace(
            self,
            tables=tuple(pattern.lower() for pattern in self.tables),
            exclude_tables=tuple(pattern.lower() for pattern in self.exclude_tables),
        )


def require_level(codec: Codec, level: int | None, *, name: str = "level") -> None:
    """
    Refuse a level that a codec does not have.

    Args:
        codec: That it is for.
        level: None = its default, which every codec has.
        name: Of the option or setting, for the message.

    Raises:
        InvalidRequestError: There is no such level.
    """
    known = LEVELS[codec]
    if level is None or level in known:
        return
    if not known:
        raise InvalidRequestError(
            f"{name}: what is not compressed has no level",
            hint="Leave it out, or choose gzip or zstd.",
        )
    raise InvalidRequestError(
        f"{name}: {codec} has the levels {known[0]} to {known[-1]}, not {level}",
        hint="Choose one of them, or leave it out for the default.",
    )


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """
    One line of the catalogue: what `metadata.json` holds per backup, in the shape of docs/format.md.

    Attributes:
        created_at: Aware UTC instant; printed as `YYYY-MM-DD HH:MM:SS`.
        checksum: SHA-256 of the file.
        schedule: Schedule that it was made for; empty = none.
        tables: Globs of what was asked for; empty = all.
        exclude_tables: Globs of what was left out.
        requested: Databases that were asked for; empty = all; None = not recorded.
        recovered_from: Backup from which it was recovered, with the binary log since; empty = it is of the server.
        binlog_file: File of the server's binary log in which it stands; empty = none; None = not recorded.
        binlog_position: Where in it.
        server_id: The same for backups of the same address; empty = not noted; None = not recorded.
    """

    backup_id: BackupId
    file: str
    full_path: str
    size: int
    created_at: datetime
    duration: float
    description: str
    include_data: bool
    compress: bool
    verify: bool
    tables_count: int
    rows_count: int
    raw_size: int
    checksum: str
    databases: tuple[str, ...]
    server: str
    warnings_count: int
    recovery_point: bool
    schedule: str
    tables: tuple[str, ...]
    exclude_tables: tuple[str, ...]
    requested: tuple[str, ...] | None
    recovered_from: str
    binlog_file: str | None = None
    binlog_position: int = 0
    server_id: str | None = None

    @property
    def is_of_the_past(self) -> bool:
        """
        Whether it holds another moment than the one at which it was made.

        Somebody has recovered it to a point; what a schedule recovers is up to now.
        """
        return bool(self.recovered_from) and not self.schedule

    @property
    def is_current(self) -> bool:
        """Whether it counts where people ask how old the newest backup is."""
        return not self.recovery_point and not self.is_of_the_past

    @property
    def is_encrypted(self) -> bool:
        """Whether its file is one of age, by its name."""
        return self.file.endswith(".age")

    @property
    def is_whole(self) -> bool:
        """Whether all tables of its databases are in it, with their rows."""
        return self.include_data and not self.tables and not self.exclude_tables

    @property
    def is_first_choice(self) -> bool:
        """Whether somebody who wants a database back is likely to mean such a backup."""
        return self.is_whole and self.is_current

    @classmethod
    def of(cls, manifest: Manifest, full_path: str) -> "CatalogueEntry":
        """Derive the line from a manifest."""
        return cls(
            backup_id=manifest.backup_id,
            file=manifest.file,
            full_path=full_path,
            size=manifest.size,
            created_at=manifest.created_at,
            duration=manifest.duration,
            description=manifest.options.description,
            include_data=manifest.options.include_data,
            compress=manifest.options.compress,
            verify=manifest.options.verify,
            tables_count=manifest.tables_count,
            rows_count=manifest.rows_count,
            raw_size=manifest.raw_size,
            checksum=manifest.checksum,
            databases=tuple(database.name for database in manifest.databases),
            server=f"{manifest.server.vendor} {manifest.server.version}",
            warnings_count=len(manifest.warnings),
            recovery_point=manifest.options.recovery_point,
            schedule=manifest.options.schedule,
            tables=manifest.options.tables,
            exclude_tables=manifest.options.exclude_tables,
            requested=manifest.options.requested,
            recovered_from=manifest.recovered_from,
            binlog_file=manifest.position.binlog_file,
            binlog_position=manifest.position.binlog_position,
            server_id=manifest.server.server_id,
        )


@dataclass(frozen=True, slots=True)
class BackupFilter:
    """
    Which backups a list shows; empty and None = no condition.

    Attributes:
        database: One that the backup holds.
        text: Part of the description, upper and lower case alike.
        created_after: Earliest instant, aware, itself included.
        created_before: Latest instant, itself left out.
    """

    database: str = ""
    text: str = ""
    recovery_point: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def takes(self, entry: CatalogueEntry) -> bool:
        """Tell whether a backup is meant."""
        return (
            (not self.database or self.database in entry.databases)
            and self.text.casefold() in entry.description.casefold()
            and self.recovery_point in {None, entry.recovery_point}
            and (self.created_after is None or entry.created_at >= self.created_after)
            and (self.created_before is None or entry.created_at < self.created_before)
        )


def nearest_first(
    entries: Sequence[CatalogueEntry], databases: Sequence[str]
) -> tuple[CatalogueEntry, ...]:
    """
    Put those first that hold what is wanted: a backup of some databases alone stands for no others.

    Args:
        entries: Newest first.
        databases: What is wanted; empty = all there are.

    Returns:
        They in that order; of those that hold too little, the recovery points of restores last.
    """

    def lacks(entry: CatalogueEntry) -> bool:
        holds = bool(databases) and set(databases) <= set(entry.databases)
        return bool(entry.requested) and not holds

    return tuple(
        sorted(entries, key=lambda entry: lacks(entry) + (lacks(entry) and entry.recovery_point))
    )
