"""
The address of a server: `mysql://user:password@host:3306/database?unix_socket=..&ssl_mode=..`.

`mysql+aiomysql://` and `mariadb://` mean the same. The TLS options are those of the mysql client.
"""

from dataclasses import dataclass, field
from typing import Final, NoReturn

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import InvalidRequestError
from app.mysql.address import DRIVER, SCHEMES, read_options
from app.mysql.tls import Tls


VARIABLE: Final = "BACKSTAY_DATABASE_URL"
# What messages call an address that was given in the pages.
STORED: Final = "the stored address"


@dataclass(frozen=True, slots=True)
class ServerLogin:
    """
    How a server is reached, in parts.

    Attributes:
        host: A name or an address; empty with a socket.
        port: None = the usual one.
        socket: Path of a Unix socket; empty = by TCP.
        password: In the clear.
        database: The only one that is backed up; empty = all.
        ssl_mode: As `mysql --ssl-mode` takes it.
        ssl_ca: Path of the certificates that are trusted; empty = those of the machine.
    """

    host: str
    port: int | None
    socket: str
    user: str
    password: str = field(repr=False)
    database: str
    ssl_mode: str
    ssl_ca: str


def parse_address(text: str, source: str = VARIABLE) -> tuple[URL, Tls]:
    """
    Read an address.

    Args:
        text: The address.
        source: What messages call it.

    Returns:
        The URL for SQLAlchemy, and what it asks for in TLS.

    Raises:
        InvalidRequestError: Not a URL, not MySQL's, an unknown option, no host or port there can be, or
            unreadable TLS files.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as exc:  # a port that is no number is a ValueError
        _refuse(source, "it is not a URL", exc)
    if url.drivername not in SCHEMES:
        _refuse(source, f"{url.drivername!r} is not mysql")
    try:
        query, tls = read_options(url.query, url.host, url.port)
    except ValueError as exc:
        _refuse(source, str(exc), exc)
    return url.set(drivername=DRIVER, query=query), tls


def make_address(login: ServerLogin) -> str:
    """
    Write an address from its parts.

    Returns:
        The text that `parse_address` reads, with the password.
    """
    options = {
        "unix_socket": login.socket,
        "ssl_mode": login.ssl_mode,
        "ssl_ca": login.ssl_ca,
    }
    url = URL.create(
        "mysql",
        username=login.user or None,
        password=login.password or None,
        host=login.host or ("localhost" if login.socket else None),
        port=login.port,
        database=login.database or None,
        query={name: value for name, value in options.items() if value},
    )
    return url.render_as_string(hide_password=False)


def split_address(text: str) -> ServerLogin:
    """Take an address apart, but for its password; raises InvalidRequestError."""
    url, tls = parse_address(text)
    options = make_url(text).query
    return ServerLogin(
        host="" if "unix_socket" in options else url.host or "",
        port=url.port,
        socket=str(options.get("unix_socket", "")),
        user=url.username or "",
        password="",
        database=url.database or "",
        ssl_mode=tls.mode.value,
        ssl_ca=str(options.get("ssl_ca", "")),
    )


def _refuse(source: str, why: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidRequestError(
        f"{source}: {why}",
        hint="It looks like mysql://user:password@host:3306/database; escape special characters as in %40.",
    ) from cause
