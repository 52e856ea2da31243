"""
The proof that a log goes on where the archive ends: its last transaction must come again, byte for byte.

UUIDs, names and times prove nothing: a server that was reset, or put back from a copy, keeps them all.
"""

from collections.abc import Iterator
from typing import Final

from app.binlog.archive.layout import file_number
from app.binlog.archive.reading import ArchivedFile, ArchivedStream
from app.binlog.events.headers import MAGIC, Place
from app.concurrency import run_in_thread
from app.errors import BinlogBrokenError


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
        self._expected = bytearray()
        self._blocks = self._begin(self.place.position)
        self._left = self._size_of(self._file) - self.place.position

    def _archived(self, name: str) -> ArchivedFile:
        found = self._stream.file_named(name)
        if found is None:
            raise BinlogBrokenError(f"the archive has nothing of {name}")
        return found

    def _size_of(self, name: str) -> int:
        return self._end.position if name == self._end.name else self._archived(name).size

    def _begin(self, position: int) -> Iterator[bytes]:
        size = self._size_of(self._file)
        return self._stream.blocks(self._archived(self._file).number, position, size)

    @property
    def is_over(self) -> bool:
        """Tell whether everything has come again."""
        return self._file == self._end.name and self._left <= 0

    async def compare(self, event: bytes) -> None:
        """
        Compare the next event.

        Raises:
            BinlogBrokenError: It is not what is in the archive.
            BinlogDamagedError: The archive cannot be read.
        """
        while len(self._expected) < min(len(event), self._left):
            block = await run_in_thread(lambda: next(self._blocks, b""))
            if not block:
                break
            self._expected += block
        if self._expected[: len(event)] != event:
            raise BinlogBrokenError(f"{_OTHER}: it differs from the archive in {self._file}")
        del self._expected[: len(event)]
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
        self._expected.clear()
        self._left = self._size_of(name) - len(MAGIC)
        self._blocks = self._begin(len(MAGIC)) if self._left > 0 else iter(())
