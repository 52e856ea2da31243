"""
Whether what is backed up lies in enough places: three copies, in two kinds of places, one of them off-site.

The live data is one copy, on a disk. A place counts as another when its last look was well and it holds a
backup that is at most a day older than the newest there is anywhere; two in one bucket, container or directory, or
on one server, are one copy. Directories of this machine are disks, whatever is mounted there; off-site is what is
reached over a network, and not on this machine.

Not guaranteed: that what calls itself another place burns down apart from this one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.backups.backup import CatalogueEntry
from app.errors import AppError


# Copies are made at once; what is further behind is not the data that somebody would miss.
MOST_LAG: Final = timedelta(days=1)
COPIES_WANTED: Final = 3
KINDS_WANTED: Final = 2
_DISK: Final = "disk"
_MEDIA: Final = {
    "local": _DISK,
    "s3": "object store",
    "gcs": "object store",
    "azure": "object store",
    "sftp": "SSH server",
}


@dataclass(frozen=True, slots=True)
class PlaceState:
    """
    What is known of a place of backups.

    Attributes:
        name: Of the store; empty = the backup directory.
        kind: As its definition says; `local` for the backup directory.
        place: Where it is; holds no secret.
        is_offsite: Whether it is reached over a network, and not on this machine.
        site: What it is lost with, at once; empty = nothing that anything else is lost with.
        looked_at: When it was last looked through, and what follows was so; None = never.
        error: Why the last look failed; None = it did not, or there was none.
        count: Backups there.
        size_bytes: Of their files.
        free_bytes: What may still be written there; None = the place does not tell.
        damaged: Backups that are not whole, with data files that lack a manifest.
        unknown: Backups of a signer that is not known here, of which nobody here can tell.
        newest: Newest backup that is no recovery point.
        there: Ids of all that is there, also of what is damaged or cannot be read here.
        lost: Backup that was put there last, and is not there any more, nor anything after it; empty = none.
        checked_at: When the newest was last read back to its last byte, or restored; None = never.
        proven_at: When all of a backup there, of any, was last restored and equal; None = never.
    """

    name: str
    kind: str
    place: str
    is_offsite: bool
    site: str = ""
    looked_at: datetime | None = None
    error: AppError | None = None
    count: int = 0
    size_bytes: int = 0
    free_bytes: int | None = None
    damaged: int = 0
    unknown: int = 0
    newest: CatalogueEntry | None = None
    there: frozenset[str] = frozenset()
    lost: str = ""
    checked_at: datetime | None = None
    proven_at: datetime | None = None

    @property
    def medium(self) -> str:
        """What kind of place it is."""
        return _MEDIA[self.kind]

    @property
    def latest(self) -> str:
        """The largest id of anything that is there; empty = there is nothing."""
        return max(self.there, default="")

    @property
    def loss(self) -> str:
        """What is lost, in words; empty = nothing."""
        return self.lost and (
            f"backup {self.lost}, which was put there last, is not there any more,"
            " and nobody has deleted it by Backstay"
        )

    @property
    def is_known(self) -> bool:
        """Whether what is said of it was so at the last look."""
        return self.looked_at is not None and self.error is None


@dataclass(frozen=True, slots=True)
class CopiesReport:
    """
    How many copies there are, and where.

    Attributes:
        places: All, the backup directory first.
        newest_at: When the newest backup anywhere was begun; None = there is none.
    """

    places: tuple[PlaceState, ...]
    newest_at: datetime | None

    @classmethod
    def of(cls, places: Sequence[PlaceState]) -> "CopiesReport":
        """Judge places."""
        made = [place.newest.created_at for place in places if place.newest]
        return cls(tuple(places), max(made, default=None))

    def lag(self, place: PlaceState) -> timedelta | None:
        """Tell how far the newest backup of a place is behind the newest there is; None = it has none."""
        if place.newest is None or self.newest_at is None:
            return None
        return self.newest_at - place.newest.created_at

    def counts(self, place: PlaceState) -> bool:
        """Tell whether a place is a copy of the data, and of several that are lost at once the first."""
        return self._is_copy(place) and self.double_of(place) is None

    @property
    def doubles(self) -> tuple[tuple[PlaceState, PlaceState], ...]:
        """Places that hold a copy where another one holds it already, each with that."""
        found, firsts = [], dict[str, PlaceState]()
        for place in filter(self._is_copy, self.places):
            first = firsts.setdefault(place.site, place) if place.site else place
            if first is not place:
                found.append((place, first))
        return tuple(found)

    def double_of(self, place: PlaceState) -> PlaceState | None:
        """Return the place that holds the same copy; None = there is no such."""
        return next((first for double, first in self.doubles if double is place), None)

    def _is_copy(self, place: PlaceState) -> bool:
        lag = self.lag(place)
        return place.is_known and lag is not None and lag <= MOST_LAG

    @property
    def counted(self) -> tuple[PlaceState, ...]:
        """The places that are copies."""
        return tuple(filter(self.counts, self.places))

    @property
    def copies(self) -> int:
        """How many copies there are, with the live data."""
        return 1 + len(self.counted)

    @property
    def media(self) -> tuple[str, ...]:
        """Kinds of places, with that of the live data."""
        return tuple(sorted({_DISK, *(place.medium for place in self.counted)}))

    @property
    def offsite(self) -> int:
        """How many copies are off-site."""
        return sum(place.is_offsite for place in self.counted)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is missing of 3-2-1, in words; nothing when it is met."""
        return tuple(self._missing())

    @property
    def is_met(self) -> bool:
        """Whether there are three copies, in two kinds of places, one off-site."""
        return not self.missing

    def _missing(self) -> Iterator[str]:
        if self.copies < COPIES_WANTED:
            yield f"{COPIES_WANTED} copies (only {self.copies} with the live data)"
        if len(self.media) < KINDS_WANTED:
            yield f"{KINDS_WANTED} kinds of places (only {self.media[0]})"
        if not self.offsite:
            yield "a copy off-site"
