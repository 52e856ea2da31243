"""
The address of the control database: `sqlite:///FILE` or `mysql://user:password@host:3306/database`.

With or without the name of a driver; `mariadb://` means the same as `mysql://`.
"""

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import InvalidRequestError


_SQLITE: Final = frozenset({"sqlite", "sqlite+aiosqlite"})
_MYSQL: Final = frozenset({"mysql", "mariadb", "mysql+aiomysql", "mariadb+aiomysql"})


def parse_address(text: str) -> tuple[URL, Path | None, ssl.SSLContext | None]:
    """
    Read an address.

    Returns:
        The URL for SQLAlchemy, whose password is as the driver sends it; the file, None for a
        server; the TLS context when the address asks for one.

    Raises:
        InvalidRequestError: Not a URL, another database, no name of one, or an unknown option.
    """
    url = _url(text)
    if url.drivername in _SQLITE:
        file = _file(url)
        return _existing(file), file, None
    if url.drivername not in _MYSQL:
        _refuse(f"{url.drivername!r} is neither sqlite nor mysql")
    return _server(url)


def _url(text: str) -> URL:
    # Raised later and so without a cause, which quotes what it could not read: maybe the password.
    with suppress(ArgumentError, ValueError):
        return make_url(text)
    return _refuse("it is not a URL")


def _file(url: URL) -> Path:
    if url.query:
        _refuse(f"unknown option {min(url.query)!r}")
    if not url.database or url.database == ":memory:":
        _refuse("sqlite needs a file")
    return Path(url.database).absolute()


def _existing(file: Path) -> URL:
    """Name a file in such a way that SQLite never creates it: it would let everybody read it."""
    return URL.create(
        "sqlite+aiosqlite", database=f"file:{quote(str(file))}", query={"mode": "rw", "uri": "true"}
    )


def _server(url: URL) -> tuple[URL, None, ssl.SSLContext | None]:
    if not url.database:
        _refuse("the name of a database is missing")
    query = dict(url.query)
    authority = query.pop("ssl_ca", None)
    if unknown := set(query) - {"unix_socket", "charset"}:
        _refuse(f"unknown option {min(unknown)!r}")
    try:
        tls = ssl.create_default_context(cafile=str(authority)) if authority else None
    except OSError as exc:  # SSLError is one
        _refuse(f"ssl_ca: {exc.strerror or 'unreadable'}")
    # The driver sends Latin-1 where servers expect UTF-8.
    password = None if url.password is None else str(url.password).encode().decode("latin-1")
    query["charset"] = "utf8mb4"
    return url.set(drivername="mysql+aiomysql", password=password, query=query), None, tls


def _refuse(why: str) -> NoReturn:
    raise InvalidRequestError(
        f"BACKSTAY_CONTROL_URL: {why}",
        hint="It looks like sqlite:////var/lib/backstay/control.db or"
        " mysql://user:password@host:3306/database; escape special characters as in %40.",
    )
