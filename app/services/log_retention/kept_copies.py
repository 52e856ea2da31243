"""
How much of the copied binary log is kept in a store, and which backups there because of it.

What lies before the beginning of a stream, as its newest document there says it, goes unless a backup that is
kept there needs it: what backups here need never lies before it. A base there is believed to be one unless it
is plain that it is none, since the bytes that would prove it lie there; believing too much keeps too much. A
stream that is not here and has not ended is somebody else's, or that of a machine that was lost, and nothing of
it goes. All calls block.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.documents import StreamDocument
from app.binlog.archive.layout import Stem, file_number, root_of
from app.binlog.copied import CopiedStream, copied_streams
from app.binlog.copies_pruning import goes_before, prune_copy, remove_copy
from app.domain.backups.base import databases_of, unfitness
from app.domain.backups.manifest import Manifest
from app.domain.backups.pruning import LogPruning
from app.domain.backups.retention import RetentionItem
from app.domain.ports import Clock
from app.domain.restores.log_window import LogBase, needed_bases
from app.domain.restores.points import Place
from app.errors import AppError, NoIdentityError
from app.services.log_retention.kept_log import (
    GRACE,
    LONGEST,
    UNREADABLE,
    Manifests,
    breaks_behind,
    serves_until,
)
from app.storage.remote.store import Store


_log: Final = logging.getLogger(__name__)
_BEHIND_ALL: Final = Place(1 << 62, 0)


@dataclass(frozen=True, slots=True)
class _Copy:
    """A stream in the store."""

    copied: CopiedStream
    document: StreamDocument

    @property
    def first(self) -> Stem:
        """Where it begins for who fetches it."""
        return Stem(self.document.first_number, self.document.first_start)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What becomes of a stream: what is told, and where it begins then; None = nothing of it stays."""

    told: LogPruning
    copied: CopiedStream
    first: Stem | None


