"""
Lines of the catalogue of encrypted backups, kept on this machine.

Beside an encrypted backup lies nothing that tells what is in it, `metadata.json` included. Whoever made one,
or has read it with an identity, knows its line; it is kept in the state directory, so that lists and retention
know it too where there is no identity. A cache: what does not fit the manifest's file is not used. All calls
block.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from app.archive.catalogue.metadata import (
    MAX_METADATA_BYTES,
    CachedEntry,
    decode_metadata,
    encode_metadata,
)
from app.errors import StorageError
from app.storage.files import FileFacts
from app.storage.local import LocalDirectory


_DIRECTORY: Final = "catalogue"
Lines: TypeAlias = Mapping[str, CachedEntry]


class KnownLines:
    """The lines of one place; any number of processes may use them at once."""

    def __init__(self, file: Path | None) -> None:
        """Take the file in which they are kept; None = nowhere."""
        self._name = file.name if file else ""
        self._directory = LocalDirectory(file.parent) if file else None
        # What was read last, of which file. Replaced as a whole, as threads share it.
        self._read_last: tuple[FileFacts | None, Lines] = (None, {})

    def read(self) -> Lines:
        """Return the lines by the names of the data files; none that cannot be read."""
        with suppress(StorageError):
            facts = self._directory.describe(self._name) if self._directory else None
            if facts != self._read_last[0]:
                self._read_last = (facts, self._read())
        return self._read_last[1]

    def keep(self, lines: Iterable[CachedEntry], is_there: Callable[[str], bool]) -> None:
        """
        Keep lines, beside those that are kept already.

        Args:
            lines: Of encrypted backups that are there.
            is_there: Tells whether the data file of a name still is; asked of lines that are not given.

        Raises:
            StorageError: They cannot be kept.
        """
        given = {line.entry.file: line for line in lines}
        known = self.read()
        if self._directory is None or dict(known) == given:
            return
        self._directory.prepare()
        with self._directory.locked():
            others = {file: line for file, line in self.read().items() if file not in given}
            kept = given | {file: line for file, line in others.items() if is_there(file)}
            if kept != self.read():
                self._directory.replace(self._name, encode_metadata(kept.values()))

    def _read(self) -> Lines:
        data = self._directory.find(self._name, MAX_METADATA_BYTES) if self._directory else None
        return decode_metadata(data).entries if data else {}


def known_lines(state_directory: Path | None, place: str) -> KnownLines:
    """Return the lines of a place, which are kept in the state directory under a name for it; None = nowhere."""
    if state_directory is None:
        return KnownLines(None)
    return KnownLines(state_directory / _DIRECTORY / f"{place}.json")
