"""
Lines of the catalogue of encrypted backups, kept on this machine.

Beside an encrypted backup lies nothing that tells what is in it, `metadata.json` included. Whoever made one,
or has read it with an identity, knows its line; it is kept in the state directory, so that lists and retention
know it too where there is no identity. A cache: what does not fit the manifest's file is not used. All calls
block.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.archive.catalogue.metadata import (
    MAX_METADATA_BYTES,
    CachedEntry,
    decode_metadata,
    encode_metadata,
)
from app.errors import StorageError
from app.storage.local import LocalDirectory


_DIRECTORY: Final = "catalogue"


class KnownLines:
    """The lines of one place."""

    def __init__(self, file: Path | None) -> None:
        """Take the file in which they are kept; None = nowhere."""
        self._name = file.name if file else ""
        self._directory = LocalDirectory(file.parent) if file else None
        self._lines: Mapping[str, CachedEntry] | None = None

    def read(self) -> Mapping[str, CachedEntry]:
        """Return the lines by the names of the data files; none that cannot be read."""
        if self._lines is None:
            self._lines = self._read()
        return self._lines

    def write(self, lines: Sequence[CachedEntry]) -> None:
        """Keep these instead of those before; raises StorageError."""
        by_file = {line.entry.file: line for line in lines}
        if by_file == self.read():
            return
        self._lines = by_file
        if self._directory is None:
            return
        self._directory.prepare()
        with self._directory.locked():
            self._directory.replace(self._name, encode_metadata(lines))

    def _read(self) -> Mapping[str, CachedEntry]:
        with suppress(StorageError):
            data = self._directory.find(self._name, MAX_METADATA_BYTES) if self._directory else None
            return decode_metadata(data).entries if data else {}
        return {}


def known_lines(state_directory: Path, place: str) -> KnownLines:
    """Return the lines of a place, which are kept in the state directory under a name for it."""
    return KnownLines(state_directory / _DIRECTORY / f"{place}.json")
