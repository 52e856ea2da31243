"""
The address of a server: `mysql://user:password@host:3306/database?unix_socket=..&ssl_mode=..`.

`mysql+aiomysql://` and `mariadb://` mean the same. The TLS options are those of the mysql client.
"""

import ssl
from collections.abc import Mapping
from typing import Final, NoReturn

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import InvalidRequestError


_DRIVERS: Final = frozenset({"mysql", "mariadb", "mysql+aiomysql", "mariadb+aiomysql"})


def parse_address(text: str) -> tuple[URL, ssl.SSLContext | None]:
    """
    Read an address.

    Returns:
        The URL for SQLAlchemy, and the TLS context when the address asks for one.

    Raises:
        InvalidRequestError: Not a URL, not MySQL's, an unknown option, or unreadable TLS files.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as exc:  # a port that is no number is a ValueError
        _refuse("it is not a URL", exc)
    if url.drivername not in _DRIVERS:
        _refuse(f"{url.drivername!r} is not mysql")
    query = dict(url.query)
    options = {name: str(query.pop(name)) for name in list(query) if name.startswith("ssl")}
    if unknown := set(query) - {"unix_socket", "charset"}:
        _refuse(f"unknown option {min(unknown)!r}")
    query["charset"] = "utf8mb4"
    clean = url.set(drivername="mysql+aiomysql", query=query)
    return clean, _tls(options)


def _refuse(why: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidRequestError(
        f"BACKSTAY_DATABASE_URL: {why}",
        hint="It looks like mysql://user:password@host:3306/database; escape special characters as in %40.",
    ) from cause


def _tls(options: Mapping[str, str]) -> ssl.SSLContext | None:
    """Build the TLS context: ssl_mode DISABLED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY as in MySQL."""
    if unknown := set(options) - {"ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"}:
        _refuse(f"unknown option {min(unknown)!r}")
    default = "VERIFY_IDENTITY" if "ssl_ca" in options else "DISABLED"
    mode = options.get("ssl_mode", default).upper()
    if mode == "DISABLED":
        return None
    if mode not in {"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"}:
        _refuse(f"ssl_mode {mode!r} is unknown")
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        context.check_hostname = mode == "VERIFY_IDENTITY"
        context.verify_mode = ssl.CERT_NONE if mode == "REQUIRED" else ssl.CERT_REQUIRED
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except OSError as exc:  # SSLError is one
        _refuse(f"TLS files: {exc.strerror or 'unreadable'}", exc)
    return context
