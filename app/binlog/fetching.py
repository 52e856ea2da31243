"""
The archive back from a store.

1. A stream is written into a folder that nobody takes for one, every byte of it proven by its documents.
2. Then the chain of the documents, and who has signed them, is.
3. Then it gets its name. All calls block.
"""

import hashlib
import shutil
from collections.abc import Mapping
from typing import Final

from app.binlog.archive.documents import HINT
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import (
    DOCUMENT,
    HEAD,
    STREAM,
    TAIL,
    Stem,
    is_stream_id,
    parse_name,
    stream_directory,
)
from app.binlog.archive.sealed import read_document
from app.binlog.archive.streams import load_stream, read_stream_document
from app.binlog.copying import document_name, newest_document, parse_tail, prefix_of, read_object
from app.errors import BinlogDamagedError
from app.storage.failures import translated
from app.storage.local import LocalDirectory
from app.storage.remote.store import Store


# No id of a stream begins so.
_UNFINISHED: Final = ".fetch-"


def fetch_streams(store: Store, root: LocalDirectory, keys: LogKeys) -> tuple[str, ...]:
    """
    Bring back the streams that are not here.

    Args:
        store: Where from.
        root: The folder of the archive, made where there is none.
        keys: Who is believed to have signed them.

    Returns:
        Their ids.

    Raises:
        BinlogDamagedError: Something is missing, or is not what was written; what was whole is there.
        UnknownSignerError: Nobody here knows who has written it.
        StorageError: Store or disk does not answer.
    """
    found: dict[str, dict[str, int]] = {}
    for each in store.list(prefix_of()):
        stream, _, name = each.name.removeprefix(prefix_of()).partition("_")
        if is_stream_id(stream):
            found.setdefault(stream, {})[name] = each.size
    with translated(root.path.name):
        root.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    missing = [stream for stream in sorted(found) if not (root.path / stream).exists()]
    for stream in missing:
        _Fetch(store, root, stream, found[stream]).run(keys)
    return tuple(missing)


class _Fetch:
    """One stream on its way."""

    def __init__(
        self, store: Store, root: LocalDirectory, stream: str, sizes: Mapping[str, int]
    ) -> None:
        self._store = store
        self._root = root
        self._stream = stream
        self._sizes = sizes
        self._directory = LocalDirectory(root.path / f"{_UNFINISHED}{stream}")

    def run(self, keys: LogKeys) -> None:
        """Bring it."""
        path = self._directory.path
        with translated(path.name):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(mode=0o700)
        self._take(document_name(newest_document(self._sizes)), STREAM)
        document = read_stream_document(self._directory)
        first = Stem(document.first_number, document.first_start)
        named = sorted(filter(None, map(parse_name, self._sizes)))
        stems = [stem for stem, kind in named if kind == DOCUMENT and stem >= first]
        for stem in stems:
            self._take(f"{stem}{DOCUMENT}")
            sealed = read_document(self._directory, stem)
            if self._take(sealed.data_name) != sealed.segment.sha256:
                raise BinlogDamagedError(f"{sealed.data_name}: it was changed", hint=HINT)
        self._take_tail(str(stems[-1]) if stems else "")
        load_stream(self._directory, keys)
        self._directory.sync()
        with translated(path.name):
            path.rename(stream_directory(self._root.path, self._stream).path)
        self._root.sync()

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
            raise BinlogDamagedError(f"{self._stream}: {name} is missing in the store", hint=HINT)
        digest = hashlib.sha256()
        with self._directory.create(as_name or name) as file:
            for block in read_object(
                self._store, prefix_of(self._stream) + name, self._sizes[name]
            ):
                digest.update(block)
                file.write(block)
            file.sync()
            file.keep()
        return digest.hexdigest()
