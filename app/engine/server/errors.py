"""
The driver's errors as ours.

A message of the server is passed on only when it cannot hold row data: "Duplicate entry 'x' for
key" shows a value.
"""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pymysql.err

from app.engine.server.address import VARIABLE
from app.engine.sql.quoting import quote_text
from app.errors import (
    AppError,
    ConnectionFailedError,
    ConnectionLostError,
    PermissionDeniedError,
    StatementError,
)
from app.mysql.refusals import Refusal


_LOST: Final = frozenset({
    0,
    1053,
    1077,
    1158,
    1159,
    1160,
    1161,
    1317,
    1927,
    2000,
    2006,
    2013,
    2014,
    2055,
})
_DENIED: Final = frozenset({1044, 1045, 1095, 1142, 1143, 1227, 1370, 1419, 1698, 4060})
# A function that may write, and a function or trigger of a user without SUPER, while there is a binary
# log and log_bin_trust_function_creators is off.
_UNSAFE_FUNCTION: Final = 1418
_NO_TRUST: Final = 1419
# Errors of the server; those of the client begin at 2000.
_SERVERS_OWN: Final = frozenset({*range(1000, 2000), *range(3000, 5000)})
# What is said in the place of the server's words, where those may hold row data.
# Sources: dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
# mariadb.com/kb/en/mariadb-error-code-reference; below 1000, include/my_base.h of the server.
_MEANINGS: Final = {
    182: "a document id of its full-text index is out of order",
    1022: "a duplicate key",
    1026: "a file could not be written",
    1030: "the storage engine failed; the server's error log says why",
    1034: "its index file is damaged",
    1036: "the table is read-only",
    1048: "a NULL in a NOT NULL column",
    1062: "a duplicate key",
    1114: "the table is full",
    1118: "a row is too large for this table",
    1153: "a packet is larger than max_allowed_packet",
    1194: "the table is marked as crashed",
    1195: "the table is marked as crashed, and could not be repaired",
    1205: "a lock was not granted in time",
    1213: "a deadlock",
    1264: "a number is out of range",
    1290: "an option of the server does not allow it, such as read_only",
    1292: "a value does not fit its type",
    1300: "an invalid character string",
    1364: "a column without a default got no value",
    1366: "a value does not fit its column",
    1406: "a value is too long for its column",
    1412: "the definition of a table has changed meanwhile",
    1451: "a row is still referred to by a foreign key",
    1452: "a foreign key has no parent",
    1526: "no partition for a row",
    1563: "its partitions need sql_mode NO_UNSIGNED_SUBTRACTION",
    1690: "a number is out of range",
    1748: "a row does not belong into its partition",
    1814: "the table's file was discarded",
    1932: "the storage engine does not know the table",
    3140: "invalid JSON",
    3548: "a spatial reference system is not on this server",
    3572: "a lock was not granted at once",
    3819: "a check constraint failed",
    4025: "a check constraint failed",
}
_LOCKED: Final = (
    "Others hold it: SHOW PROCESSLIST names long transactions and changes of tables. Wait for their end, or"
    " end them; then try again."
)
_AT_ONCE: Final = "Others changed the same at that moment; try again."
_REDEFINED: Final = (
    "Others changed, emptied or replaced a table meanwhile; try again when nobody does."
)
_TIME_IS_UP: Final = (
    "A limit on the time of statements ended it: let there be none for this user, then try again."
)
# What to do about what others do on the server at the same time, by the number of the server's error.
# What the server is restricted to is told by its words.
_MEANWHILE: Final = {
    **dict.fromkeys((1205, 3058, 3572), _LOCKED),
    **dict.fromkeys((1020, 1213, 1614), _AT_ONCE),
    **dict.fromkeys((1412, 1615, 1684), _REDEFINED),
    **dict.fromkeys((1969, 3024), _TIME_IS_UP),
    **dict.fromkeys(
        (1290, 1792, 1836, 3989),
        "Somebody has set the server or the database so; try again when that is taken back.",
    ),
}
_RENEW: Final = (
    "ALTER USER {who} IDENTIFIED BY ...; as an administrator gives it a new one, for {source} as well;"
    " PASSWORD EXPIRE NEVER lets it last."
)
_UNLOCK: Final = "ALTER USER {who} ACCOUNT UNLOCK; as an administrator lets it in again."
# What to do about an account, by the number of the server's error.
_ACCOUNT_HINTS: Final = {
    1820: _RENEW,
    1862: _RENEW,
    3032: "SET GLOBAL offline_mode = OFF; as an administrator lets others in again.",
    3118: _UNLOCK,
    3955: _UNLOCK,
    4150: "FLUSH PRIVILEGES; as an administrator lets it in again. Check the password in {source} before.",
    4151: _UNLOCK,
}
# `SELECT command denied to user 'u'@'h' for table `d`.`t``; older servers quote with apostrophes.
_DENIED_COMMAND = re.compile(
    r"(?P<right>[A-Z][A-Z ,]*?) command denied to user (?P<user>'.*?'@'.*?') for \w+ "
    r"[`'](?P<table>.*?)[`'](?:\.[`'](?P<inner>.*?)[`'])?$",
)
_DENIED_NEED = re.compile(r"need \(at least one of\) the (?P<rights>[A-Za-z ,_]+?) privilege")


