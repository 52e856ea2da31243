"""
What every store can do, whatever it is made of.

1. An object is there as a whole or not at all: nothing that is unfinished is ever listed or read.
2. What shall be made anew never replaces what is there; of two who try, one is told that it is.
3. Every call ends: it is bounded in time and tries, and fails with an error of this program that names
   the right or the setting that is lacking, and no secret.
4. Memory is bounded by two parts of an upload, one block of a read, and one page of a list.

All calls block, and may come from several threads; async callers use threads.

Not guaranteed: any order of a list; that bytes which come back are those that were written, which is what
digests are for; that a plain `put` and an upload to the same name at once end as one of the two.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final, Protocol, Self

from app.errors import InvalidRequestError


# Fewer than the 10,000 that stores take: an estimate may be too low by a tenth.
_WANTED_PARTS: Final = 9_000
# Of S3, and what keeps others' rules too.
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MOST_PARTS: Final = 10_000
LEAST_PART_BYTES: Final = 8 << 20
_MOST_PART_BYTES: Final = 5 << 30
_PART_STEP_BYTES: Final = 1 << 20
# Begins the names of what is unfinished where a store has no uploads of its own.
UNFINISHED: Final = ".upload-"
_UNFINISHED: Final = re.compile(r"\.upload-[0-9a-f]{16}")
_MOST_NAME: Final = 512
# Letters that need no escaping anywhere; a leading dot is for what is hidden.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]*(?:/[A-Za-z0-9][A-Za-z0-9._=-]*)*")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """
    An object that is there.

    Attributes:
        name: Below the store's prefix.
        size: Bytes.
        modified_at: By the store's clock, to the second at least.
    """

    name: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """
    An upload that was begun, by anybody, and neither completed nor aborted.

    Attributes:
        name: What it would become; empty where the store does not tell.
        upload_id: How the store calls it.
        begun_at: By the store's clock.
    """

    name: str
    upload_id: str
    begun_at: datetime


class Upload(Protocol):
    """
    An object that is being written, for one thread; left without `complete`, it is aborted.

    Whatever fails, nothing is there under its name unless `complete` returned.
    """

    def write(self, data: bytes) -> None:
        """
        Append bytes.

        Raises:
            StorageFullError: There is no room.
            StorageError: The store refused, does not answer, or has as many parts as it takes.
        """
        ...

    def complete(self) -> None:
        """
        Let it be there under its name.

        Raises:
            AlreadyThereError: Somebody else has made an object of this name meanwhile.
            StorageError: The store refused, or does not answer; `abort` it.
        """
        ...

    def abort(self) -> None:
        """Drop it, as far as the store can be reached; the sweep removes what is left. Again is harmless."""
        ...

    def __enter__(self) -> Self:
        """Return it."""
        ...

    def __exit__(self, *_exc: object) -> None:
        """Abort it unless it is complete."""
        ...


class Store(Protocol):
    """
    A place for objects.

    Each call may raise StorageDeniedError, StorageUnavailableError and, when it writes, StorageFullError.
    """

    @property
    def lists_unfinished(self) -> bool:
        """Whether `unfinished` finds the uploads of others; where not, a rule of the store must."""
        ...

    @property
    def keeps_objects(self) -> bool:
        """Whether `retain` works: the store then refuses deletions until a time."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """
        Read what is there, page by page.

        Args:
            prefix: What names begin with.

        Yields:
            Objects in no order; names that no name of ours can be are left out.
        """
        ...

    def stat(self, name: str) -> StoredObject | None:
        """Describe an object; None when there is none."""
        ...

    def read(self, name: str, offset: int, size: int) -> bytes:
        """
        Read a range.

        Returns:
            Exactly `size` bytes.

        Raises:
            ObjectNotFoundError: There is no such object.
            TruncatedFileError: It ends before that.
        """
        ...

    def put(
        self, name: str, data: bytes, *, create: bool = False, retain_until: datetime | None = None
    ) -> None:
        """
        Write a small object in one step.

        Args:
            name: Its name.
            data: All its bytes, a few MiB at most; they are sent as they are.
            create: Only if there is none of this name.
            retain_until: The store refuses its deletion until then; None = no such time.

        Raises:
            AlreadyThereError: `create`, and there is one, whoever made it first.
            RefusedError: The store keeps nothing until a time, and shall.
        """
        ...

    def begin(self, name: str, part_bytes: int, *, retain_until: datetime | None = None) -> Upload:
        """
        Begin an object of any size.

        Args:
            name: A name that nobody else uses.
            part_bytes: As `part_bytes_for` says; memory is twice of it.
            retain_until: As for `put`.

        Returns:
            What to write to.

        Raises:
            AlreadyThereError: There is one already.
            RefusedError: As for `put`.
        """
        ...

    def delete(self, name: str) -> bool:
        """
        Remove an object.

        Returns:
            Whether it was there.

        Raises:
            ObjectLockedError: The store keeps it.
        """
        ...

    def retain(self, name: str, until: datetime) -> None:
        """
        Have the store refuse the deletion of an object until a time; earlier ones change nothing.

        Raises:
            ObjectNotFoundError: There is no such object.
            RefusedError: The store cannot.
        """
        ...

    def now(self) -> datetime:
        """Return the store's own clock; where it shows it only on objects, one is written for that."""
        ...

    def free_bytes(self) -> int | None:
        """Return how much may still be written there; None where the store does not tell."""
        ...

    def unfinished(self, older_than: datetime) -> Iterator[UnfinishedUpload]:
        """Read uploads that were begun before a time of the store's clock, by anybody."""
        ...

    def abort_unfinished(self, upload: UnfinishedUpload) -> None:
        """Remove one of them; one that is not there any more is fine."""
        ...

    def close(self) -> None:
        """Close connections; again is harmless."""
        ...


def part_bytes_for(estimate_bytes: int) -> int:
    """
    Say how large the parts of an upload must be, so that there are not too many.

    Args:
        estimate_bytes: How large the object will be, about; too low by a tenth does no harm.

    Returns:
        Whole MiB, at least 8, at most 5120.
    """
    wanted = ceil(estimate_bytes / _WANTED_PARTS / _PART_STEP_BYTES) * _PART_STEP_BYTES
    return min(max(wanted, LEAST_PART_BYTES), _MOST_PART_BYTES)


def is_name(text: str) -> bool:
    """Tell whether an object of ours may be called so."""
    return len(text) <= _MOST_NAME and _NAME.fullmatch(text) is not None


def is_unfinished(text: str) -> bool:
    """Tell whether a file of a directory is what this program writes to; others may have such names, too."""
    return _UNFINISHED.fullmatch(text) is not None


def may_lead_to(folder: str, prefix: str) -> bool:
    """Tell whether names with a prefix may be in a folder; nobody looks into those that are not ours."""
    below = f"{folder}/"
    return is_name(folder) and (below.startswith(prefix) or prefix.startswith(below))


def require_name(text: str) -> str:
    """Return a name; raises InvalidRequestError for what no object of ours may be called."""
    if not is_name(text):
        raise InvalidRequestError(f"{text[:80]!r} is no name of an object")
    return text
