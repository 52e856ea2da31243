"""
The proof that a log goes on where the archive ends: its last transaction must come again, byte for byte.

UUIDs, names and positions prove nothing: a server that was reset, or put back from a copy, keeps them all. Even
the last transaction may be the same after others than before; so its file must be the one that was archived,
which says when it was begun, as a server begins another one with each of its starts. Of encrypted segments,
which an archiver need not be able to read, the SHA-256 must come out.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from app.binlog.archive.layout import file_number
from app.binlog.archive.parts import Part
from app.binlog.archive.reading import ArchivedFile, ArchivedStream
from app.binlog.archive.sealed import echo_of
from app.binlog.events.headers import MAGIC, Place, is_of_one_file
from app.concurrency import run_in_thread
from app.errors import (
    BinlogBrokenError,
    BinlogDamagedError,
    BinlogOffError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)


# Nothing can be proven to follow: the log is another one, or the archive, or the keys of this installation are.
BREAKS: Final = (
    BinlogBrokenError,
    BinlogOffError,
    BinlogDamagedError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)
_OTHER: Final = "the server's log is another one than before"


class Overlap:
    """
    The archive from a place to its end, to be compared with what the server sends.

    Attributes:
        place: Where it begins: at a transaction, or the first event of a file.
    """

    def __init__(self, stream: ArchivedStream, last: Place | None, end: Place) -> None:
        """
        Find what is to come again.

        Args:
            stream: The archive, as it was just opened.
            last: Where the last transaction begins; None when there is none.
            end: Where the archive ends.
        """
        self.place = last or Place(end.name, len(MAGIC))
        self._stream = stream
        self._end = end
        self._file = self.place.name
        self._left = self._size_of(self._file) - self.place.position
        self._parts = self._begin(self.place.position)
        self._expected: _Expected | None = None

    def _archived(self, name: str) -> ArchivedFile:
        found = self._stream.file_named(name)
        if found is None:
            raise BinlogBrokenError(f"the archive has nothing of {name}")
        return found

    def _size_of(self, name: str) -> int:
        return self._end.position if name == self._end.name else self._archived(name).size

    def _begin(self, position: int) -> Iterator["_Expected"]:
        size = self._size_of(self._file)
        for part in self._stream.parts(self._archived(self._file).number, position, size):
            yield _Expected(self._stream, part, max(part.start, position), min(part.size, size))

    @property
    def is_over(self) -> bool:
        """Tell whether everything has come again."""
        return self._file == self._end.name and self._left <= 0

    async def require_file(self, event: bytes) -> None:
        """Prove the file in which it begins by what the server says of it; raises as `compare`."""
        number = self._archived(self.place.name).number
        if not is_of_one_file(
            event, await run_in_thread(lambda: self._stream.format_event(number))
        ):
            raise BinlogBrokenError(f"{_OTHER}: {self.place.name} was begun anew")

    async def compare(self, event: bytes) -> None:
        """
        Compare the next event.

        Raises:
            BinlogBrokenError: It is not what is in the archive.
            BinlogDamagedError: The archive cannot be read.
            NoIdentityError: Nobody here can tell any more what must come.
        """
        if self._expected is None or self._expected.is_over:
            self._expected = await run_in_thread(lambda: next(self._parts, None))
        if self._expected is None or not await self._expected.takes(event):
            raise BinlogBrokenError(f"{_OTHER}: it differs from the archive in {self._file}")
        self._left -= len(event)

    def change_file(self, name: str) -> None:
        """Go on with the next file; raises BinlogBrokenError where the archive has more of this one, or another."""
        if self._left > 0 or self._file == self._end.name:
            raise BinlogBrokenError(f"{_OTHER}: {self._file} ends before the archive does")
        number = self._archived(self._file).number + 1
        following = self._stream.file(number)
        # Of the last file there may be no byte yet: the archiver died when it had just begun it.
        expected = following.name if following else self._end.name
        if name != expected or file_number(name) != number:
            raise BinlogBrokenError(f"{_OTHER}: {name} follows {self._file}")
        self._file = name
        self._expected = None
        self._left = self._size_of(name) - len(MAGIC)
        self._parts = self._begin(len(MAGIC)) if self._left > 0 else iter(())


class _Expected:
    """
    What must come again of one part of a file.

    Args:
        stream: The archive.
        part: A segment or the tail.
        start: Where in the file it begins; of an encrypted segment where its echo does.
        end: Where it ends.
    """

    def __init__(self, stream: ArchivedStream, part: Part, start: int, end: int) -> None:
        self._left = end - start
        is_hidden = part.sealed is not None and part.sealed.is_encrypted
        self._digest = echo_of(part.sealed, part.keys) if part.sealed and is_hidden else ""
        self._come = hashlib.sha256()
        self._blocks = iter(()) if is_hidden else stream.blocks(part.number, start, end)
        self._bytes = bytearray()

    @property
    def is_over(self) -> bool:
        """Tell whether all of it has come again."""
        return self._left <= 0

    async def takes(self, event: bytes) -> bool:
        """Take the next event; False when it cannot be the one that is expected."""
        self._left -= len(event)
        if self._left < 0:
            return False
        if self._digest:
            self._come.update(event)
            return self._left > 0 or self._come.hexdigest() == self._digest
        while len(self._bytes) < len(event):
            block = await run_in_thread(lambda: next(self._blocks, b""))
            if not block:
                return False
            self._bytes += block
        is_same = self._bytes[: len(event)] == event
        del self._bytes[: len(event)]
        return is_same
