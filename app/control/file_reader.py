"""
Queries of an SQLite file, each in one step of one thread, or in none, and whether it is the file that was opened.

The asynchronous driver takes a step for every call of its cursor. A request of the API that waits for
five steps behind a busy backup waits five times: at the 99th percentile that was a third of all. So few
rows that were read serve again until anybody, of whatever process, has committed something: that costs
a look at memory that all connections share, and no thread.
"""

import asyncio
import errno
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, Executable, RowMapping, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from app.named_files import UnusableFileError


# Of a file that cannot be looked at.
_UNKNOWN: Final = -1
# What is asked again and again has a row or a few, and it is one login for each person; more is forgotten.
_FEW_ROWS: Final = 8
_MOST_KNOWN: Final = 64
# As many as requests are answered at once on a small machine.
_MOST_THREADS: Final = 4
_Identity = tuple[int, int]
_Key = tuple[Executable, frozenset[tuple[str, object]]]


class ControlFile:
    """
    The file of a control database, and whether its name still leads to the one that was opened.

    A connection stays with the file that it has opened, whatever becomes of its name: what is written there
    is lost with the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._opened: _Identity | None = None
        self._opened_log: _Identity | None = None

    def require(self) -> None:
        """Make an empty file that only its owner can read; SQLite gives its other files the same mode."""
        make_directory(self._path.parent)
        # One that exists is not even opened: closing it would drop the locks that SQLite holds on it,
        # https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
        with suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            os.close(os.open(self._path, flags, 0o600))
        # Checked here, because the driver's thread outlives an open that fails, and complains of a loop
        # that is closed by then.
        if not self._path.is_file():
            raise UnusableFileError("not a regular file")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self._opened = _identity(self._path)

    def is_replaced(self) -> bool:
        """
        Tell whether another file is there than the one that was opened; while it is the same, its log is remembered.

        Returns:
            Whether it is; False where none was opened.

        Raises:
            UnusableFileError: None is there.
        """
        if self._opened is None:
            return False
        found = _identity(self._path)
        if found is None:
            raise UnusableFileError("its file was removed or moved")
        if found != self._opened:
            return True
        self._opened_log = _identity(self._log)
        return False

    def let_go(self) -> None:
        """Forget the file that was opened, and remove its log, which would be taken for one of the new file."""
        # Connections still hold that log, so nothing else has its number: call this before they are closed.
        # https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
        if self._opened_log is not None and _identity(self._log) == self._opened_log:
            self._log.unlink(missing_ok=True)
        self._opened = self._opened_log = None


def _identity(path: Path) -> _Identity | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return facts.st_dev, facts.st_ino


def make_directory(path: Path) -> None:
    """Make a directory for its owner alone, unless there is one."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


class FileReader:
    """
    Reads the file of a control database; nothing can be written through it.

    It has threads of its own: those that all share may wait for a disk of backups that does not answer, and whoever
    tells people of that reads here first.

    Args:
        url: Of the file.
        prepare: Called before it is first opened, to make it or to refuse.
    """

    def __init__(self, url: URL, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._url = url.set(drivername="sqlite")
        self._engine: Engine | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._watcher: sqlite3.Connection | None = None
        self._known: dict[_Key, Sequence[RowMapping]] = {}
        self._version = _UNKNOWN

    async def rows(
        self, query: Executable, parameters: Mapping[str, object] | None
    ) -> Sequence[RowMapping]:
        """Run one query; a task that is cancelled meanwhile leaves nothing open."""
        engine = self._engine or self._make_engine()
        version, key = self._look(), (query, frozenset((parameters or {}).items()))
        if version != self._version or len(self._known) >= _MOST_KNOWN:
            self._version, self._known = version, {}
        if version != _UNKNOWN and (known := self._known.get(key)) is not None:
            return known
        kept = self._known
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="control")
        # As asyncio.to_thread does: the lines of the thread are those of this task.
        work = partial(copy_context().run, _read, engine, query, parameters)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Read after the look: what was committed in between shows at the next one.
        if len(found) <= _FEW_ROWS:
            kept[key] = found
        return found

    def _look(self) -> int:
        """Return what is another number once somebody has committed something since the last look."""
        try:
            if self._watcher is None:
                self._watcher = sqlite3.connect(
                    self._url.database or "", timeout=0, check_same_thread=False
                )
            (version,) = self._watcher.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:  # locked this moment, or worse: the query itself tells
            return _UNKNOWN
        return int(version)

    def close(self) -> None:
        """Close all connections that nobody uses; the others close when they are given back."""
        engine, self._engine = self._engine, None
        threads, self._threads = self._threads, None
        watcher, self._watcher, self._version = self._watcher, None, _UNKNOWN
        if watcher is not None:
            watcher.close()
        if threads is not None:
            threads.shutdown(wait=False)
        if engine is not None:
            engine.dispose()

    def _make_engine(self) -> Engine:
        self._prepare()
        self._engine = create_engine(
            self._url,
            # None: no transaction is ever begun, so nothing is left to be undone.
            connect_args={"isolation_level": None},
            pool_reset_on_return=None,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _only_read)
        return self._engine


def _read(
    engine: Engine, query: Executable, parameters: Mapping[str, object] | None
) -> Sequence[RowMapping]:
    pool = engine.pool
    with engine.connect() as connection:
        found = connection.execute(query, parameters).mappings().all()
        if engine.pool is not pool:  # it was closed meanwhile, and nobody would close this one
            connection.invalidate()
        return found


def _only_read(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()
