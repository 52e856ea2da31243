"""
The manifest: what one backup holds, where every byte of it lies, and how to check each.

The classes are the keys of docs/format.md, one to one; `app.domain.backups.seal` is the only way in.
What a file leaves out since it follows from something else (`app.domain.backups.thinning`) is here again.
"""

import operator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from app.domain.backups.formats import FORMAT, SHARING_VERSION
from app.domain.ids import BackupId


# What backups of this version have proven beyond rows and definitions.
COVERS: Final = ("stored columns", "database comments", "counters")
# What is empty is left out of the JSON: of many small tables the manifest would be larger than the data.
_SPARSE: Final = Field(exclude_if=operator.not_)
# Why the past of a table is not in a backup; its current rows are.
TRANSACTION_HISTORY: Final = "history by transaction numbers cannot be loaded again"
LOST_HISTORY: Final = "this server version cannot load history again"
# Why none of its rows are.
NOT_ASKED_FOR: Final = "rows not asked for"


class Codec(StrEnum):
    """How members are compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"


class MemberKind(StrEnum):
    """What one independent piece of the file holds."""

    HEADER = "header"
    SCHEMA = "schema"
    DATA = "data"
    OBJECTS = "objects"
    FOOTER = "footer"


class StatementKind(StrEnum):
    """What one statement does; a restore executes by kind, never by looking at the text."""

    TEXT = "text"  # comments and lines for the mysql client; never executed by us
    SESSION = "session"  # SET of session variables
    DATABASE = "database"  # CREATE DATABASE IF NOT EXISTS, USE; for the client only
    DROP = "drop"  # DROP ... IF EXISTS; for the client only
    TABLE = "table"  # CREATE TABLE
    SEQUENCE = "sequence"  # CREATE SEQUENCE, and the statement that sets its next value
    PIECE = "piece"  # SET @backstay_n = part of a value too large for one statement
    INSERT = "insert"
    PLACEHOLDER = "placeholder"  # stands in for a view until everything it needs exists
    VIEW = "view"
    TRIGGER = "trigger"
    ROUTINE = "routine"  # procedure, function, package, package body
    EVENT = "event"  # CREATE EVENT ... DISABLE
    ENABLE_EVENT = "enable-event"  # ALTER EVENT ... ENABLE, the last thing of all
    INVALID_VIEW = "invalid-view"  # the server itself cannot use it; commented out in the file
    ACCOUNT = "account"  # CREATE USER, CREATE ROLE, GRANT; only on request


class ObjectKind(StrEnum):
    """Everything in a database that is not a table or sequence."""

    VIEW = "view"
    TRIGGER = "trigger"
    PROCEDURE = "procedure"
    FUNCTION = "function"
    PACKAGE = "package"
    PACKAGE_BODY = "package body"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """
    One statement of a member; the statements of a member tile its uncompressed bytes in order.

    Attributes:
        kind: What it does.
        raw_size: Bytes of SQL, terminator and line end included.
        sha256: Digest of those bytes, 64 lower-case hex digits; may be empty of what is for the client.
        name: Object it is about; empty for data and session statements, and of a table, as its member names it.
        rows: Rows it inserts.
        lower: Inclusive lower bound of the key range it was read from, SQL literals; empty = none.
        upper: Exclusive upper bound; both may be shorter than the key.
        sliced: Whether its values came in pieces before it; always one row.
        stored_sha256: Digest of what these rows hold in stored generated columns; empty without such.
    """

    kind: StatementKind
    raw_size: int
    sha256: Annotated[str, Field(default=""), _SPARSE]
    name: Annotated[str, _SPARSE] = ""
    rows: Annotated[int, _SPARSE] = 0
    lower: Annotated[tuple[str, ...], _SPARSE] = ()
    upper: Annotated[tuple[str, ...], _SPARSE] = ()
    sliced: Annotated[bool, _SPARSE] = False
    stored_sha256: Annotated[str, _SPARSE] = ""


@dataclass(frozen=True, slots=True)
class MemberEntry:
    """
    One independent piece of the file: a gzip member, a zstd frame, or plain bytes; or a part of one.

    Small tables share a member: each has entries of its own, all of the same offset, size and digest,
    which tile its text.

    Attributes:
        kind: What it holds.
        offset: First byte in the file.
        size: Bytes in the file; offset + size is the next member's offset, or the file's size.
        raw_size: Bytes after decompression; of a shared member those of this part.
        sha256: Digest of the bytes in the file.
        database: Database it belongs to; empty for header and footer.
        table: Table it belongs to; empty unless schema or data.
        statements: In order.
        within: First byte of this part in the text of a shared member, else 0.
    """

    kind: MemberKind
    offset: int
    size: int
    raw_size: int
    sha256: Annotated[str, Field(default=""), _SPARSE]
    database: Annotated[str, _SPARSE] = ""
    table: Annotated[str, _SPARSE] = ""
    statements: Annotated[tuple[StatementEntry, ...], _SPARSE] = ()
    within: Annotated[int, _SPARSE] = 0

    @property
    def place(self) -> tuple[int, int]:
        """Return where it begins, in the file and in the text of its member; no other one does there."""
        return self.offset, self.within


@dataclass(frozen=True, slots=True)
class ColumnEntry:
    """
    One column, in ordinal order.

    Attributes:
        name: Any characters.
        data_type: Bare type in lower case, such as `varchar`.
        column_type: Full type, such as `varchar(255)`.
        nullable: Whether it may be NULL.
        charset: Character set of text columns, else empty.
        collation: Collation of text columns, else empty.
        generated: Whether the server computes it, so that no INSERT names it.
        stored: Whether a generated column is kept with the row, as the session of its writer computed it.
    """

    name: str
    data_type: str
    column_type: str
    nullable: Annotated[bool, Field(default=False), _SPARSE]
    charset: Annotated[str, _SPARSE] = ""
    collation: Annotated[str, _SPARSE] = ""
    generated: Annotated[bool, _SPARSE] = False
    stored: Annotated[bool, _SPARSE] = False


@dataclass(frozen=True, slots=True)
class TableEntry:
    """
    One table or sequence.

    Attributes:
        name: Any characters.
        sequence: Whether it is a sequence.
        engine: Storage engine as the server names it.
        columns: In ordinal order, generated ones included.
        index: Index the chunks follow; empty when rows were read as one stream.
        key: Columns of that index that bounds refer to, in order.
        ordered: Whether rows were sorted by the key, because the engine keeps no order of its own.
        history: Whether row versions of the past are included.
        partial: Why rows are left out or not of the snapshot's point; empty = they are all there.
        rows: Rows in the file.
        raw_size: Bytes of its data statements.
        max_packet: Largest packet a server must accept to load it, in bytes.
        definition_sha256: Digest of the normalised SHOW CREATE, for the inventory.
        counter: AUTO_INCREMENT, the next number; 0 = none, or the first.
        session: Variables, with their values, of a session that computes the stored generated columns
            as they are, and makes the partitions; empty = the one that a restore has anyway.
        unrepeatable: Stored generated columns that no session computes, and rules (`CHECK `c``) that rows break.
        like: In a file only: the table listed before it that has the same engine, columns, index and key.
    """

    name: str
    sequence: Annotated[bool, Field(default=False), _SPARSE]
    engine: Annotated[str, Field(default=""), _SPARSE]
    columns: tuple[ColumnEntry, ...]
    index: Annotated[str, Field(default=""), _SPARSE]
    key: Annotated[tuple[str, ...], Field(default=()), _SPARSE]
    ordered: Annotated[bool, Field(default=False), _SPARSE]
    history: Annotated[bool, Field(default=False), _SPARSE]
    partial: Annotated[str, Field(default=""), _SPARSE]
    rows: int
    raw_size: int
    max_packet: int
    definition_sha256: str
    counter: Annotated[int, _SPARSE] = 0
    session: Annotated[tuple[tuple[str, str], ...], _SPARSE] = ()
    unrepeatable: Annotated[tuple[str, ...], _SPARSE] = ()
    like: Annotated[str, _SPARSE] = ""

    @property
    def holds_rows(self) -> bool:
        """Tell whether all rows are there, though perhaps not what they were in the past."""
        return self.partial in {"", TRANSACTION_HISTORY, LOST_HISTORY}


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """
    One view, trigger, routine or event.

    Attributes:
        kind: What it is.
        name: Any characters.
        table: Table of a trigger, else empty.
        valid: False for a view the server cannot use, such as one on a dropped table.
        definer: Account it runs as.
        definition_sha256: Digest of the normalised SHOW CREATE, for the inventory.
    """

    kind: ObjectKind
    name: str
    table: str
    valid: bool
    definer: str
    definition_sha256: str


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """One database with all that is in it, sorted by name."""

    name: str
    charset: str
    collation: str
    tables: tuple[TableEntry, ...]
    objects: tuple[ObjectEntry, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """
    The server as it was.

    Attributes:
        vendor: `mariadb` or `mysql`.
        version: VERSION() as printed.
        sql_mode: Global mode.
        charset: character_set_server.
        collation: collation_server.
        lower_case_table_names: 0, 1 or 2.
        max_allowed_packet: Bytes.
        time_zone: Global time zone.
        server_id: The same for backups of the same address: 12 hex digits; empty = not noted.
        settings: Which server it is, and variables and additions that decide which definitions it takes; empty = not noted.
    """

    vendor: str
    version: str
    sql_mode: str
    charset: str
    collation: str
    lower_case_table_names: int
    max_allowed_packet: int
    time_zone: str
    server_id: str = ""
    settings: Annotated[tuple[tuple[str, str], ...], _SPARSE] = ()


@dataclass(frozen=True, slots=True)
class PositionEntry:
    """
    Where in the binary log the snapshot stands; empty and 0 when the server writes none.

    Attributes:
        gtid: Transactions that are included.
        prepared: XA transactions that were prepared and not ended there: a later end of one means
            nothing to who has only this backup. None = not known, as in backups of earlier versions.
        end_file: Where the log stood when all had been read, definitions as well; empty = not known.
        end_connection: Number of the newest connection then; later ones have higher ones. None = not known.
    """

    binlog_file: str = ""
    binlog_position: int = 0
    gtid: str = ""
    prepared: int | None = None
    end_file: str = ""
    end_position: int = 0
    end_connection: int | None = None


@dataclass(frozen=True, slots=True)
class ConsistencyEntry:
    """
    How the snapshot was made.

    Attributes:
        method: Rung of the ladder: backup-stage, instance-lock, flush-lock, lock-free, table-locks, single.
        consistent: Whether all tables are of one point in time.
        tries: Attempts until the snapshots agreed.
        lock_seconds: How long writers could not commit.
    """

    method: str
    consistent: bool
    tries: int
    lock_seconds: float


@dataclass(frozen=True, slots=True)
class OptionsEntry:
    """
    What was asked for, under the names that `docs/format.md` gives.

    Attributes:
        requested: Databases that were asked for; empty = all; None = not noted.
        level: Of compression; None = the codec's default, and not written.
    """

    include_data: bool
    compress: bool
    verify: bool
    description: str
    codec: Codec
    databases: tuple[str, ...]
    tables: tuple[str, ...]
    exclude_tables: tuple[str, ...]
    threads: int
    chunk_bytes: int
    accounts: bool = False
    recovery_point: bool = False
    schedule: str = ""
    requested: tuple[str, ...] | None = None
    level: Annotated[int | None, Field(exclude_if=lambda level: level is None)] = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    Everything about one backup.

    Attributes:
        created_at: Aware UTC instant at which the run began.
        duration: Seconds from begin to publication.
        size: Bytes of the file, as it is stored.
        checksum: SHA-256 of the whole file as it is stored, 64 lower-case hex digits.
        raw_size: Bytes of SQL after decompression.
        members: In file order; they tile what the file holds, decrypted where it is encrypted.
        covers: What the proof of a restore covers besides rows and definitions; empty in earlier versions.
        recipients: Ids of those for whom the file is encrypted; empty = it is not.
        recovered_from: Backup from which the binary log has led to this one; empty = it is of the server.
        recovered_in: Stream of the archive of the binary log of which that was; empty as above.
    """

    backup_id: BackupId
    file: str
    created_at: datetime
    duration: float
    tool_version: str
    server: ServerEntry
    position: PositionEntry
    consistency: ConsistencyEntry
    options: OptionsEntry
    databases: tuple[DatabaseEntry, ...]
    members: tuple[MemberEntry, ...]
    tables_count: int
    rows_count: int
    raw_size: int
    size: int
    checksum: str
    warnings: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    recovered_from: str = ""
    recovered_in: str = ""
    format: str = FORMAT
    format_version: int = SHARING_VERSION

    @property
    def content_size(self) -> int:
        """Bytes that the members tile: those of the file, or of what it holds decrypted."""
        last = self.members[-1]
        return last.offset + last.size
