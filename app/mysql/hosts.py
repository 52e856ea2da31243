"""Where a server can be: what no resolver and no socket would take is refused before they are asked."""

from typing import Final


_LAST_PORT: Final = 65_535


def require_host(host: str | None, port: int | None) -> None:
    """
    Refuse a host or port that there cannot be.

    Raises:
        ValueError: Says which.
    """
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValueError(f"there is no port {port}: they are 1 to {_LAST_PORT}")
    try:
        (host or "").encode("idna")
    except UnicodeError:
        raise ValueError("the host is no name: its parts have 1 to 63 characters") from None
