"""Which moments can be reached now: the archive of the binary log, and the backups that stand in it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import STREAM, root_of, stream_directory
from app.binlog.archive.reading import ArchivedStream, open_stream, stream_directories
from app.binlog.ownership import is_owned
from app.concurrency import run_in_thread
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.restores.log_archive import BinlogOverview
from app.domain.restores.reach import Base, Reach, reach_of
from app.errors import AppError, IntegrityError, NoIdentityError, UnknownSignerError
from app.services.binlog.service import BinlogService
from app.services.point_in_time.standing import breaks_since, holds_position, unfit_in
from app.storage.local import LocalDirectory


# To prove one reads a segment of the log, once.
_MOST_BASES: Final = 50
_FRESH_SECONDS: Final = 2.0
# What is damaged meanwhile is seen by then.
_KNOWN_SECONDS: Final = 600.0
_UNSETTLED_SECONDS: Final = 10.0


class ReachService:
    """
    Tells which moments can be reached.

    Args:
        binlog: Tells what archiver and archive are.
        catalogue: The backups.
        backup_dir: Where the archive is.
        keys: Who reads it.
        clock: The time.
    """

    def __init__(
        self,
        *,
        binlog: BinlogService,
        catalogue: Catalogue,
        backup_dir: Path,
        keys: LogKeys,
        clock: Clock,
    ) -> None:
        self._binlog = binlog
        self._catalogue = catalogue
        self._root = root_of(backup_dir)
        self._keys = keys
        self._clock = clock
        self._proven: dict[str, Base] = {}
        self._known: tuple[float, object, Reach] | None = None

    async def read(self) -> Reach:
        """
        Look at archive and backups; what was seen less than two seconds ago serves once more.

        Returns:
            What can be recovered; a damaged stream is told in the overview, and reaches nowhere.

        Raises:
            StorageError: The medium does not answer.
        """
        return await run_in_thread(self._read)

    async def glance(self) -> Reach:
        """
        Tell the same, without opening streams of which nothing has changed but that they have grown.

        Returns:
            As `read`; places in the log, and what was committed last, may be those of before.

        Raises:
            StorageError: The medium does not answer.
        """
        return await run_in_thread(self._glance)

    def _glance(self) -> Reach:
        known = self._known
        if known is None or self._is_old(*known):
            return self._read()
        overview = self._binlog.look(known[2].overview.streams)
        return reach_of(overview, known[2].bases, is_all=known[2].is_all)

    def _is_old(self, seen: float, basis: object, reach: Reach) -> bool:
        age = self._clock.monotonic() - seen
        newest = next((entry.backup_id for entry in self._entries()), "")
        # The archive may soon hold the position of the newest backup.
        is_settled = not newest or any(base.backup_id == newest for base in reach.bases)
        return (
            age > (_KNOWN_SECONDS if is_settled else _UNSETTLED_SECONDS) or basis != self._basis()
        )

    def _read(self) -> Reach:
        now, known = self._clock.monotonic(), self._known
        if known is None or now - known[0] > _FRESH_SECONDS:
            basis = self._basis()  # before, so that what changes meanwhile is read once more
            self._known = known = (now, basis, self._look(self._binlog.look()))
        return known[2]

    def _basis(self) -> object:
        """Return what is another one when bases, breaks or ends of streams may be others."""
        root = LocalDirectory(self._root)
        streams = [
            (directory.path.name, directory.describe(STREAM))
            for directory in stream_directories(root)
        ]
        return is_owned(root), streams, [entry.backup_id for entry in self._entries()]

    def _entries(self) -> list[CatalogueEntry]:
        if not self._catalogue.directory.is_there():
            return []
        reading = self._catalogue.read()
        return [
            entry
            for entry in reading.survey.entries
            if entry.is_whole and not reading.beside[entry.backup_id].notes.is_damaged
        ]

    def _look(self, overview: BinlogOverview) -> Reach:
        streams = self._streams(overview)
        if not streams:
            return reach_of(overview, ())
        entries = self._entries()
        found = (self._base(entry, streams) for entry in entries[:_MOST_BASES])
        is_all = len(entries) <= _MOST_BASES
        return reach_of(overview, [base for base in found if base], is_all=is_all)

    def _streams(self, overview: BinlogOverview) -> dict[str, ArchivedStream]:
        """Open the streams that are not damaged, the newest first."""
        found = {}
        for facts in reversed(overview.streams):
            try:
                found[facts.id] = open_stream(stream_directory(self._root, facts.id), self._keys)
            except (IntegrityError, NoIdentityError, UnknownSignerError):
                continue  # what has begun it since the overview, or has damaged it, the next one tells
        return found

    def _base(self, entry: CatalogueEntry, streams: Mapping[str, ArchivedStream]) -> Base | None:
        """Tell what a backup reaches; what was proven of it stays so while its place is archived."""
        try:
            manifest = self._catalogue.manifest(entry.backup_id)
        except AppError:
            return None  # damaged, or for keys that are not here: lists of backups tell it
        proven = self._proven.get(manifest.backup_id)
        if proven and proven.stream in streams and holds_position(streams[proven.stream], manifest):
            return replace(proven, until=_until(streams[proven.stream], manifest))
        try:
            stands = (found for found in streams.values() if not unfit_in(found, manifest))
            stream = next(stands, None)
        except (IntegrityError, NoIdentityError):
            return None  # what would prove it is damaged, or for keys that are not here
        if stream is None:
            return None
        done = manifest.created_at + timedelta(seconds=manifest.duration)
        base = Base(manifest.backup_id, stream.id, done, bool(manifest.recovered_from))
        base = replace(base, until=_until(stream, manifest))
        self._proven[manifest.backup_id] = base
        return base


def _until(stream: ArchivedStream, manifest: Manifest) -> datetime | None:
    """Return when something was changed past the log, first since what a backup holds."""
    found = breaks_since(stream, manifest)
    return min((datetime.fromisoformat(change.at) for change in found), default=None)
