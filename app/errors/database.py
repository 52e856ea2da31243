"""The MySQL or MariaDB server failed us."""

from typing import Final

from app.errors.root import AppError


# Errors that say nothing about an object: connections, locks, limits, a statement that was killed.
PASSING: Final = frozenset({1040, 1041, 1203, 1205, 1213, 1226, 1317, 1969, 3024})


class DatabaseError(AppError):
    """The MySQL or MariaDB server failed us."""

    code = "database"
    title = "Database error"


class ConnectionFailedError(DatabaseError):
    """No connection could be opened."""

    code = "connection-failed"
    title = "Database connection failed"
    retryable = True


class NoConnectionLeftError(DatabaseError):
    """As many connections are open as this program may have, and none was closed in time."""

    code = "no-connection-left"
    title = "No connection left"
    retryable = True


class ConnectionLostError(DatabaseError):
    """The server went away in the middle of a conversation."""

    code = "connection-lost"
    title = "Database connection lost"
    retryable = True


class PermissionDeniedError(DatabaseError):
    """The database user lacks a privilege; the hint holds the GRANT."""

    code = "permission-denied"
    title = "Permission denied"


class BinlogRightsError(PermissionDeniedError):
    """The database user may not read the binary log; the hint holds the GRANT."""

    code = "binlog-rights"
    title = "Binary log not permitted"


class SnapshotError(DatabaseError):
    """No consistent view could be opened or kept."""

    code = "snapshot"
    title = "No consistent snapshot"
    retryable = True


class StatementError(DatabaseError):
    """
    The server refused a statement, or took it with a warning.

    Attributes:
        errno: The server's error number.
    """

    code = "statement"
    title = "Statement failed"

    def __init__(self, message: str, *, errno: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno

    @property
    def is_passing(self) -> bool:
        """Whether it says nothing about what the statement was about, so that it may be over later."""
        return self.errno in PASSING


class StalledError(DatabaseError):
    """Nothing moved for longer than the configured timeout."""

    code = "stalled"
    title = "No progress"
    retryable = True


class ReplayFailedError(DatabaseError):
    """The scratch server did not take a transaction of the binary log; none is ever left out."""

    code = "replay-failed"
    title = "Replay failed"
