"""
Object stores by obstore: S3, Google Cloud Storage and Azure Blob, which differ in how they are opened.

1. What is of an upload is made again by obstore itself, where nothing came of it; what stalls is, too, for one
   connection that the network lost must not end a backup of hours. Everything else is made again here: obstore
   repeats no deletion that was cut, and no list whose answer was. Whether it was an earlier try of our own that
   made an object is found out by its bytes.
2. A read is made in blocks, and an upload in parts, each with a time-out of its size: obstore's own, 30
   seconds for a whole request, would end what is merely slow.
3. An upload is complete when the store says how long it is, and that is what was sent.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Final, Self

import obstore
from obstore.exceptions import InvalidPathError
from obstore.store import AzureStore, GCSStore, S3Store

from app.errors import (
    AlreadyThereError,
    AppError,
    ObjectNotFoundError,
    RefusedError,
    StorageError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage.kernel import give_memory_back
from app.storage.remote.cloud.pages import Pages
from app.storage.remote.cloud.translation import configured, translated
from app.storage.remote.codes import Act, Rights
from app.storage.remote.limits import USUAL, Limits
from app.storage.remote.store import (
    MOST_PARTS,
    StoredObject,
    UnfinishedUpload,
    is_name,
    require_name,
)


if TYPE_CHECKING:  # they are there for the checker only
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

Cloud = S3Store | GCSStore | AzureStore
# Opens a store with time-outs and tries.
OpenCloud = Callable[["ClientConfig", "RetryConfig"], Cloud]
# What one request reads at most.
_BLOCK_BYTES: Final = 16 << 20
# One part is sent while the next is filled.
_PARTS_AT_ONCE: Final = 1
# Of one request of an upload. On another connection the next one is answered, or nobody is there; and nothing
# ends a request that is on its way, so who cancels a backup waits for both.
_STALLS: Final = 1
_LONGEST_PAUSE: Final = timedelta(seconds=10)
_log: Final = logging.getLogger(__name__)


def for_endpoint(client: "ClientConfig", endpoint: str, certificates: str = "") -> "ClientConfig":
    """
    Say how an address is spoken with.

    Args:
        client: Time-outs.
        endpoint: The address; without TLS only where it says so itself.
        certificates: Those that are trusted besides the machine's, PEM; empty = no others.

    Returns:
        What obstore takes.
    """
    found: ClientConfig = {**client, "allow_http": endpoint.startswith("http://")}
    if certificates:
        found["root_certificate"] = certificates
    return found


class ObjectStore:
    """
    A bucket or container.

    Args:
        open_cloud: Opens it.
        rights: What this kind of store calls the rights.
    """

    lists_unfinished = False
    keeps_objects = False

    def __init__(self, open_cloud: OpenCloud, rights: Rights, limits: Limits = USUAL) -> None:
        self._open = open_cloud
        self.rights = rights
        self.limits = limits
        give_memory_back()
        self._cloud = self.opened(_BLOCK_BYTES)
        # For what carries next to nothing, and so need not be waited for as long.
        self._asking = self.opened(0, attempts=1)
        self._once = self.opened(_BLOCK_BYTES, attempts=1)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `Store.list`."""
        pages = Pages(self._asking, prefix.rpartition("/")[0])

        def turn(_attempt: int) -> "Sequence[ObjectMeta]":
            with translated("the list", Act.LIST, self.rights):
                return pages.turn()

        while page := self.limits.retried(turn):
            for meta in page:
                name = meta["path"]
                if is_name(name) and name.startswith(prefix):
                    yield StoredObject(name, meta["size"], meta["last_modified"])

    def stat(self, name: str) -> StoredObject | None:
        """See `Store.stat`."""
        require_name(name)

        def ask(_attempt: int) -> "ObjectMeta":
            with translated(name, Act.READ, self.rights):
                return obstore.head(self._asking, name)

        try:
            meta = self.limits.retried(ask)
        except ObjectNotFoundError:
            return None
        except StorageUnavailableError:
            raise
        except StorageError:
            self.explain()
            raise
        return StoredObject(name, meta["size"], meta["last_modified"])

    def read(self, name: str, offset: int, size: int) -> bytes:
        """See `Store.read`."""
        require_name(name)
        end = offset + size
        blocks = (
            self._read_block(name, start, min(end, start + _BLOCK_BYTES))
            for start in range(offset, end, _BLOCK_BYTES)
        )
        return b"".join(blocks)

    def put(
        self, name: str, data: bytes, *, create: bool = False, retain_until: datetime | None = None
    ) -> None:
        """See `Store.put`."""
        require_name(name)
        self._require_keeping(retain_until)

        def send(attempt: int) -> None:
            try:
                self.send(name, data, create=create, retain_until=retain_until)
            except AlreadyThereError:
                if attempt == 1 or not self._holds(name, data):
                    raise

        self.limits.retried(send)

    def send(self, name: str, data: bytes, *, create: bool, retain_until: datetime | None) -> None:
        """Make one request that writes an object; raises AlreadyThereError as `put` does."""
        del retain_until
        cloud = self._once if len(data) <= _BLOCK_BYTES else self.opened(len(data), attempts=1)
        with translated(name, Act.WRITE, self.rights):
            obstore.put(
                cloud, name, data, mode="create" if create else "overwrite", use_multipart=False
            )

    def begin(
        self, name: str, part_bytes: int, *, retain_until: datetime | None = None
    ) -> "ObjectUpload":
        """See `Store.begin`."""
        self._require_keeping(retain_until)
        if self.stat(name) is not None:
            raise AlreadyThereError(f"{name}: the store has an object of this name")
        return ObjectUpload(self, name, part_bytes, retain_until)

    def delete(self, name: str) -> bool:
        """See `Store.delete`."""
        if self.stat(name) is None:
            return False

        def delete(_attempt: int) -> None:
            with translated(name, Act.DELETE, self.rights), suppress(FileNotFoundError):
                obstore.delete(self._asking, name)

        self.limits.retried(delete)
        return True

    def retain(self, name: str, until: datetime) -> None:
        """Refuse; see `Store.retain`."""
        del name
        self._require_keeping(until)

    def now(self) -> datetime:
        """See `Store.now`."""
        name = f"clock-{token_hex(8)}"
        self.put(name, b"This was written to read the clock of the store.\n", create=True)
        try:
            found = self.stat(name)
        finally:
            with suppress(AppError):
                self.delete(name)
        if found is None:
            raise StorageUnavailableError(f"{name}: the store does not show what was written")
        return found.modified_at

    def free_bytes(self) -> None:
        """Say nothing: no bucket tells how much it still takes."""

    def unfinished(self, older_than: datetime) -> Iterator[UnfinishedUpload]:
        """Find none: this kind of store does not show the uploads of others."""
        del older_than
        return iter(())

    def abort_unfinished(self, upload: UnfinishedUpload) -> None:
        """Refuse, for there is none; see `Store.abort_unfinished`."""
        raise ObjectNotFoundError(f"{upload.upload_id}: no unfinished upload is called so")

    def close(self) -> None:
        """Do nothing: connections end with the last reference; see `Store.close`."""

    def explain(self) -> None:
        """
        Find the reason of a refusal: an answer to HEAD has no body, and so no word of it; a list has.

        Raises:
            StorageError: The reason; nothing is raised where the list is not refused.
        """

        def ask(_attempt: int) -> None:
            # What others call their objects is no reason.
            with translated("the list", Act.LIST, self.rights), suppress(InvalidPathError):
                next(obstore.list(self._asking, chunk_size=1), None)

        self.limits.retried(ask)

    def opened(self, size: int, attempts: int = 0, *, stalls: int = 0) -> Cloud:
        """
        Open the store for requests of a size.

        Args:
            size: Bytes that one carries at most.
            attempts: At each request; 0 = as usual.
            stalls: How many attempts at one request may get no answer in all of their time, besides the last.

        Returns:
            What obstore asks.
        """
        limits = self.limits
        longest = timedelta(seconds=limits.seconds_for(size))
        client: ClientConfig = {
            "connect_timeout": timedelta(seconds=limits.connect_seconds),
            "timeout": longest,
        }
        retry: RetryConfig = {
            "max_retries": (attempts or limits.attempts) - 1,
            "retry_timeout": longest * (1 + stalls),
            "backoff": {
                "init_backoff": timedelta(seconds=limits.pause_seconds),
                "max_backoff": _LONGEST_PAUSE,
                "base": 2,
            },
        }
        with configured():
            return self._open(client, retry)

    def _require_keeping(self, until: datetime | None) -> None:
        if until is not None and not self.keeps_objects:
            raise RefusedError(
                "this store keeps nothing until a time",
                hint="Object lock needs a store of kind s3 with object_lock_days.",
            )

    def _read_block(self, name: str, start: int, end: int) -> bytes:
        def read(_attempt: int) -> bytes:
            try:
                with translated(name, Act.READ, self.rights):
                    data = bytes(obstore.get_range(self._cloud, name, start=start, end=end))
            except StorageError:
                self._require_length(name, end)
                raise
            if len(data) != end - start:
                self._require_length(name, end)
                raise StorageUnavailableError(f"{name}: the store sent less than was asked for")
            return data

        return self.limits.retried(read)

    def _require_length(self, name: str, size: int) -> None:
        """Raise TruncatedFileError when an object ends before that; nothing where nobody can tell."""
        with suppress(StorageError):
            found = self.stat(name)
            if found is not None and found.size < size:
                raise TruncatedFileError(
                    f"{name}: ends {size - found.size} bytes before byte {size}",
                    hint="The object was cut short; restore from another backup.",
                )

    def _holds(self, name: str, data: bytes) -> bool:
        """Tell whether an object is these bytes."""
        found = self.stat(name)
        return (
            found is not None and found.size == len(data) and self.read(name, 0, len(data)) == data
        )


