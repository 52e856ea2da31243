"""Where a server can be, and whether that is this machine."""

from ipaddress import ip_address
from typing import Final


_LAST_PORT: Final = 65_535


def require_host(host: str | None, port: int | None) -> None:
    """
    Refuse a host or port that no resolver and no socket would take, before they are asked.

    Raises:
        ValueError: Says which.
    """
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValueError(f"there is no port {port}: they are 1 to {_LAST_PORT}")
    try:
        (host or "").encode("idna")
    except UnicodeError:
        raise ValueError("the host is no name: its parts have 1 to 63 characters") from None


def is_loopback(address: str) -> bool:
    """Tell whether an IP address, perhaps with the name of an interface, is of this machine alone."""
    found = ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or bool(inner and inner.is_loopback)
