"""
What a restore writes down before it does it, so that the next start can finish or undo it.

A restore brings tables into a database by a *swap*: they wait in a source schema, the tables that
they replace go to a schema where they are kept, all in one RENAME TABLE. An undo is a swap like any
other, whose source is where an earlier one kept its tables.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NewType

from pydantic import Field, ValidationError

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.document import adapter_of
from app.domain.ids import BackupId
from app.domain.sealed import seal, unseal
from app.errors import JournalDamagedError


RestoreId = NewType("RestoreId", str)

# `restore_` and these are an id; the digits are also part of the schemas' names.
ID_DIGITS: Final = 12


class RestoreKind(StrEnum):
    """What brought the tables in."""

    RESTORE = "restore"
    UNDO = "undo"
    DRILL = "drill"


class RestorePhase(StrEnum):
    """How far a restore has come; what really happened is read from the server."""

    LOADING = "loading"  # only staging schemas were touched
    SWAPPING = "swapping"  # triggers may be gone, the RENAME may have happened
    FINISHING = "finishing"  # the RENAME has happened, objects may be missing
    DONE = "done"  # all is as it should be; the old tables are kept for an undo
    FORGOTTEN = "forgotten"  # they are not kept any more

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to finish or undo."""
        return self in {RestorePhase.DONE, RestorePhase.FORGOTTEN}