class KeptCopies:
    """
    Decides about the copies in one store.

    Args:
        open_store: Opens it; it is closed again.
        catalogue: The backups there.
        backup_dir: Whose archive is copied there.
        days: How long points in time are wanted for; 0 = as far back as backups reach.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        catalogue: Catalogue,
        clock: Clock,
        backup_dir: Path,
        *,
        days: float = 0,
    ) -> None:
        self._open_store = open_store
        self._manifests = Manifests(catalogue)
        self._clock = clock
        self._root = root_of(backup_dir)
        self._days = days

    def hold(self, items: Sequence[RetentionItem]) -> Mapping[str, str]:
        """See `LogRetention.hold`, of the backups there."""
        if not self._days:
            return {}
        reason = f"base of the points in time of the last {self._days:g} days"
        found: dict[str, str] = {}
        manifests = self._manifests.of(items)
        with self._opened() as store:
            for copied in copied_streams(store):
                try:
                    copy = _Copy(copied, copied.document(store))
                    bases = _bases(store, copy, items, manifests) if self._is_ours(copy) else []
                except UNREADABLE:  # somebody may mend it
                    found |= dict.fromkeys((item.backup_id for item in items), reason)
                    continue
                found |= dict.fromkeys(self._needed(copy, bases), reason)
        return found

    def plan(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """See `LogRetention.plan`."""
        with self._opened() as store:
            decisions = list(self._decisions(store, items))
        return tuple(decision.told for decision in decisions if decision.told.is_news)

    def prune(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """See `LogRetention.prune`; what the store itself keeps stays."""
        with self._opened() as store:
            done = [_prune(store, decision) for decision in self._decisions(store, items)]
        return tuple(told for told in done if told.is_news)

    @contextmanager
    def _opened(self) -> Iterator[Store]:
        store = self._open_store()
        try:
            yield store
        finally:
            store.close()

    def _decisions(self, store: Store, items: Sequence[RetentionItem]) -> Iterator[_Decision]:
        manifests = self._manifests.of(items)
        for copied in copied_streams(store):
            try:
                copy = _Copy(copied, copied.document(store))
                if not self._is_ours(copy):
                    continue
                decision = self._decide(copy, _bases(store, copy, items, manifests))
            except UNREADABLE as exc:
                told = LogPruning(copied.stream).failed(exc)
                decision = _Decision(told, copied, Stem(0, 0))
            yield decision

    def _is_ours(self, copy: _Copy) -> bool:
        """Tell whether a stream is here, or was until its end."""
        return self._is_here(copy) or bool(copy.document.ended_at)

    def _is_here(self, copy: _Copy) -> bool:
        return (self._root / copy.copied.stream).exists()

    def _decide(self, copy: _Copy, bases: Sequence[LogBase]) -> _Decision:
        needed = self._needed(copy, bases)
        if not needed and not self._is_here(copy):
            ended = datetime.fromisoformat(copy.document.ended_at)
            return _from(copy, None if ended + GRACE < self._clock.now() else copy.first)
        places = [base.place for base in bases if base.backup_id in needed]
        before = [
            stem for stem in copy.copied.data if Place(*stem) < min(places, default=_BEHIND_ALL)
        ]
        return _from(copy, min(copy.first, before[-1] if before else Stem(0, 0)))

    def _needed(self, copy: _Copy, bases: Sequence[LogBase]) -> frozenset[str]:
        """Choose the bases that are needed there."""
        if not self._days:
            return frozenset(base.backup_id for base in bases)
        start = self._clock.now() - timedelta(days=self._days)
        began = datetime.fromisoformat(copy.document.began_at)
        # What is older than the archive may stand in a log of before: it stands in for no other.
        certain = [base for base in bases if base.done >= began]
        needed = needed_bases(certain, start, lambda _: True)
        if any(base.done <= start and base.is_good and not base.databases for base in certain):
            return needed
        early = (base for base in bases if base.done < began)
        return needed | {
            base.backup_id for base in early if base.until is None or base.until > start
        }


def _from(copy: _Copy, first: Stem | None) -> _Decision:
    """Say what goes when a stream begins there; None = it goes whole."""
    copied, document = copy.copied, copy.document
    if first is None:
        size = sum(copied.sizes.values())
        told = LogPruning(copied.stream, is_whole=True, segments=len(copied.data), size=size)
        return _Decision(told, copied, None)
    segments, size = goes_before(copied, first)
    base, _, digits = document.first_file.rpartition(".")
    begins_at = f"{base}.{first.number:0{len(digits)}}:{first.start}" if segments else ""
    return _Decision(
        LogPruning(copied.stream, begins_at=begins_at, segments=segments, size=size), copied, first
    )


def _prune(store: Store, decision: _Decision) -> LogPruning:
    told = decision.told
    if told.error:
        return told
    try:
        if decision.first is None:
            remove_copy(store, decision.copied)
        else:
            prune_copy(store, decision.copied, decision.first)
    except AppError as exc:
        return told.failed(exc)
    if told.is_news:
        facts = {"stream": told.stream, "segments": told.segments, "size": told.size}
        _log.info("Old copies of the binary log deleted", extra={"facts": facts})
    return told


def _bases(
    store: Store, copy: _Copy, items: Sequence[RetentionItem], manifests: Manifests
) -> list[LogBase]:
    """List the backups there that may be bases of a stream."""
    ended = copy.document.ended_at
    found = []
    for item in items:
        if ended and item.created_at > datetime.fromisoformat(ended):
            continue
        place: Place | None
        try:
            manifest = manifests.find(item.backup_id)
        except NoIdentityError:
            place = _place_at(store, copy, item.created_at)
            done, databases = item.created_at + LONGEST, item.holdings.requested or frozenset()
        else:
            if manifest is None or unfitness(manifest):
                continue
            place = _place_of(copy, manifest)
            done = manifest.created_at + timedelta(seconds=manifest.duration)
            databases = frozenset(databases_of(manifest))
        if place is not None:
            until = serves_until(copy.document, breaks_behind(copy.document, place, item))
            base = LogBase(
                item.backup_id, copy.copied.stream, place, done, until, databases, item.is_good
            )
            found.append(base)
    return found


def _place_of(copy: _Copy, manifest: Manifest) -> Place | None:
    """Return where a backup stands; None where that is in no file of the stream, or before all that is there."""
    document, position = copy.document, manifest.position
    if manifest.server.vendor != document.identity.vendor:
        return None
    number = file_number(position.binlog_file)
    names = (position.binlog_file, document.first_file or position.binlog_file)
    if number is None or len({name.rpartition(".")[0] for name in names}) > 1:
        return None
    place = Place(number, position.binlog_position)
    oldest = next(iter(copy.copied.data), None)
    return place if oldest is None or Place(*oldest) <= place else None


def _place_at(store: Store, copy: _Copy, moment: datetime) -> Place:
    """Return a place behind which everything was received that came then or later, by as few reads as possible."""
    since = moment.timestamp() * 1000
    stems = [stem for stem in copy.copied.documented if stem in copy.copied.data]
    low, high = 0, len(stems)
    while low < high:
        middle = (low + high) // 2
        clock = copy.copied.segment(store, stems[middle]).clock
        if clock and clock[-1][1] >= since:
            high = middle
        else:
            low = middle + 1
    return Place(*stems[low]) if low < len(stems) else _BEHIND_ALL
