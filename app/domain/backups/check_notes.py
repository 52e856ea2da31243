"""
What is noted about a backup after it was made: whether it is pinned, and what checks have shown.

Sizes are compared every night, of every backup: those that were right are in one small file for all of them, while a
file of its own for each would be written as often. What is wrong is noted beside the backup, and stays until it is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, ValidationError

from app.domain.document import adapter_of
from app.domain.ids import BackupId
from app.domain.sealed import seal, unseal
from app.errors import ChecksumMismatchError, ManifestError, TruncatedFileError


# The least by which two instants differ.
_TICK: Final = timedelta(microseconds=1)
# Of the errors that say that bytes are not what was written.
DAMAGE_CODES: Final = frozenset(
    kind.code for kind in (ChecksumMismatchError, TruncatedFileError, ManifestError)
)
# What is told of a backup whose notes are damaged; it is kept as if it were pinned.
UNREADABLE: Final = "its notes cannot be understood, so it may be pinned"


class VerifyLevel(StrEnum):
    """How far to check."""

    SIZE = "size"  # the index is possible, and the file as long as it says
    HASHES = "hashes"  # SHA-256 of the file and of every member
    INFLATE = "inflate"  # every member decompresses to its raw size, its own checksum included
    CONTENT = "content"  # SHA-256 of every statement, and the rows of every INSERT counted

    @property
    def depth(self) -> int:
        """Counts the levels below it, each of which it includes."""
        return _DEPTHS[self]


_DEPTHS: Final[dict[str, int]] = {level: depth for depth, level in enumerate(VerifyLevel)}


# Every byte of the file is read for these.
_READ_BACK: Final = (VerifyLevel.HASHES, VerifyLevel.INFLATE, VerifyLevel.CONTENT)


def depth_of(level: str) -> int:
    """Return the depth of a level; one of a newer release counts as the least."""
    return _DEPTHS.get(level, 0)


@dataclass(frozen=True, slots=True)
class Pin:
    """
    A backup that nobody may delete, until somebody unpins it.

    Attributes:
        at: Aware UTC instant.
        by: Who pinned it.
        reason: One line for people; may be empty.
    """

    at: AwareDatetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """
    The last check of a backup on one level.

    Attributes:
        at: Aware UTC instant of its end.
        success: Whether it was what was written.
        seconds: How long it took.
        error: Code of what was wrong; empty when nothing.
    """

    at: AwareDatetime
    success: bool
    seconds: float
    error: str = ""


def earlier(known: datetime, at: datetime) -> datetime:
    """
    Tell when something was that is known to have been before an instant.

    The clock may have been ahead then: a success of that time would else outlast every failure until the day comes.

    Returns:
        What is known, or just before that instant where it lies behind it.
    """
    return known if known <= at else at - _TICK


@dataclass(frozen=True, slots=True)
class Notes:
    """
    Everything that is noted about one backup.

    Attributes:
        pin: None = not pinned.
        checks: By level (`size`, `hashes`, `inflate`, `content`), the last one of each.
    """

    pin: Pin | None = None
    checks: dict[str, Check] = field(default_factory=dict)

    @property
    def failure(self) -> Check | None:
        """The last check that failed, unless one as deep has succeeded since."""
        failed = [
            (check.at, check)
            for level, check in self.checks.items()
            if not check.success and not self._disproved(level, check)
        ]
        return max(failed, key=lambda pair: pair[0])[1] if failed else None

    @property
    def is_damaged(self) -> bool:
        """Whether a check has failed, and none as deep has succeeded since."""
        return self.failure is not None

    def _disproved(self, level: str, failed: Check) -> bool:
        """Tell whether a later success went as far; a size that is right says nothing of bytes."""
        return any(
            later.success and later.at > failed.at and depth_of(other) >= depth_of(level)
            for other, later in self.checks.items()
        )

    def with_check(self, level: str, check: Check) -> "Notes":
        """
        Add what a check has found.

        Whatever the clock said then, what is noted was found before that.

        Returns:
            All that is noted now.
        """
        known = self.before(check.at)
        return replace(known, checks={**known.checks, level: check})

    def before(self, at: datetime) -> "Notes":
        """Say that all that is noted was found before an instant."""
        return replace(
            self,
            checks={
                level: replace(known, at=earlier(known.at, at))
                for level, known in self.checks.items()
            },
        )

    @property
    def read_back_at(self) -> datetime | None:
        """When a check last read every byte of the file and found nothing wrong; None = never."""
        found = [self.checks[level] for level in _READ_BACK if level in self.checks]
        return max((check.at for check in found if check.success), default=None)


def encode_notes(notes: Notes) -> bytes:
    """Encode notes as JSON, sealed."""
    return seal(adapter_of(Notes).dump_json(notes, indent=1))


def decode_notes(data: bytes) -> Notes | None:
    """Decode notes; None = they are damaged."""
    body = unseal(data, Notes.__dataclass_fields__)
    try:
        return None if body is None else adapter_of(Notes).validate_json(body)
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class SizeCheck:
    """
    A check of one backup that has found nothing wrong.

    Attributes:
        at: Aware UTC instant.
        seconds: How long it took.
        size: Bytes of the data file.
        manifest: SHA-256 of its manifest's file, whose index was possible; empty = it is looked at anew.
    """

    at: AwareDatetime
    seconds: float
    size: int
    manifest: str = ""


@dataclass(frozen=True, slots=True)
class _Sizes:
    checks: dict[BackupId, SizeCheck] = field(default_factory=dict)


def encode_size_checks(checks: Mapping[BackupId, SizeCheck]) -> bytes:
    """Encode checks as JSON, sealed."""
    return seal(adapter_of(_Sizes).dump_json(_Sizes(dict(checks))))


def decode_size_checks(data: bytes) -> Mapping[BackupId, SizeCheck]:
    """Decode checks; of a damaged file there are none, so all are due again."""
    body = unseal(data, _Sizes.__dataclass_fields__)
    try:
        return {} if body is None else adapter_of(_Sizes).validate_json(body).checks
    except ValidationError:
        return {}


def with_size(notes: Notes, found: SizeCheck | None) -> Notes:
    """Put such a check among what is noted of its backup, unless a later one of sizes is there."""
    noted = notes.checks.get(VerifyLevel.SIZE)
    if found is None or (noted is not None and noted.at >= found.at):
        return notes
    check = Check(found.at, success=True, seconds=found.seconds)
    return replace(notes, checks={**notes.checks, VerifyLevel.SIZE.value: check})


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """
    What was checked and found right; anything wrong is an exception.

    Attributes:
        level: How far it went.
        size: Bytes read from the file; 0 for SIZE.
        raw_size: Bytes after decompression; 0 below INFLATE.
        members: Members checked; 0 for SIZE.
        statements: Statements checked; 0 below CONTENT.
        rows: Row tuples counted; 0 below CONTENT.
        seconds: How long it took.
        bytes_read: Bytes that came from the store; None = the backup lies in the backup directory.
    """

    level: VerifyLevel
    size: int
    raw_size: int
    members: int
    statements: int
    rows: int
    seconds: float
    bytes_read: int | None = None
