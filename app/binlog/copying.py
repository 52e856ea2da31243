"""
The archive in a store, as it lies on disk; nothing that is there is ever replaced.

    binlog_<stream>_stream.000003.json         what the stream is; the highest number counts
    binlog_<stream>_<segment>.binlog.gz[.age]  read back from there, and only then; with the beginning of its
                                               SHA-256 in its name where somebody who died had left another
    binlog_<stream>_<segment>.json             is written
    binlog_<stream>_<segment>.<end>.tail       the tail, at least up to a position, and then
    binlog_<stream>_<segment>.<end>.head       what was known of it; the highest position counts
    binlog_<stream>_writer.000002.json         who writes it: the archiver that began last

Of two archivers of one stream, such as that of a machine and that of its clone, the one that began first finds
a higher number, or its own gone, before it writes again, and writes no more. Copies of a tail go when a newer
one, or the segment, is there. All calls block.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from threading import Event
from typing import Final

from app.binlog.archive.documents import MOST_BYTES
from app.binlog.archive.layout import DOCUMENT, HEAD, STREAM, TAIL, Stem, parse_name
from app.binlog.archive.sealed import Sealed, read_document
from app.binlog.archive.streams import read_stream_document
from app.binlog.archive.tail import file_blocks, read_head
from app.binlog.copied import (
    SMALL_BYTES,
    document_name,
    newest_document,
    other_data_name,
    parse_tail,
    prefix_of,
    read_object,
    writer_name,
    writers_in,
)
from app.errors import (
    AlreadyRunningError,
    AlreadyThereError,
    ChecksumMismatchError,
    ObjectLockedError,
    StorageUnavailableError,
)
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store, part_bytes_for


# A tail is larger only within a transaction, and nothing of that can be recovered before it is sealed.
_MOST_TAIL_BYTES: Final = 64 << 20


class StreamCopy:
    """
    The copy of one stream in one store; knows what is there, so that nobody is asked for it again.

    Args:
        directory: Of the stream.
        append_only: Whether nothing can be deleted in the store.
    """

    def __init__(self, directory: LocalDirectory, *, append_only: bool) -> None:
        self._directory = directory
        self._append_only = append_only
        self._prefix = prefix_of(directory.path.name)
        self._there: set[str] | None = None
        self._document = b""
        # Our number among those who write it; 0 = we have not begun to.
        self._writer = 0

    def run(self, store: Store, retain_until: Callable[[], datetime | None], stop: Event) -> bool:
        """
        Copy what is missing.

        Args:
            store: Where to.
            retain_until: How long the store shall keep what is written now; None = no time.
            stop: Ends it between two objects.

        Returns:
            Whether all is there that was archived when this began.

        Raises:
            AlreadyRunningError: Another archiver has begun to write it.
            BinlogDamagedError: The archive is not what was written.
            ChecksumMismatchError: What came back from the store, or is there of before, is not what is here.
            InterruptedError: `stop` was set.
            StorageError: Store or disk does not answer.
        """
        if self._there is None:
            listed = store.list(self._prefix)
            there = {found.name.removeprefix(self._prefix): found.size for found in listed}
            self._require_same(store, there)
            self._there = set(there)
        elif self._writer:
            self._require_to_write(store)
        step = _Step(store, self._prefix, self._there, retain_until)
        names = sorted(filter(None, map(parse_name, self._directory.names())))
        self._copy_document(step)  # behind the names: segments say what it has been
        document = read_stream_document(self._directory)
        if not document.ended_at and not self._writer:
            self._begin_to_write(step)
        first = Stem(document.first_number, document.first_start)
        for stem, kind in names:
            if stop.is_set():
                raise InterruptedError("the copy was cancelled")
            if kind == DOCUMENT and stem >= first:
                self._copy_segment(step, stem)
        sealed = {stem for stem, kind in names if kind == DOCUMENT}
        growing = [stem for stem, kind in names if kind == HEAD and stem not in sealed]
        is_whole = all(self._copy_tail(step, stem) for stem in growing)
        if not self._append_only:
            _clear(step)
        return is_whole

    def _require_same(self, store: Store, there: Mapping[str, int]) -> None:
        """Refuse a store that has another history of the stream; each document proves all before it."""
        stems = [stem for stem, kind in filter(None, map(parse_name, there)) if kind == DOCUMENT]
        document = read_stream_document(self._directory)
        if not stems or max(stems) < Stem(document.first_number, document.first_start):
            return
        name = f"{max(stems)}{DOCUMENT}"
        theirs = b"".join(read_object(store, self._prefix + name, there[name]))
        if not self._directory.exists(name) or self._directory.read(name, MOST_BYTES) != theirs:
            raise _another_history(self._prefix, name)

    def _begin_to_write(self, step: "_Step") -> None:
        """Be the one who writes from now on; raises AlreadyRunningError where another has just begun to."""
        self._there = None  # where this fails, what is there is looked at again
        before = writers_in(step.there)
        number = max(before, default=0) + 1
        data = json.dumps({"number": secrets.token_hex(16)}).encode()
        name = writer_name(number)
        if not step.write(name, len(data), [data], retains=False) and not step.holds(name, data):
            raise _another_writer(self._prefix)
        self._writer, self._there = number, step.there
        if not self._append_only:
            with suppress(ObjectLockedError):
                for earlier in before:
                    step.remove(writer_name(earlier))

    def _require_to_write(self, store: Store) -> None:
        """Refuse to write where another one has begun to; whoever came after that one has removed it."""
        own, following = (self._prefix + writer_name(self._writer + after) for after in (0, 1))
        if store.stat(own) is None or store.stat(following) is not None:
            raise _another_writer(self._prefix)

    def _copy_document(self, step: "_Step") -> None:
        data = self._directory.read(STREAM, MOST_BYTES)
        number = newest_document(step.there)
        if not self._document and number:
            name = document_name(number)
            found = step.store.stat(self._prefix + name)
            blocks = read_object(step.store, self._prefix + name, found.size) if found else ()
            self._document = b"".join(blocks)
        if data != self._document:
            step.write(document_name(number + 1), len(data), [data])
        self._document = data

    def _copy_segment(self, step: "_Step", stem: Stem) -> None:
        name = f"{stem}{DOCUMENT}"
        if name in step.there or not self._directory.exists(name):  # pruned meanwhile
            return
        sealed = read_document(self._directory, stem)
        self._copy_data(step, sealed)
        data = self._directory.read(name, MOST_BYTES)
        if not step.write(name, len(data), [data]) and not step.holds(name, data):
            raise _another_history(self._prefix, name)
        if other_data_name(sealed) in step.there and not self._append_only:
            with suppress(ObjectLockedError):  # it goes with the segment
                step.remove(sealed.data_name)

    def _copy_data(self, step: "_Step", sealed: Sealed) -> None:
        """Copy the bytes of a segment; what a machine left that died before its document is in nobody's way."""
        size, sha256 = sealed.segment.size, sealed.segment.sha256
        for name in (sealed.data_name, other_data_name(sealed)):
            with self._directory.open(sealed.data_name) as file:
                step.write(name, size, file_blocks(file, 0, size))
            if step.proves(name, size, sha256):
                return
        raise ChecksumMismatchError(
            f"{self._prefix}{sealed.data_name}: the store gives back other bytes than it was sent",
            hint="'backstay store test' tries it; nothing that was copied there can be relied on.",
        )

    def _copy_tail(self, step: "_Step", stem: Stem) -> bool:
        """Copy a tail, and tell whether the store has all of it."""
        try:
            synced, head, tail = self._read_tail(stem)
        except StorageUnavailableError as exc:
            if isinstance(exc.__cause__, FileNotFoundError):  # it was sealed meanwhile
                return False
            raise
        name = f"{stem}.{synced:012}"
        if tail and f"{name}{HEAD}" not in step.there:
            step.write(f"{name}{TAIL}", len(tail), [tail], retains=False)
            step.write(f"{name}{HEAD}", len(head), [head], retains=False)
        return bool(tail) or synced == stem.start

    def _read_tail(self, stem: Stem) -> tuple[int, bytes, bytes]:
        """Read position, head and bytes; no bytes where it is empty, too large, or being cut."""
        head = self._directory.read(f"{stem}{HEAD}", MOST_BYTES)
        synced = read_head(self._directory, stem).synced
        with self._directory.watch(f"{stem}{TAIL}") as file:
            fits = synced > stem.start and file.size <= _MOST_TAIL_BYTES
            tail = file.read(0, file.size) if fits else b""
        # What was read first must still be promised, and what was read later reaches at least as far.
        is_cut = not self._directory.read(f"{stem}{HEAD}", MOST_BYTES).startswith(head)
        return synced, head, b"" if is_cut else tail