@dataclass(frozen=True, slots=True)
class SavedStatement:
    """
    One statement of those that make views, triggers, routines and events.

    Attributes:
        kind: What it does.
        sql: Without a terminator.
        name: Object it is about, empty for session statements.
    """

    kind: StatementKind
    sql: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class RoutineGrant:
    """
    What an account may do with one routine.

    Attributes:
        kind: Of the routine.
        name: Of the routine.
        user: Account's, or a role's.
        host: Account's; empty for roles of MariaDB.
        rights: In capitals, `GRANT` among them where it may hand them on.
    """

    kind: ObjectKind
    name: str
    user: str
    host: str
    rights: tuple[str, ...]

    @property
    def account(self) -> str:
        """Return the account's name for people."""
        return f"{self.user}@{self.host}" if self.host else self.user


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """
    Views, triggers, routines and events that a database should have.

    Attributes:
        source: Name of the database that bodies of routines may mention as their own.
        entries: What should be there; anything not listed here or as unwanted is left alone.
        statements: Make all of `entries`, in order.
        unwanted: What should not be there.
        charset: Default of the database; empty = as it is.
        collation: Default of the database; empty = as it is.
        assumed: Collation that the database must have by default while the statements run, because
            triggers, routines and events remember it; empty = any.
        comment: Of the database; None = as it is.
        grants: On routines among `entries`, which go when a routine is dropped.
    """

    source: str
    entries: tuple[ObjectEntry, ...] = ()
    statements: tuple[SavedStatement, ...] = ()
    unwanted: tuple[ObjectEntry, ...] = ()
    charset: str = ""
    collation: str = ""
    assumed: str = ""
    comment: str | None = None
    grants: tuple[RoutineGrant, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """
    One foreign key, as it should be after a swap.

    Attributes:
        database: Of the child table.
        table: The child.
        name: Of the constraint.
        parent_database: What it refers to.
        parent: What it refers to.
        clause: From `FOREIGN KEY` on, the parent's name qualified.
    """

    database: str
    table: str
    name: str
    parent_database: str
    parent: str
    clause: str


@dataclass(frozen=True, slots=True)
class TableMark:
    """
    What tells a table from another one of its name, and one at rest from one that was written to.

    Attributes:
        identity: What the server itself knows it by, and no RENAME changes; empty = unknown.
        created: When it was made, or its definition changed; a RENAME may change it too.
        updated: Second of the server's clock in which a write was last committed; 0 = unknown.
        definition: Fingerprint of what SHOW CREATE prints; empty = not read.
    """

    identity: str
    created: str = ""
    updated: int = 0
    definition: str = ""


@dataclass(frozen=True, slots=True)
class SchemaSwap:
    """
    What changes places in one database.

    Attributes:
        target: The database.
        source: Schema where the new tables wait.
        kept: Schema where the old ones go.
        incoming: Tables and sequences from `source` to `target`.
        outgoing: Tables and sequences from `target` to `kept`.
        wanted: Objects of the target afterwards.
        present: Objects of the target before, as far as the swap touches them.
        foreign_keys: That must exist afterwards and cannot move with their tables.
        kept_foreign_keys: Of outgoing tables on tables that stay; they must not bind in `kept`.
        whole: Whether everything of the target is meant, not only the tables named here.
        created: Whether the target does not exist before.
        removed: Whether the target does not exist afterwards.
        incoming_ids: Identity of each incoming table before the RENAME, by name; journals of older
            versions have none, so names alone tell where tables are.
        outgoing_ids: Identity of each outgoing one.
        kept_marks: Outgoing tables once they are kept, by name; for an undo.
    """

    target: str
    source: str
    kept: str
    incoming: tuple[str, ...] = ()
    outgoing: tuple[str, ...] = ()
    wanted: ObjectSet = field(default_factory=lambda: ObjectSet(source=""))
    present: ObjectSet = field(default_factory=lambda: ObjectSet(source=""))
    foreign_keys: tuple[ForeignKey, ...] = ()
    kept_foreign_keys: tuple[ForeignKey, ...] = ()
    whole: bool = False
    created: bool = False
    removed: bool = False
    incoming_ids: dict[str, str] = field(default_factory=dict)
    outgoing_ids: dict[str, str] = field(default_factory=dict)
    kept_marks: dict[str, TableMark] = field(default_factory=dict)

    @property
    def needs_fence(self) -> bool:
        """Tell whether there is a moment in which a write would miss a trigger or a foreign key."""
        objects = (*self.wanted.entries, *self.present.entries)
        triggers = any(entry.kind is ObjectKind.TRIGGER for entry in objects)
        return triggers or bool(self.foreign_keys or self.kept_foreign_keys)


@dataclass(frozen=True, slots=True)
class Journal:
    """
    One restore, undo or drill.

    Attributes:
        restore_id: `restore_` and 12 hex digits.
        kind: What it is.
        backup_id: Backup that the data came from.
        server: Address it runs on.
        began_at: Aware UTC instant.
        phase: How far it has come.
        swaps: One a database.
        logged: Whether it is written to the binary log.
        fenced: Whether the server was made read-only for the swap, by us.
        recovery_point: Backup of what was there before; empty when there is none.
        keep_until: Until when the old tables are kept; None before the swap.
        undoes: Restore whose kept tables an undo brings back.
        renamed_at: Second of the server's clock after the RENAME; 0 = not yet, or not known.
    """

    # The file has kept the key of the first version, so that journals outlive an upgrade.
    restore_id: Annotated[RestoreId, Field(alias="recovery_id")]
    kind: RestoreKind
    backup_id: BackupId
    server: str
    began_at: datetime
    phase: RestorePhase
    swaps: tuple[SchemaSwap, ...]
    logged: bool = True
    fenced: bool = False
    recovery_point: str = ""
    keep_until: datetime | None = None
    undoes: str = ""
    renamed_at: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the databases it changes."""
        return tuple(swap.target for swap in self.swaps)

    @property
    def way_back(self) -> str:
        """Say what brings back what was there before when the old tables are not kept any more."""
        if self.recovery_point:
            return (
                f"'backstay restore run {self.recovery_point}' restores what was there before it."
            )
        return "There is no recovery point of it; restore the last backup before it."


_KEYS: Final = frozenset({*Journal.__dataclass_fields__, "recovery_id"}) - {"restore_id"}
_HINT: Final = (
    "Use the version of this program that wrote it; 'backstay doctor' says what else to do."
)


def encode_journal(journal: Journal) -> bytes:
    """Encode a journal as JSON for its file, sealed."""
    return seal(adapter_of(Journal).dump_json(journal, indent=1, by_alias=True))


def decode_journal(data: bytes, *, source: str) -> Journal:
    """
    Decode a journal.

    Returns:
        What was written.

    Raises:
        JournalDamagedError: Damaged, or of another version of the program.
    """
    body = unseal(data, _KEYS)
    if body is None:
        raise JournalDamagedError(
            f"{source}: its bytes are not those that were written", hint=_HINT
        )
    try:
        return adapter_of(Journal).validate_json(body)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JournalDamagedError(f"{source}: {where}: {first['msg']}", hint=_HINT) from exc
