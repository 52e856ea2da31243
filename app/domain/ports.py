"""
The seams of the program: what a use case needs, never how it is done.

A protocol's docstring is its contract; `tests/contract` runs it against every implementation.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.backups.manifest import Manifest, MemberEntry, MemberKind, StatementKind
from app.domain.runs.run import Run


@dataclass(frozen=True, slots=True)
class Statement:
    """
    One SQL statement with its bytes; `StatementEntry` is the same without them.

    Attributes:
        kind: What it does.
        sql: UTF-8, terminator and line end included.
        name: Object it is about, empty for data and session statements.
        rows: Rows it inserts.
        lower: Inclusive lower bound of the key range, SQL literals.
        upper: Exclusive upper bound.
        sliced: Whether its values came in pieces before it.
        stored_sha256: Digest of what its rows hold in stored generated columns.
    """

    kind: StatementKind
    sql: bytes
    name: str = ""
    rows: int = 0
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    sliced: bool = False
    stored_sha256: str = ""


class MemberSink(Protocol):
    """Where a dump goes: members, in any order, from several tasks at once."""

    async def append(
        self,
        kind: MemberKind,
        statements: Sequence[Statement],
        *,
        database: str = "",
        table: str = "",
    ) -> None:
        """
        Add one member that is small enough to hold in memory; its bytes may be written later.

        Args:
            kind: What it holds.
            statements: In order; a few MiB in all.
            database: Database it belongs to.
            table: Table it belongs to.

        Raises:
            StorageError: The medium refused these bytes or earlier ones; the sink is unusable from
                here on.
        """
        ...

    async def stream(
        self,
        kind: MemberKind,
        statements: AsyncIterator[Statement],
        *,
        database: str = "",
        table: str = "",
    ) -> None:
        """
        Add one member statement by statement, in constant memory; other members wait meanwhile.

        Raises:
            StorageError: The medium refused; the sink is unusable from here on.
        """
        ...


class RunListener(Protocol):
    """Told of every run; both calls return soon and raise no AppError."""

    async def begun(self, run: Run) -> None:
        """Hear that a run works now."""
        ...

    async def ended(self, run: Run) -> None:
        """Hear how a run has ended; it is written down already."""
        ...


class Clock(Protocol):
    """Time, passed in so that tests own it."""

    def now(self) -> datetime:
        """Return the aware UTC instant."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; only differences mean anything."""
        ...


class MemberSource(Protocol):
    """Where a load comes from: members by their index entry, in any order, from several tasks."""

    async def read(self, member: MemberEntry) -> list[bytes]:
        """
        Read one member that is small enough to hold in memory.

        Returns:
            Its statements, in order, as many as the entry lists; checked against its digest.

        Raises:
            ChecksumMismatchError: The bytes are not those that were written.
            StorageError: The medium failed.
        """
        ...

    def iter_statements(self, member: MemberEntry) -> AsyncIterator[bytes]:
        """
        Read one member statement by statement, in constant memory.

        Yields:
            Its statements, in order, as many as the entry lists.

        Raises:
            ChecksumMismatchError: The bytes are not those that were written.
            StorageError: The medium failed.
        """
        ...


class BackupSource(MemberSource, Protocol):
    """A backup that is open."""

    @property
    def manifest(self) -> Manifest:
        """Return what it says of itself."""
        ...
