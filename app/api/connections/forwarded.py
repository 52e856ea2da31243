"""What proxies say of whom they speak for, as far as they are trusted."""

from ipaddress import IPv6Address, ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.connections.door import Proxies


_SCHEMES: Final = frozenset({"http", "https"})


class Forwarded:
    """
    Takes a client's address and scheme from trusted proxies.

    uvicorn's own would take any text for an address, and reads the setting otherwise than the door does.

    Args:
        proxies: Who is believed.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, as one of the client that it is made for."""
        client = scope.get("client")
        if scope["type"] == "http" and client and self._proxies.include(client[0]):
            headers = Headers(scope=scope)
            claimed = ",".join(headers.getlist("X-Forwarded-For"))
            scope["client"] = (client_of(client[0], claimed, self._proxies), 0)
            # Of several, the last is that of the nearest.
            scheme = ",".join(headers.getlist("X-Forwarded-Proto")).rpartition(",")[2].strip()
            if scheme in _SCHEMES:
                scope["scheme"] = scheme
        await self._app(scope, receive, send)


def client_of(nearest: str, claimed: str, proxies: Proxies) -> str:
    """
    Find the client that a proxy speaks for.

    Args:
        nearest: The proxy that is connected.
        claimed: Addresses, the farthest first, separated by commas. What is none, such as `unknown`, is not
            believed, nor what stands before it.
        proxies: Who is believed.

    Returns:
        The first address from the nearest on that is no trusted proxy's, else the farthest.
    """
    found = nearest
    for text in reversed(claimed.split(",")):
        address = _address(text.strip())
        if not address:
            break
        found = address
        if not proxies.include(found):
            break
    return found


def _address(text: str) -> str:
    """Read an address, perhaps with a port; empty when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # What follows a % is a name of the proxy's own, and any text.
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
