"""What every address of a server may say, whoever is reached by it."""

from collections.abc import Mapping
from typing import Final

from app.mysql.hosts import require_host
from app.mysql.tls import OPTIONS, Tls, read_tls


SCHEMES: Final = frozenset({"mysql", "mariadb", "mysql+aiomysql", "mariadb+aiomysql"})
# That of SQLAlchemy for the driver that we use.
DRIVER: Final = "mysql+aiomysql"
_PASSED_ON: Final = frozenset({"unix_socket", "charset"})


def read_options(
    query: Mapping[str, str | tuple[str, ...]], host: str | None, port: int | None
) -> tuple[dict[str, str | tuple[str, ...]], Tls]:
    """
    Read what follows the name of the database.

    Args:
        query: Options by name.
        host: Where the server is said to be; None is right with the socket of one only.
        port: Its port; None for the usual one.

    Returns:
        The options for the driver, and what the others ask for in TLS.

    Raises:
        ValueError: An unknown option, no host at all, no host or port that there can be, or unreadable TLS files; the
            text says which, and no more.
    """
    if unknown := set(query) - OPTIONS - _PASSED_ON:
        raise ValueError(f"unknown option {min(unknown)!r}")
    if not host and "unix_socket" not in query:
        raise ValueError("it names no host; localhost is the server of this machine")
    require_host(host, port)
    tls = read_tls({name: str(query[name]) for name in OPTIONS & set(query)})
    passed_on = {name: query[name] for name in _PASSED_ON & set(query)}
    return {**passed_on, "charset": "utf8mb4"}, tls
