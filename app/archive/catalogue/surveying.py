"""
What there is in one directory, and the caches that make listing it cheap; all calls block.

A line is derived from its manifest once, and kept as long as the manifest's file is the same: that of a plain
backup in `metadata.json` beside it, that of an encrypted one in the state directory.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from app.archive.catalogue.known_lines import KnownLines
from app.archive.catalogue.metadata import (
    MAX_METADATA_BYTES,
    CachedEntry,
    Metadata,
    Stamp,
    decode_metadata,
    encode_metadata,
)
from app.archive.catalogue.sweeping import names_of
from app.archive.file.keys import ArchiveKeys
from app.archive.file.sealing import read_envelope
from app.archive.file.stored import require_bytes
from app.archive.publishing.places import BackupDirectory
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import DamagedFile, LockedBackup, Survey
from app.domain.backups.manifest import Manifest
from app.errors import (
    AppError,
    BackupNotFoundError,
    IntegrityError,
    ManifestError,
    NoIdentityError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    UnknownSignerError,
)
from app.storage import layout
from app.storage.layout import BackupName


_PROBLEMS: Final[tuple[type[AppError], ...]] = (
    IntegrityError,
    StorageError,
    BackupNotFoundError,
    UnknownSignerError,
)
# An identity that cannot be had just now is had again some day.
_LOCKED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Locked:
    """
    What is known of a backup that nobody here could read.

    Attributes:
        stamp: Of its manifest.
        until: When it is tried again, by a clock that never goes back.
    """

    stamp: Stamp
    backup: LockedBackup
    until: float


class Surveyor:
    """
    Surveys one directory.

    Args:
        known: Lines of encrypted backups.
        keys: Say who signed what nobody here can read.
        read: Reads a manifest, or takes the one that was just written.
    """

    def __init__(
        self,
        directory: BackupDirectory,
        known: KnownLines,
        keys: ArchiveKeys,
        read: Callable[[BackupName, Manifest | None], Manifest],
    ) -> None:
        self._directory = directory
        self._known = known
        self._read = read
        self._keys = keys
        # What `metadata.json` held when it was last decoded: with many backups that takes longer than
        # the survey. Replaced as a whole, as threads share it; so are the locked ones.
        self._decoded: tuple[bytes, Metadata] = (b"", decode_metadata(b""))
        self._locked: dict[str, _Locked] = {}

    def survey(self) -> Survey:
        """List everything, and bring the caches up to date where they may be written; raises StorageError."""
        survey, cached, _ = self._read_all(None)
        plain, encrypted = _parted(cached)
        if not self._decoded[1].holds(plain):
            with suppress(StorageError):  # a cache; the manifests have been read
                self.refresh(None)
        else:
            with suppress(StorageError):
                self._known.keep(encrypted, self._directory.exists)
        return survey

    def refresh(self, written: Manifest | None) -> None:
        """Write the caches anew, without decoding what was `written` now; raises StorageError."""
        with self._directory.locked():
            _, cached, before = self._read_all(written)
            plain, encrypted = _parted(cached)
            data = encode_metadata(plain)
            if data != before:
                self._directory.replace(layout.METADATA, data)
                self._decoded = (
                    data,
                    Metadata({item.entry.file: item for item in plain}, whole=True),
                )
        with suppress(StorageError):
            self._known.keep(encrypted, self._directory.exists)

    def learn(self, name: BackupName, entry: CatalogueEntry) -> None:
        """Take the line of an encrypted backup from another place, where the same one lies; raises StorageError."""
        facts = self._directory.describe(name.manifest)
        if facts is None:
            return
        stamp = Stamp(facts.size, facts.changed_ns)
        line = CachedEntry(replace(entry, full_path=self._directory.full_path(name.file)), stamp)
        self._known.keep([line], self._directory.exists)

    def _read_all(self, written: Manifest | None) -> tuple[Survey, list[CachedEntry], bytes]:
        """Return the survey, what the caches should hold, and what `metadata.json` holds."""
        names = set(self._directory.names())
        before = self._metadata() if layout.METADATA in names else b""
        if before != self._decoded[0]:
            self._decoded = (before, decode_metadata(before))
        cache = {**self._decoded[1].entries, **self._known.read()}
        cached: list[CachedEntry] = []
        locked: list[LockedBackup] = []
        problems: list[DamagedFile] = []
        unknown: list[DamagedFile] = []
        orphans: list[str] = []
        listed: set[str] = set()
        for name in names_of(names):
            if name.manifest in names:
                try:
                    _require_alone(name, listed)
                    found = self._examine(name, cache.get(name.file), written)
                except ObjectNotFoundError:
                    continue  # deleted since the names were listed, which a store may do late
                except _PROBLEMS as exc:
                    # What was known here before has been replaced by whoever has signed it now.
                    is_unknown = isinstance(exc, UnknownSignerError) and name.file not in cache
                    (unknown if is_unknown else problems).append(DamagedFile(name.file, exc))
                    continue
                if isinstance(found, CachedEntry):
                    cached.append(found)
                else:
                    locked.append(found)
            elif name.file in names and not {name.tombstone, name.partial} & names:
                orphans.append(name.file)
        survey = Survey(
            tuple(item.entry for item in cached),
            tuple(problems),
            tuple(orphans),
            tuple(locked),
            tuple(unknown),
        )
        return survey, cached, before

    def _metadata(self) -> bytes:
        try:
            return self._directory.read(layout.METADATA, MAX_METADATA_BYTES)
        except StorageError:
            return b""

    def _examine(
        self, name: BackupName, known: CachedEntry | None, written: Manifest | None
    ) -> CachedEntry | LockedBackup:
        """Return the line of one backup, from the cache when its manifest did not change."""
        manifest_file, data = (
            self._directory.describe(name.manifest),
            self._directory.describe(name.file),
        )
        if manifest_file is None or data is None:
            raise BackupNotFoundError(name.backup_id, is_without_data=True)
        if not data.is_regular:
            raise StorageDeniedError(
                f"{name.file}: not a regular file",
                hint="Symbolic links in a backup directory are never followed; remove it.",
            )
        stamp = Stamp(manifest_file.size, manifest_file.changed_ns)
        full_path = self._directory.full_path(name.file)
        line: CachedEntry | LockedBackup
        is_same = known is not None and (known.stamp, known.entry.full_path) == (stamp, full_path)
        # What an earlier program has not recorded is looked for once.
        if known is not None and is_same and known.entry.server_id is not None:
            line, size = known, known.entry.size
        else:
            line, size = self._line(name, written, stamp, full_path, known)
        require_bytes(name.file, data.size, size)
        return line

    def _line(
        self,
        name: BackupName,
        written: Manifest | None,
        stamp: Stamp,
        full_path: str,
        known: CachedEntry | None,
    ) -> tuple[CachedEntry | LockedBackup, int]:
        """Read the line of one backup, or what is known of it without an identity, and its size."""
        is_written = written is not None and written.file == name.file
        seen = self._locked.get(name.file)
        if is_written or seen is None or seen.stamp != stamp or seen.until < time.monotonic():
            try:
                manifest = self._read(name, written)
            except NoIdentityError:
                again_at = time.monotonic() + _LOCKED_SECONDS
                seen = _Locked(stamp, self._look(name, full_path), again_at)
                self._locked = {**self._locked, name.file: seen}
            else:
                line = CachedEntry(CatalogueEntry.of(manifest, full_path), stamp)
                return line, manifest.size
        locked = seen.backup
        if known is not None and known.entry.checksum == locked.checksum:
            # Touched or moved, and the same: its envelope is signed.
            entry = replace(known.entry, full_path=full_path, server_id=locked.server_id)
            return CachedEntry(entry, stamp), locked.size
        return locked, locked.size

    def _look(self, name: BackupName, full_path: str) -> LockedBackup:
        """Read what is known of an encrypted backup without an identity."""
        sealed = read_envelope(self._directory, name, self._keys)
        envelope = sealed.envelope
        return LockedBackup(
            backup_id=envelope.backup_id,
            file=envelope.file,
            full_path=full_path,
            created_at=envelope.created_at,
            size=envelope.size,
            checksum=envelope.checksum,
            server_id=envelope.server_id,
            recipients=envelope.recipients,
            signer=sealed.signer,
        )


def _require_alone(name: BackupName, listed: set[str]) -> None:
    """Refuse a second backup of one id: nobody made it, and which of both is meant, nobody can say."""
    if name.backup_id in listed:
        raise ManifestError(
            f"{name.file}: another file has the same id",
            hint="Find out who has put it there, and remove it, its manifest first.",
        )
    listed.add(name.backup_id)


def _parted(cached: list[CachedEntry]) -> tuple[list[CachedEntry], list[CachedEntry]]:
    """Part plain backups from encrypted ones."""
    encrypted = [item for item in cached if item.entry.is_encrypted]
    return [item for item in cached if not item.entry.is_encrypted], encrypted