def _another_history(prefix: str, name: str) -> ChecksumMismatchError:
    return ChecksumMismatchError(
        f"{prefix}{name}: the store has another history of this stream than is here",
        hint="Here an older state of the archive may go on. Give the store another prefix, or delete"
        f" what begins with {prefix} there once it is not needed any more.",
    )


def _another_writer(prefix: str) -> AlreadyRunningError:
    return AlreadyRunningError(
        f"{prefix}: another archiver has begun to copy this stream into the store",
        hint="Look for a clone of this machine, or one where the archive was fetched. Stop the archiver that is not"
        " to go on, and start the other one again.",
    )


def _clear(step: "_Step") -> None:
    """Delete copies of tails that something newer stands for; a head goes before its tail."""
    tails = sorted(filter(None, map(parse_tail, step.there)))
    whole = [tail for tail in tails if tail.kind == HEAD]
    for tail in tails:
        is_sealed = f"{tail.stem}{DOCUMENT}" in step.there
        if is_sealed or (whole and tail[:2] < whole[-1][:2]):
            step.remove(f"{tail.stem}.{tail.end:012}{tail.kind}")


class _Step:
    """One look at a store, and what is done there."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        there: set[str],
        retain_until: Callable[[], datetime | None],
    ) -> None:
        self.store = store
        self.there = there
        self._prefix = prefix
        self._retain_until = retain_until

    def write(self, name: str, size: int, blocks: Iterable[bytes], *, retains: bool = True) -> bool:
        """Write an object; one that is there already stays, and it is told that nothing was written."""
        until = self._retain_until() if retains else None
        try:
            if size <= SMALL_BYTES:
                data = b"".join(blocks)
                self.store.put(self._prefix + name, data, create=True, retain_until=until)
            else:
                part_bytes = part_bytes_for(size)
                with self.store.begin(self._prefix + name, part_bytes, retain_until=until) as to:
                    for block in blocks:
                        to.write(block)
                    to.complete()
        except AlreadyThereError:
            is_new = False
        else:
            is_new = True
        self.there.add(name)
        return is_new

    def holds(self, name: str, data: bytes) -> bool:
        """Tell whether an object is these bytes."""
        return self.proves(name, len(data), hashlib.sha256(data).hexdigest())

    def proves(self, name: str, size: int, sha256: str) -> bool:
        """Read an object back, and tell whether it is what was written."""
        found = self.store.stat(self._prefix + name)
        if found is None or found.size != size:
            return False
        digest = hashlib.sha256()
        for block in read_object(self.store, self._prefix + name, size):
            digest.update(block)
        return digest.hexdigest() == sha256

    def remove(self, name: str) -> None:
        """Delete an object."""
        self.store.delete(self._prefix + name)
        self.there.discard(name)