class ObjectUpload:
    """An object that is being sent in parts; see `Upload`."""

    def __init__(
        self, store: ObjectStore, name: str, part_bytes: int, retain_until: datetime | None
    ) -> None:
        self._store = store
        self._name = name
        self._most_bytes = part_bytes * MOST_PARTS
        self._retain_until = retain_until
        self._size = 0
        self._is_open = True
        cloud = store.opened(part_bytes, stalls=_STALLS)
        with translated(name, Act.WRITE, store.rights):
            self._writer = obstore.open_writer(
                cloud, name, buffer_size=part_bytes, max_concurrency=_PARTS_AT_ONCE
            )

    def write(self, data: bytes) -> None:
        """See `Upload.write`."""
        self._size += len(data)
        if self._size > self._most_bytes:
            raise StorageError(
                f"{self._name}: more than {MOST_PARTS} parts",
                hint="It is far larger than the server's figures of its tables say: run ANALYZE TABLE there,"
                " and try again.",
            )
        with translated(self._name, Act.WRITE, self._store.rights):
            self._writer.write(data)

    def complete(self) -> None:
        """See `Upload.complete`."""
        self._is_open = False
        try:
            with translated(self._name, Act.WRITE, self._store.rights):
                self._writer.close()
        except StorageError:
            # The answer may be what was lost: the store is asked whether it has all of it.
            if not self._is_whole():
                raise
        else:
            self._require_whole()
        if self._retain_until is not None:
            self._store.retain(self._name, self._retain_until)

    def abort(self) -> None:
        """See `Upload.abort`."""
        if not self._is_open:
            return
        self._is_open = False
        reason = RuntimeError("aborted")
        try:
            with translated(self._name, Act.DELETE, self._store.rights):
                self._writer.__exit__(RuntimeError, reason, None)
        except AppError as exc:
            facts = {"object": self._name, "error": str(exc)}
            _log.warning(
                "Upload could not be aborted; it is left to the sweep", extra={"facts": facts}
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.abort()

    def _is_whole(self) -> bool:
        try:
            found = self._store.stat(self._name)
        except AppError:
            return False
        return found is not None and found.size == self._size

    def _require_whole(self) -> None:
        found = self._store.stat(self._name)
        if found is not None and found.size == self._size:
            return
        with suppress(AppError):
            self._store.delete(self._name)
        size = "nothing" if found is None else f"{found.size} bytes"
        raise TruncatedFileError(
            f"{self._name}: the store has {size}, {self._size} were sent",
            hint="Try again; if it lasts, ask whoever runs the store.",
        )
