"""
The errors of the control database as ours.

Messages never hold an address, SQL or a value. What the stores must tell apart passes untouched:
IntegrityError, and what is wrong with the program.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy import RowMapping
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
    TimeoutError as PoolTimeoutError,
)

from app.control.address import VARIABLE
from app.errors import ControlUnavailableError, InvalidRequestError
from app.mysql.refusals import Refusal


T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
# A row changed since the snapshot (MariaDB 11.6), a deadlock: found at once, and gone as soon as this
# transaction is. Not 1205, a lock that was not granted in seconds: the next wait would be as long.
_CONFLICTS: Final = frozenset({1020, 1213})
_MEANINGS: Final = {
    1020: "it is busy",
    1040: "too many connections",
    1044: "access denied",
    1045: "access denied",
    1049: "there is no such database",
    1053: "the server is shutting down",
    1054: "its tables are of another version",
    1114: "the disk is full",
    1142: "access denied",
    1146: "its tables are missing",
    1153: "a value is longer than max_allowed_packet",
    1205: "it is busy",
    1213: "it is busy",
    1290: "it is read-only",
    1698: "access denied",
    1836: "it is read-only",
    1927: "the connection was lost",
    2003: "no answer",
    2006: "the connection was lost",
    2013: "the connection was lost",
    sqlite3.SQLITE_BUSY: "another process has locked it",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_ERROR: "its tables are missing or of another version",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_NOTADB: "the file is no database",
    sqlite3.SQLITE_READONLY: "the file is read-only",
}
_HINT: Final = (
    "Check BACKSTAY_CONTROL_URL and what it names; backups and restores on the command line"
    " need no control database."
)


@contextmanager
def translated() -> Iterator[None]:
    """
    Translate what goes wrong in a block.

    Raises:
        ControlUnavailableError: The database does not answer, or refused.
        InvalidRequestError: A value is too long for it.
        IntegrityError: A row contradicts another.
        Exception: A value was wrong before any database saw it, that is, the program is.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DataError as exc:
        message = "a value does not fit the control database"
        raise InvalidRequestError(message) from exc
    except StatementError as exc:
        if not isinstance(exc, DBAPIError) and isinstance(exc.orig, Exception):
            # Without the wrapping, for it quotes the values.
            raise exc.orig from None
        error = unavailable(exc)
        raise error from exc
    except (TimeoutError, PoolTimeoutError) as exc:  # the first one is an OSError too
        raise ControlUnavailableError("control database: no answer in time", hint=_HINT) from exc
    except (SQLAlchemyError, OSError, EOFError) as exc:
        error = unavailable(exc)
        raise error from exc


def unavailable(exc: Exception) -> ControlUnavailableError:
    """Say why the database is of no use."""
    cause = getattr(exc, "orig", None) or exc
    if isinstance(cause, Refusal):
        return ControlUnavailableError(
            f"control database: {cause.reason}", hint=cause.hint(VARIABLE)
        )
    known = _MEANINGS.get(_number(exc))
    reason = known or getattr(cause, "strerror", None) or type(cause).__name__
    return ControlUnavailableError(f"control database: {reason}", hint=_HINT)


def unreadable(what: str) -> ControlUnavailableError:
    """Return the error of a row that holds what this program never wrote."""
    return ControlUnavailableError(
        f"control database: {what} is unreadable",
        hint="Somebody else has written to it, or a newer version of this program.",
    )


def readable(rows: Iterable[RowMapping], read: Callable[[RowMapping], T]) -> list[T]:
    """Read the rows of a list; one that is unreadable costs only itself, and is logged."""
    found: list[T] = []
    for row in rows:
        try:
            found.append(read(row))
        except ControlUnavailableError as exc:
            _log.warning("A row was passed over", extra={"facts": {"error": str(exc)}})
    return found


def is_conflict(exc: ControlUnavailableError) -> bool:
    """Tell whether the same transaction may succeed at once, because another one is over now."""
    return isinstance(exc.__cause__, DBAPIError) and _number(exc.__cause__) in _CONFLICTS


def _number(exc: BaseException) -> int:
    """Return the number of a server's error or SQLite's primary code; 0 when there is none."""
    cause = getattr(exc, "orig", None)
    if isinstance(cause, sqlite3.Error):
        # The higher bytes say more than we can use: https://www.sqlite.org/rescode.html
        return int(getattr(cause, "sqlite_errorcode", 0)) & 0xFF
    number = cause.args[0] if isinstance(cause, Exception) and cause.args else 0
    return number if isinstance(number, int) else 0
