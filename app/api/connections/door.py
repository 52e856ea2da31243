"""
Connections to the service: so many in sum and by address, and none that waits for ever.

1. A connection is counted when it is accepted, before TLS: what is beyond a bound is closed at once, by a
503 where it can be read. So many descriptors stay free that scheduled backups always find some. 2. Behind trusted proxies the address is that of
the client: `app.api.middleware` counts its requests.

Not guaranteed: that somebody with many addresses leaves room for others.
"""

import errno
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from app.concurrency import Bound
from app.errors import InvalidRequestError


_log: Final = logging.getLogger(__name__)
# For runs, which open files and some connections each, and for the control database.
_KEPT_DESCRIPTORS: Final = 128
_LEAST_CONNECTIONS: Final = 8
# Refused in one go; then others have their turn.
_MOST_REFUSED: Final = 64
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def most_connections(wanted: int) -> int:
    """Return how many connections there may be, so that runs still find descriptors."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return wanted
    most = max(_LEAST_CONNECTIONS, allowed - _KEPT_DESCRIPTORS)
    if most < wanted:
        facts = {"wanted": wanted, "allowed": most, "descriptors": allowed}
        _log.warning("Fewer connections than wanted: raise LimitNOFILE", extra={"facts": facts})
    return min(wanted, most)


class Proxies:
    """
    Whose word about an address is believed.

    Args:
        text: Addresses and networks, separated by commas; `*` = everybody.

    Raises:
        InvalidRequestError: One of them is none.
    """

    def __init__(self, text: str) -> None:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        self._everybody = "*" in parts
        try:
            self._networks = [ip_network(part, strict=False) for part in parts if part != "*"]
        except ValueError as exc:
            raise InvalidRequestError(
                f"BACKSTAY_TRUSTED_PROXIES: {exc}", hint="See docs/settings.md."
            ) from exc

    def include(self, address: str) -> bool:
        """Tell whether this is one of them."""
        if self._everybody:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        # Where both families come in by one socket, IPv4 is written within IPv6.
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return any((mapped or found) in network for network in self._networks)


class Door(socket.socket):
    """
    A socket that listens, and lets in only so many.

    Attributes:
        by_address: How many there are of each address that is no trusted proxy.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        # With the protocol's number, asyncio sends small answers at once; without it, after 40 ms.
        super().__init__(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.by_address: Counter[str] = Counter()
        self._connections: Bound | None = None
        self._per_client: Bound | None = None
        self._proxies = Proxies("")
        self._is_plain = True
        # Given up for a moment when there are none left, to refuse who waits.
        self._spare = os.open(os.devnull, os.O_RDONLY)

    def guard(
        self, connections: Bound, per_client: Bound, proxies: Proxies, *, is_plain: bool
    ) -> None:
        """
        Begin to count.

        Args:
            connections: In sum.
            per_client: By address.
            proxies: May have more: they speak for many.
            is_plain: Whether a refusal can be read, without TLS.
        """
        self._connections, self._per_client = connections, per_client
        self._proxies, self._is_plain = proxies, is_plain

    def accept(self) -> tuple[socket.socket, object]:
        """
        Accept the next connection for which there is room; others are closed.

        Returns:
            The connection and its address.

        Raises:
            BlockingIOError: There is none now.
            OSError: Another refusal of the system.
        """
        if self._spare < 0:
            self._take_spare()
        for _ in range(_MOST_REFUSED):
            try:
                plain, address = super().accept()
            except OSError as exc:
                if exc.errno not in _EXHAUSTED:
                    raise
                self._refuse_blindly()
                continue
            guest = Guest(plain, str(address[0]), self._leave)
            if self._enter(guest.address):
                return guest, address
            self._refuse(guest)
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def close(self) -> None:
        """Stop listening."""
        self._give_spare()
        super().close()

    def _enter(self, address: str) -> bool:
        assert self._connections is not None  # noqa: S101 - nobody accepts before `guard`
        assert self._per_client is not None  # noqa: S101
        is_proxy = self._proxies.include(address)
        if not is_proxy and self.by_address[address] >= self._per_client.limit:
            self._per_client.hits += 1
            return False
        if not self._connections.take():
            return False
        self.by_address[address] += 1
        self._per_client.used = max(self.by_address.values())
        return True

    def _leave(self, address: str) -> None:
        assert self._connections is not None  # noqa: S101
        assert self._per_client is not None  # noqa: S101
        self._connections.release()
        self.by_address[address] -= 1
        if not self.by_address[address]:
            del self.by_address[address]
        self._per_client.used = max(self.by_address.values(), default=0)

    def _refuse(self, guest: "Guest") -> None:
        _log.warning("Connection refused: too many", extra={"facts": {"address": guest.address}})
        guest.refuse(_UNAVAILABLE if self._is_plain else b"")

    def _refuse_blindly(self) -> None:
        """Close the first who waits, though no descriptor is left, so that nobody asks for it again."""
        _log.warning("Connection refused: no descriptors are left")
        self._give_spare()
        try:
            refused, _ = super().accept()
            refused.close()
        finally:
            self._take_spare()

    def _give_spare(self) -> None:
        # Forgotten first: once it is closed, its number may be that of somebody else's file.
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)

    def _take_spare(self) -> None:
        """Take a descriptor back, unless others were faster; it is tried again the next time."""
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY)


class Guest(socket.socket):
    """
    A connection that is counted until it is closed.

    Attributes:
        address: Where it comes from.
    """

    def __init__(self, accepted: socket.socket, address: str, leave: Callable[[str], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.address = address
        self._leave: Callable[[str], None] | None = leave

    def close(self) -> None:
        """Close it, and make room for the next."""
        leave, self._leave = self._leave, None
        super().close()
        if leave is not None:
            leave(self.address)

    def refuse(self, answer: bytes) -> None:
        """Say so, if that can be done at once, and close it; it was never counted."""
        self._leave = None
        try:
            self.setblocking(False)
            if answer:
                self.send(answer)
        except OSError:
            _log.debug("Nobody hears the refusal")
        self.close()
