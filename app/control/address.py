"""
The address of the control database: `sqlite:///FILE`, with `?timeout=SECONDS` for locks of others, or `mysql://user:password@host:3306/database`.

With or without the name of a driver; `mariadb://` means the same as `mysql://`.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import InvalidRequestError
from app.mysql.address import DRIVER, SCHEMES, read_options
from app.mysql.tls import Tls


VARIABLE: Final = "BACKSTAY_CONTROL_URL"
_SQLITE: Final = frozenset({"sqlite", "sqlite+aiosqlite"})
_LOCK_SECONDS: Final = "5"
# Below the time of a whole transaction, `app.control.database`.
_MOST_LOCK_SECONDS: Final = 15


def parse_address(text: str) -> tuple[URL, Path | None, Tls | None]:
    """
    Read an address.

    Returns:
        The URL for SQLAlchemy; the file, None for a server; what it asks for in TLS, None for a file.

    Raises:
        InvalidRequestError: Not a URL, another database, no name of one, an unknown option or a
            value that it cannot have, or unreadable TLS files.
    """
    url = _url(text)
    if url.drivername in _SQLITE:
        file = _file(url)
        return _existing(file, _lock_seconds(url)), file, None
    if url.drivername not in SCHEMES:
        _refuse(f"{url.drivername!r} is neither sqlite nor mysql")
    return _server(url)


def _url(text: str) -> URL:
    # Raised later and so without a cause, which quotes what it could not read: maybe the password.
    with suppress(ArgumentError, ValueError):
        return make_url(text)
    return _refuse("it is not a URL")


def _file(url: URL) -> Path:
    if unknown := set(url.query) - {"timeout"}:
        _refuse(f"unknown option {min(unknown)!r}")
    if not url.database or url.database == ":memory:":
        _refuse("sqlite needs a file")
    return Path(url.database).absolute()


def _lock_seconds(url: URL) -> str:
    """Return how long a lock of another process is waited for."""
    told = str(url.query.get("timeout", _LOCK_SECONDS))
    with suppress(ValueError):
        if 0 < float(told) <= _MOST_LOCK_SECONDS:
            return told
    return _refuse(f"timeout is no number of seconds above 0, {_MOST_LOCK_SECONDS} at most")


def _existing(file: Path, lock_seconds: str) -> URL:
    """Name a file in such a way that SQLite never creates it: it would let everybody read it."""
    return URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(str(file))}",
        query={"mode": "rw", "uri": "true", "timeout": lock_seconds},
    )


def _server(url: URL) -> tuple[URL, None, Tls]:
    if not url.database:
        _refuse("the name of a database is missing")
    try:
        query, tls = read_options(url.query, url.host, url.port)
    except ValueError as exc:
        _refuse(str(exc))
    return url.set(drivername=DRIVER, query=query), None, tls


def _refuse(why: str) -> NoReturn:
    raise InvalidRequestError(
        f"{VARIABLE}: {why}",
        hint="It looks like sqlite:////var/lib/backstay/control.db or"
        " mysql://user:password@host:3306/database; escape special characters as in %40.",
    )
