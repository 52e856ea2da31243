"""
The archive back from a store.

1. A stream is written into a folder that nobody takes for one, every byte of it proven by its documents.
2. Then the chain of the documents, and who has signed them, is.
3. Then it gets its name. What fails before leaves nothing; what was killed goes with the next fetch, and of
   two at once one is told of the other. All calls block.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from app.binlog.archive.documents import HINT
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import (
    BEHIND_ALL,
    DOCUMENT,
    HEAD,
    STREAM,
    TAIL,
    Stem,
    stream_directory,
)
from app.binlog.archive.sealed import Sealed, read_document
from app.binlog.archive.streams import load_stream, read_stream_document, write_stream_document
from app.binlog.copied import (
    CopiedStream,
    copied_streams,
    document_name,
    newest_document,
    other_data_name,
    parse_tail,
    prefix_of,
    read_object,
)
from app.errors import (
    AlreadyRunningError,
    BackupInUseError,
    BinlogDamagedError,
    StorageUnavailableError,
)
from app.storage.failures import translated
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store


# No id of a stream begins so.
_UNFINISHED: Final = ".fetch-"
_LOCK: Final = ".fetching.lock"


def fetch_streams(
    store: Store, root: LocalDirectory, keys: LogKeys, *, is_whole: bool = False
) -> tuple[str, ...]:
    """
    Bring back the streams that are not here.

    Args:
        store: Where from.
        root: The folder of the archive, made where there is none.
        keys: Who is believed to have signed them.
        is_whole: Whether also what retention had removed here, and is still there.

    Returns:
        Their ids.

    Raises:
        AlreadyRunningError: Another process brings some back.
        BinlogDamagedError: Something is missing, or is not what was written; what was whole is there.
        UnknownSignerError: Nobody here knows who has written it.
        StorageError: Store or disk does not answer.
    """
    with translated(root.path.name):
        root.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(root):
        for name in root.names():
            if name.startswith(_UNFINISHED):
                shutil.rmtree(root.path / name, ignore_errors=True)
        found = [
            copied for copied in copied_streams(store) if not (root.path / copied.stream).exists()
        ]
        fetches = [_Fetch(store, root, copied) for copied in found]
        return tuple(fetch.stream for fetch in fetches if fetch.run(keys, is_whole=is_whole))


@contextmanager
def _alone(root: LocalDirectory) -> Iterator[None]:
    """Keep other fetches out for a block; raises AlreadyRunningError."""
    if not root.exists(_LOCK):
        with suppress(StorageUnavailableError), root.create(_LOCK) as file:  # or another has
            file.keep()
    try:
        lock = root.open(_LOCK, exclusive=True)
    except BackupInUseError as exc:
        raise AlreadyRunningError(
            "another process fetches the binary log into this directory",
            hint="Wait until it is over.",
        ) from exc
    with lock:
        yield


class _Fetch:
    """One stream on its way."""

    def __init__(self, store: Store, root: LocalDirectory, copied: CopiedStream) -> None:
        self.stream = copied.stream
        self._store = store
        self._root = root
        self._copied = copied
        self._sizes = copied.sizes
        self._directory = LocalDirectory(root.path / f"{_UNFINISHED}{self.stream}")

    def run(self, keys: LogKeys, *, is_whole: bool) -> bool:
        """Bring it, and tell whether there was anything to be brought."""
        path = self._directory.path
        with translated(path.name):
            path.mkdir(mode=0o700)
        try:
            is_there = self._bring(keys, is_whole=is_whole)
            if is_there:
                with translated(path.name):
                    path.rename(stream_directory(self._root.path, self.stream).path)
                self._root.sync()
        finally:
            shutil.rmtree(path, ignore_errors=True)  # rows may be in it
        return is_there

    def _bring(self, keys: LogKeys, *, is_whole: bool) -> bool:
        self._take(document_name(newest_document(self._sizes)), STREAM)
        document = read_stream_document(self._directory)
        first = Stem(document.first_number, document.first_start)
        if first == BEHIND_ALL and not is_whole:  # nobody here needed it any more
            return False
        stems = [stem for stem in self._copied.documented if stem >= first]
        for stem in stems:
            self._take(f"{stem}{DOCUMENT}")
            self._take_data(read_document(self._directory, stem))
        self._take_tail(str(stems[-1]) if stems else "")
        if is_whole and self._take_pruned(first) == BEHIND_ALL:
            return False
        load_stream(self._directory, keys)
        self._directory.sync()
        return True

    def _take_data(self, sealed: Sealed) -> None:
        """Write the bytes of a segment under their usual name, whatever they are called there."""
        other = other_data_name(sealed)
        name = other if other in self._sizes else sealed.data_name
        if self._take(name, sealed.data_name) != sealed.segment.sha256:
            raise BinlogDamagedError(f"{name}: it was changed", hint=HINT)

    def _take_pruned(self, first: Stem) -> Stem:
        """Bring what lies before the beginning, as far back as nothing is missing; returns where it begins then."""
        committed_ms, file, begin = 0, "", first
        for stem in sorted(
            (stem for stem in self._copied.documented if stem < first), reverse=True
        ):
            self._take(f"{stem}{DOCUMENT}")
            sealed = read_document(self._directory, stem)
            if begin not in {BEHIND_ALL, sealed.follower}:
                break
            if stem not in self._copied.data:  # its document stays for what it says of the next one
                committed_ms = sealed.segment.committed_ms
                break
            self._take_data(sealed)
            begin, file = stem, sealed.segment.head.file
        if begin < first:
            document = replace(
                read_stream_document(self._directory),
                first_file=file,
                first_number=begin.number,
                first_start=begin.start,
                first_committed_ms=committed_ms,
            )
            write_stream_document(self._directory, document)
        return begin

    def _take_tail(self, sealed: str) -> None:
        """Take the newest copy of a tail that is not sealed."""
        heads = sorted(filter(None, map(parse_tail, self._sizes)))
        whole = [tail for tail in heads if tail.kind == HEAD and tail.stem > sealed]
        if whole:
            name = f"{whole[-1].stem}.{whole[-1].end:012}"
            self._take(f"{name}{TAIL}", f"{whole[-1].stem}{TAIL}")
            self._take(f"{name}{HEAD}", f"{whole[-1].stem}{HEAD}")

    def _take(self, name: str, as_name: str = "") -> str:
        """Write an object into the folder, and return its SHA-256."""
        if name not in self._sizes:
            raise BinlogDamagedError(f"{self.stream}: {name} is missing in the store", hint=HINT)
        digest = hashlib.sha256()
        with self._directory.create(as_name or name) as file:
            for block in read_object(self._store, prefix_of(self.stream) + name, self._sizes[name]):
                digest.update(block)
                file.write(block)
            file.sync()
            file.keep()
        return digest.hexdigest()
