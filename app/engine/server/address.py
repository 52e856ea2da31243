"""
The address of a server: `mysql://user:password@host:3306/database?unix_socket=..&ssl_mode=..`.

`mysql+aiomysql://` and `mariadb://` mean the same. The TLS options are those of the mysql client.
"""

from typing import Final, NoReturn

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import InvalidRequestError
from app.mysql.address import DRIVER, SCHEMES, read_options
from app.mysql.tls import Tls


VARIABLE: Final = "BACKSTAY_DATABASE_URL"


def parse_address(text: str) -> tuple[URL, Tls]:
    """
    Read an address.

    Returns:
        The URL for SQLAlchemy, and what it asks for in TLS.

    Raises:
        InvalidRequestError: Not a URL, not MySQL's, an unknown option, no host or port there can be, or
            unreadable TLS files.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as exc:  # a port that is no number is a ValueError
        _refuse("it is not a URL", exc)
    if url.drivername not in SCHEMES:
        _refuse(f"{url.drivername!r} is not mysql")
    try:
        query, tls = read_options(url.query, url.host, url.port)
    except ValueError as exc:
        _refuse(str(exc), exc)
    return url.set(drivername=DRIVER, query=query), tls


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidRequestError(
        f"{VARIABLE}: {why}",
        hint="It looks like mysql://user:password@host:3306/database; escape special characters as in %40.",
    ) from cause
