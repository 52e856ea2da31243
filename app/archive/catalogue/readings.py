"""
Readings of the catalogue: all backups with what lies beside them, read once for whoever asks.

A reading serves again for `FRESH_SECONDS`, as long as the directory is the same and has the same names in
it: whatever this program or another one publishes, replaces or deletes there changes a name. What lies
beside a backup is decoded again only when its file is another one. What a pass over all sizes has found is
put into the reading that serves, so that noting it makes nobody take another one. All calls block.

Not guaranteed: that bytes which were changed in place, which is damage, are seen any sooner than that; nor a
file that somebody else puts in the place of another in the 20 ms in which sizes are noted.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from app.archive.catalogue.sidecars import Beside, Sidecars
from app.archive.catalogue.sweeping import names_of
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import Pin, SizeCheck
from app.domain.ids import BackupId
from app.domain.restores.proofs import proven_at
from app.storage import layout


FRESH_SECONDS: Final = 2.0
# Kernels note the time of a change by their tick, 10 ms at most: a second change within it has the same.
_TICK_NS: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """
    All backups at one moment, with what lies beside them.

    As long as nothing has changed it is the same object, so that what was made of it can be kept with it.

    Attributes:
        beside: Of each backup of the survey.
    """

    survey: Survey
    beside: Mapping[BackupId, Beside]

    def pins(self, backup_ids: Iterable[BackupId]) -> dict[str, Pin | None]:
        """Tell which of these are pinned; None for one that may be, as nobody can read its notes."""
        found = ((backup_id, self.beside[backup_id]) for backup_id in backup_ids)
        return {
            backup_id: None if beside.error else beside.notes.pin
            for backup_id, beside in found
            if beside.error or beside.notes.pin
        }

    def proven(self, backup_ids: Iterable[BackupId]) -> dict[BackupId, datetime | None]:
        """Tell when each of these was last restored and equal; None = never."""
        return {backup_id: proven_at(self.beside[backup_id].proofs) for backup_id in backup_ids}


class _Stamp(NamedTuple):
    """What changes when a small file is replaced: it is always another file then."""

    inode: int
    changed_ns: int
    size: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What lies beside a backup, as it was when the stamps of its files were these."""

    stamps: tuple[_Stamp | None, ...]
    beside: Beside


_BARE: Final = _Known((None, None), Beside())


@dataclass(frozen=True, slots=True)
class _Taken:
    """
    A reading that was taken.

    Attributes:
        began: When that was, by a clock that never goes back.
        ended: When it was ready.
        mark: Of the directory when it began; None when it had changed just before, and may change again unseen.
    """

    reading: Reading
    began: float
    ended: float
    mark: tuple[int, int, int] | None


class Readings:
    """Takes readings of one directory, one at a time, however many ask."""

    def __init__(
        self, directory: BackupDirectory, sidecars: Sidecars, survey: Callable[[], Survey]
    ) -> None:
        self._directory = directory
        self._sidecars = sidecars
        self._survey = survey
        self._turn = threading.Lock()
        self._last: _Taken | None = None
        self._known: Mapping[BackupId, _Known] = {}
        # What lies beside them with their sizes, and of which of both it was made.
        self._sized: tuple[object, object, Mapping[BackupId, Beside]] = (None, None, {})

    def read(self, *, anew: bool) -> Reading:
        """
        Return a reading that serves, or take one.

        Args:
            anew: Whether none serves that began before this call.

        Returns:
            It; whoever waited for another one shares it.

        Raises:
            StorageError: The directory cannot be read.
        """
        asked = time.monotonic()
        with self._turn:
            last = self._last
            if last is not None and (last.began >= asked or (not anew and self._serves(last))):
                return last.reading
            self._last = self._take()
            return self._last.reading

    def add_sizes(self, found: Mapping[BackupId, SizeCheck]) -> None:
        """
        Note sizes that are right, beside the backups and in the reading that serves.

        Raises:
            StorageError: The medium refused.
        """
        with self._turn, self._directory.locked():
            last = self._last if self._last is not None and self._serves(self._last) else None
            names = set(self._directory.names())
            sizes = self._sidecars.sizes.add(found, {name.backup_id for name in names_of(names)})
            if last is None:
                return
            mark = self._directory.mark()
            time.sleep(_TICK_NS / 1e9)  # whatever changes a name from here on changes the mark
            is_ours = set(self._directory.names()) == {*names, layout.SIZES}
            if is_ours and self._directory.mark() == mark:
                reading = replace(last.reading, beside=self._beside(sizes))
                self._last = replace(last, reading=reading, mark=mark)

    def _serves(self, last: _Taken) -> bool:
        # Where one takes longer than that, the next would never be spared if it counted from the beginning.
        is_fresh = time.monotonic() - last.ended < FRESH_SECONDS
        return is_fresh and last.mark is not None and last.mark == self._directory.mark()

    def _take(self) -> _Taken:
        began, at_ns = time.monotonic(), time.time_ns()
        mark = self._directory.mark()
        changed_ns = mark[-1]
        survey = self._survey()
        names = set(self._directory.names())
        known = {entry.backup_id: self._look(entry, names) for entry in survey.entries}
        if known != self._known:
            self._known = known
        reading = Reading(survey, self._beside(self._sidecars.sizes.read()))
        if self._last is not None and self._last.reading == reading:
            reading = self._last.reading  # what was made of it serves on
        is_settled = changed_ns < at_ns - _TICK_NS
        return _Taken(reading, began, time.monotonic(), mark if is_settled else None)

    def _beside(self, sizes: Mapping[BackupId, SizeCheck]) -> Mapping[BackupId, Beside]:
        if self._sized[0] is not self._known or self._sized[1] is not sizes:
            beside = {
                key: known.beside.with_size(sizes.get(key)) for key, known in self._known.items()
            }
            self._sized = (self._known, sizes, beside)
        return self._sized[2]

    def _look(self, entry: CatalogueEntry, names: set[str]) -> _Known:
        notes, proofs = entry.file + layout.NOTES, entry.file + layout.PROOFS
        if notes not in names and proofs not in names:
            return _BARE
        stamps = tuple(self._stamp(file) if file in names else None for file in (notes, proofs))
        known = self._known.get(entry.backup_id)
        if known is not None and known.stamps == stamps:
            return known
        name = layout.parse(entry.file)
        assert name is not None  # noqa: S101 - the survey lists no file of another name
        noted, proven = (stamp is not None for stamp in stamps)
        return _Known(stamps, self._sidecars.own(name, notes=noted, proofs=proven))

    def _stamp(self, name: str) -> _Stamp | None:
        fact = self._directory.describe(name)
        return _Stamp(fact.identity, fact.changed_ns, fact.size) if fact else None
