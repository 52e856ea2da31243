"""
How much of the archived binary log is kept, and which backups because of it.

Without a window of days it is kept from the oldest backup on that can be a base. With one, the bases of the
window are kept, whatever retention says of them, and the log from the oldest of those on. Nothing is decided
about a stream that cannot be read, and nothing goes while somebody reads it. All calls block.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Self

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.documents import StreamDocument
from app.binlog.archive.keys import PLAIN, LogKeys
from app.binlog.archive.layout import root_of, stream_directory
from app.binlog.archive.pruning import Beginning, beginning_at, leased, prune
from app.binlog.archive.reading import ArchivedStream, open_stream, stream_directories
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest
from app.domain.backups.pruning import LogPruning
from app.domain.backups.retention import RetentionItem
from app.domain.ports import Clock
from app.domain.restores.log_archive import LogBreak
from app.domain.restores.log_window import LogBase, needed_bases
from app.domain.restores.points import Place
from app.errors import (
    AppError,
    BackupInUseError,
    IntegrityError,
    NoIdentityError,
    StorageError,
    UnknownSignerError,
)
from app.services.point_in_time.standing import breaks_since, foreignness, place_in, place_of
from app.storage.local import LocalDirectory


_log: Final = logging.getLogger(__name__)
# A backup that was running when a stream ended may still become a base of it.
GRACE: Final = timedelta(days=1)
UNREADABLE: Final = (IntegrityError, NoIdentityError, UnknownSignerError)
# How long a backup may have taken of which no more is known than when it began.
LONGEST: Final = timedelta(days=1)
_NOWHERE: Final = Place(0, 0)


@dataclass(frozen=True, slots=True)
class _Look:
    """A stream and the backups that may be its bases; `stands` proves that one is."""

    stream: ArchivedStream
    bases: tuple[LogBase, ...]
    stands: Callable[[LogBase], bool]


class KeptLog:
    """
    Decides about the archive of one backup directory.

    Args:
        keys: Who reads it; what is encrypted for others is judged by its time.
        days: How long points in time are wanted for; 0 = as far back as backups reach.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        backup_dir: Path,
        keys: LogKeys = PLAIN,
        *,
        days: float = 0,
    ) -> None:
        self._manifests = Manifests(catalogue)
        self._clock = clock
        self._root = LocalDirectory(root_of(backup_dir))
        self._keys = keys
        self._days = days

    def hold(self, items: Sequence[RetentionItem]) -> Mapping[str, str]:
        """
        Say which backups are kept as bases of the window.

        Returns:
            Why, by their ids.

        Raises:
            StorageError: The medium does not answer.
            BackupInUseError: Somebody removes some of the log right now.
        """
        if not self._days:
            return {}
        reason = f"base of the points in time of the last {self._days:g} days"
        found: dict[str, str] = {}
        manifests = self._manifests.of(items)
        for directory in stream_directories(self._root):
            try:
                with leased(directory):
                    look = _look(open_stream(directory, self._keys), items, manifests)
                    needed = needed_bases(look.bases, self._start, look.stands)
            except UNREADABLE:  # somebody may mend it
                perhaps = filter(None, (_base(item, manifests, None) for item in items))
                needed = needed_bases(list(perhaps), self._start, lambda _: True)
            found |= dict.fromkeys(needed, reason)
        return found

    def plan(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """
        Say what of the log would go.

        Args:
            items: The backups that stay.

        Returns:
            Of each stream that would lose something, or of which nobody knows.

        Raises:
            StorageError: The medium does not answer.
        """
        return tuple(told for told, _ in self._plan(items) if told.is_news)

    def prune(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """
        Remove what none of the backups needs that are there.

        Args:
            items: They.

        Returns:
            As `plan`; with why, where something that should have gone did not.

        Raises:
            StorageError: The medium does not answer.
        """
        done = [self._prune(told, beginning) for told, beginning in self._plan(items)]
        return tuple(told for told in done if told.is_news)

    def _prune(self, told: LogPruning, beginning: Beginning | None) -> LogPruning:
        if told.error:
            return told
        try:
            prune(stream_directory(self._root.path, told.stream), beginning, self._keys)
        except AppError as exc:
            return told.failed(exc)
        if not told.is_news:
            return told
        facts = {"stream": told.stream, "segments": told.segments, "size": told.size}
        _log.info("Old binary log deleted", extra={"facts": facts})
        return told

    @property
    def _start(self) -> datetime:
        return self._clock.now() - timedelta(days=self._days)

    def _plan(
        self, items: Sequence[RetentionItem]
    ) -> Iterator[tuple[LogPruning, Beginning | None]]:
        manifests = self._manifests.of(items)
        for directory in stream_directories(self._root):
            name = directory.path.name
            try:
                with leased(directory):
                    stream = open_stream(directory, self._keys)
                    beginning = self._beginning(_look(stream, items, manifests))
            except (*UNREADABLE, BackupInUseError) as exc:
                yield LogPruning(name).failed(exc), None
                continue
            yield _told(name, beginning), beginning

    def _beginning(self, look: _Look) -> Beginning | None:
        """Find where a stream can begin; None when nothing of it can go."""
        place = self._first_needed(look)
        ended = look.stream.document.ended_at
        if place is None and not (
            ended and datetime.fromisoformat(ended) + GRACE < self._clock.now()
        ):
            return None
        return beginning_at(look.stream, place)

    def _first_needed(self, look: _Look) -> Place | None:
        """Return where the log must begin; None when no backup needs any of it."""
        if self._days:
            needed = needed_bases(look.bases, self._start, look.stands)
            return min(
                (base.place for base in look.bases if base.backup_id in needed), default=None
            )
        in_order = sorted(look.bases, key=lambda base: base.place)
        return next((base.place for base in in_order if look.stands(base)), None)


class Manifests:
    """
    What manifests say of bases; each is read once for as long as its backup is there, and little is kept of it.

    Whether one is what was published a survey of the backups says, before anybody asks here.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, Manifest] = {}

    def of(self, items: Sequence[RetentionItem]) -> Self:
        """Forget those of all other backups."""
        there = {item.backup_id for item in items}
        self._known = {key: known for key, known in self._known.items() if key in there}
        return self

    def find(self, backup_id: str) -> Manifest | None:
        """Return one without its tables; of what is damaged or gone, None. Raises NoIdentityError, StorageError."""
        known = self._known.get(backup_id)
        if known is None:
            try:
                known = replace(self._catalogue.manifest(backup_id), databases=())
            except (StorageError, NoIdentityError):
                raise
            except AppError:
                return None
            self._known[backup_id] = known
        return known


def _look(stream: ArchivedStream, items: Sequence[RetentionItem], manifests: Manifests) -> _Look:
    @cache
    def stands(base: LogBase) -> bool:
        try:
            manifest = manifests.find(base.backup_id)
            return manifest is not None and not foreignness(stream, manifest, base.place)
        except NoIdentityError:  # what cannot be read is believed
            return True

    found = (_base(item, manifests, stream) for item in items)
    return _Look(stream, tuple(filter(None, found)), stands)


def _base(
    item: RetentionItem, manifests: Manifests, stream: ArchivedStream | None
) -> LogBase | None:
    """Say what a backup is as a base of a stream; None = it is none, and None for a stream that cannot be read."""
    if stream and item.binlog_file is not None and not _place_told(stream, item):
        return None
    try:
        manifest = manifests.find(item.backup_id)
    except NoIdentityError:
        place = _place_told(stream, item) if stream else _NOWHERE
        requested = item.holdings.requested or frozenset()
        until = None
        if stream and place:
            until = serves_until(stream.document, breaks_behind(stream.document, place, item))
        return _described(item, stream, place, (item.created_at + LONGEST, until), requested)
    if manifest is None or unfitness(manifest):
        return None
    place = place_of(stream, manifest) if stream else _NOWHERE
    done = manifest.created_at + timedelta(seconds=manifest.duration)
    until = serves_until(stream.document, breaks_since(stream, manifest)) if stream else None
    return _described(item, stream, place, (done, until), frozenset(databases_of(manifest)))


def _place_told(stream: ArchivedStream, item: RetentionItem) -> Place | None:
    """
    Return where a backup stands by its line in the catalogue; no clock says that, which may have been wrong.

    Returns:
        None when the stream has not the file; the begin of the stream where nobody noted it.
    """
    if item.binlog_file is None:
        return Place(stream.document.first_number, stream.document.first_start)
    return place_in(stream, item.binlog_file, item.binlog_position)


def _described(
    item: RetentionItem,
    stream: ArchivedStream | None,
    place: Place | None,
    serves: tuple[datetime, datetime | None],
    databases: frozenset[str],
) -> LogBase | None:
    if place is None:
        return None
    return LogBase(
        backup_id=item.backup_id,
        stream=stream.id if stream else "",
        place=place,
        done=serves[0],
        until=serves[1],
        databases=databases,
        is_good=item.is_good,
    )


def breaks_behind(
    document: StreamDocument, place: Place, item: RetentionItem
) -> tuple[LogBreak, ...]:
    """Return the breaks behind a backup of which the place is not known exactly."""
    return tuple(
        found
        for found in document.breaks
        if place <= Place(found.number, found.position)
        and datetime.fromisoformat(found.at) > item.created_at
    )


def serves_until(document: StreamDocument, breaks: Iterable[LogBreak]) -> datetime | None:
    """Return when points could not be recovered from a base any more; None = they can."""
    ends = [found.at for found in breaks]
    if document.ended_at:
        ends.append(document.ended_at)
    return min(map(datetime.fromisoformat, ends), default=None)


def _told(stream: str, beginning: Beginning | None) -> LogPruning:
    if beginning is None:
        return LogPruning(stream)
    stem, file = beginning.stem, beginning.file
    return LogPruning(
        stream,
        is_whole=stem is None,
        begins_at=f"{file}:{stem.start}" if stem else "",
        segments=beginning.segments,
        size=beginning.size,
    )
