"""Who archives into a directory: one process at a time, under one server id for ever."""

import fcntl
import json
import os
import secrets
import time
from contextlib import suppress
from typing import Final, Self

from app.binlog.archive.documents import StreamDocument
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import LOCK, READER
from app.binlog.archive.reading import stream_directories
from app.binlog.archive.streams import proven_stream_document, read_stream_document
from app.errors import (
    AlreadyRunningError,
    AppError,
    IntegrityError,
    NoIdentityError,
    UnknownSignerError,
)
from app.storage.failures import translated
from app.storage.kernel import close, uninterrupted
from app.storage.local import LocalDirectory


# Far from those that people give to their servers.
_FIRST_ID: Final = 1 << 31
_IDS: Final = (1 << 31) - 1
_LOOKS: Final = 5
_LOOK_SECONDS: Final = 0.05
_MOST_BYTES: Final = 4096
_ANOTHER: Final = "another process archives the binary log into this directory"
_HINT: Final = "The service does it with BACKSTAY_BINLOG=true; nothing else has to."


class Ownership:
    """
    A directory that is archived into, until it is closed or this process dies.

    Attributes:
        server_id: Under which its archiver registers as a replica.
    """

    def __init__(self, root: LocalDirectory, fd: int, server_id: int) -> None:
        self.server_id = server_id
        self._root = root
        self._fd = fd

    @classmethod
    def take(cls, root: LocalDirectory) -> Self:
        """
        Take a directory, and make it where there is none; blocks.

        Returns:
            It, locked.

        Raises:
            AlreadyRunningError: Another archiver has it.
            StorageError: The medium refused.
        """
        LocalDirectory(root.path.parent, root.kernel).prepare()
        with translated(root.path.name), suppress(FileExistsError):
            uninterrupted(root.kernel.mkdir, str(root.path))
        with translated(LOCK):
            path = root.full_path(LOCK)
            fd = uninterrupted(root.kernel.open, path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(root, fd)
                return cls(root, fd, _server_id(root))
            except BlockingIOError as exc:
                close(root.kernel, fd)
                raise AlreadyRunningError(_ANOTHER, hint=_HINT) from exc
            except BaseException:
                close(root.kernel, fd)
                raise

    def require(self) -> None:
        """
        Prove that nobody else can have taken it: who removes its lock lets others in.

        Raises:
            AlreadyRunningError: They could.
            StorageError: The medium does not answer.
        """
        with translated(LOCK):
            mine = uninterrupted(self._root.kernel.fstat, self._fd)
        there = self._root.stat(LOCK)
        if there is None:
            self._root.names()  # or the whole directory is away
        if there is None or (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            raise AlreadyRunningError(_ANOTHER, hint=_HINT)

    def close(self) -> None:
        """Let others take it."""
        close(self._root.kernel, self._fd)


def _lock(root: LocalDirectory, fd: int) -> None:
    for _ in range(_LOOKS):
        # Who asks whether an archiver runs has the lock for a moment.
        with suppress(BlockingIOError):
            return uninterrupted(root.kernel.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOOK_SECONDS)
    return uninterrupted(root.kernel.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_owned(root: LocalDirectory) -> bool:
    """Tell whether an archiver runs; raises StorageError."""
    if not root.is_there() or not root.exists(LOCK):
        return False
    with translated(LOCK):
        fd = uninterrupted(root.kernel.open, root.full_path(LOCK), os.O_RDWR)
        try:
            uninterrupted(root.kernel.flock, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            close(root.kernel, fd)
    return False


def _server_id(root: LocalDirectory) -> int:
    saved = root.find(READER, _MOST_BYTES)
    if saved:
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(saved)["server_id"])
    chosen = _FIRST_ID + secrets.randbelow(_IDS)
    root.replace(READER, json.dumps({"server_id": chosen}).encode() + b"\n")
    return chosen


def current_stream(
    root: LocalDirectory, keys: LogKeys
) -> tuple[StreamDocument | None, AppError | None]:
    """
    Find the newest stream that has not ended.

    Returns:
        It; and what is wrong with one that nobody can go on with, as its document is damaged or was changed.

    Raises:
        StorageError: The medium does not answer.
    """
    found: list[StreamDocument] = []
    wrong: AppError | None = None
    for directory in stream_directories(root) if root.is_there() else ():
        try:
            found.append(proven_stream_document(directory, keys))
        except (IntegrityError, NoIdentityError, UnknownSignerError) as exc:
            wrong = wrong or exc
    going_on = [document for document in found if not document.ended_at]
    return max(going_on, key=lambda document: document.began_at, default=None), wrong


def newest_end(root: LocalDirectory) -> str:
    """Return why the stream that ended last did; empty = none has, or nobody can read it any more."""
    ended: list[StreamDocument] = []
    for directory in stream_directories(root):
        with suppress(AppError):
            ended.append(read_stream_document(directory))
    newest = max(ended, key=lambda document: document.ended_at, default=None)
    return newest.ended_because if newest else ""