def connect_error(
    exc: BaseException, where: str, user: str | None, source: str = VARIABLE
) -> AppError:
    """
    Say why there is no answer or the login is refused.

    Args:
        exc: SQLAlchemy's error, the driver's, or the system's.
        where: The server, for people.
        user: Whose login it was.
        source: What the hint calls the address.

    Returns:
        The error to raise.
    """
    cause = getattr(exc, "orig", None) or exc
    if isinstance(cause, Refusal):
        return ConnectionFailedError(f"{where}: {cause.reason}", hint=cause.hint(source))
    number = cause.args[0] if cause.args and isinstance(cause.args[0], int) else 0
    login = user or "(nobody)"
    reasons = {
        1044: f"access denied for {login!r}",
        1045: f"access denied for {login!r}: wrong user name or password",
        1698: f"access denied for {login!r}: this account does not log in by password",
        1040: "too many connections",
        1226: f"{login!r} has used up a resource limit",
        1130: "this host is not allowed to connect",
        1820: f"the password of {login!r} has expired",
        1862: f"the password of {login!r} has expired",
        3032: "it is offline for everybody but administrators (offline_mode)",
        3118: f"the account {login!r} is locked",
        3955: f"the account {login!r} is locked after too many wrong passwords",
        4150: f"the account {login!r} is locked after too many wrong passwords",
        4151: f"the account {login!r} is locked",
    }
    reason = reasons.get(number) or network_reason(cause)
    if number not in reasons and number in _SERVERS_OWN:
        reason = f"the server refuses the login ({number})"
    closer = "; 'backstay doctor' looks closer" if source == VARIABLE else ""
    hint = f"Check {source}, and that the server runs{closer}."
    if number in _ACCOUNT_HINTS:
        hint = _ACCOUNT_HINTS[number].format(who=f"{quote_text(login)}@...", source=source)
    return ConnectionFailedError(f"{where}: {reason}", hint=hint)


def network_reason(exc: BaseException) -> str:
    """Say in what way there was no answer, as far as the system knows."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection ({getattr(cause, 'reason', None) or 'refused'})"
        if isinstance(cause, OSError) and cause.strerror:
            # asyncio puts the address in the place of the system's words, and numbers below 0 are not its.
            number = cause.errno or 0
            return f"no answer ({os.strerror(number) if number > 0 else cause.strerror})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return f"no answer ({type(exc).__name__})"


def translate(exc: BaseException, *, redact: bool = False) -> AppError:
    """
    Turn a driver's error into ours.

    Args:
        exc: From the driver, or of the operating system below it.
        redact: The statement held row data.

    Returns:
        An error without any row data in it.
    """
    if isinstance(exc, Refusal) or not isinstance(exc, pymysql.err.Error):
        return _broken(exc)
    number = exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
    text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
    if number in _LOST or isinstance(exc, pymysql.err.InterfaceError):
        return ConnectionLostError(f"the server ended the connection ({number})", hint=_LOST_HINT)
    if number in _DENIED:
        return PermissionDeniedError(text, hint=TRUST_HINT if number == _NO_TRUST else _grant(text))
    if number == _UNSAFE_FUNCTION:
        return StatementError(f"error {number}: {text}", errno=number, hint=TRUST_HINT)
    meaning = _MEANINGS.get(number, f"'perror {number}' on the server's machine says what it means")
    said = meaning if redact else text
    return StatementError(f"error {number}: {said}", errno=number, hint=_MEANWHILE.get(number, ""))


@contextmanager
def about(label: str) -> Iterator[None]:
    """
    Name what a statement was about; the server's own words often do not.

    Raises:
        StatementError: With the name before the server's words.
    """
    try:
        yield
    except StatementError as exc:
        raise StatementError(f"{label}: {exc}", errno=exc.errno, hint=exc.hint) from exc


def _broken(exc: BaseException) -> ConnectionLostError:
    if isinstance(exc, Refusal):  # the connection is closed by then
        return ConnectionLostError(exc.reason, hint=exc.hint(VARIABLE))
    return ConnectionLostError(f"the connection broke ({type(exc).__name__})", hint=_LOST_HINT)


TRUST_HINT: Final = (
    "SET GLOBAL log_bin_trust_function_creators = 1; as an administrator lets functions and triggers"
    " be created while there is a binary log."
)
_LOST_HINT: Final = "The server stopped, or somebody killed the connection; look at its error log."


def _grant(text: str) -> str:
    if found := _DENIED_COMMAND.search(text):
        scope = f"`{found['table']}`.`{found['inner']}`" if found["inner"] else "*.*"
        return f"GRANT {found['right']} ON {scope} TO {found['user']};"
    if found := _DENIED_NEED.search(text):
        rights = [right.strip() for right in re.split(r",| or ", found["rights"])]
        right = next((right for right in rights if right != "SUPER"), "SUPER")
        return f"GRANT {right} ON *.* TO the user of BACKSTAY_DATABASE_URL;"
    return "'backstay doctor' prints the GRANT statements that are missing."
