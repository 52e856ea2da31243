"""
How often somebody may guess: failures within a moving window, by user and by address.

Attempts of one user, and attempts from one address, are admitted one after another: many at once
would otherwise all be admitted before the first has failed.

Not guaranteed: anything across processes or restarts; counts are kept in memory.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Address, IPv6Network, ip_address
from math import ceil
from typing import Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.errors import TooManyAttemptsError


# RFC 6177: what a subscriber gets is this or shorter, and every machine may choose the rest itself.
_HOME_BITS: Final = 64


class Attempts:
    """Counts failures, and refuses further attempts."""

    def __init__(self, *, by_user: int = 5, by_address: int = 20, window_seconds: int = 60) -> None:
        self._by_user = RateLimitItemPerSecond(by_user, window_seconds, namespace="user")
        self._by_address = RateLimitItemPerSecond(by_address, window_seconds, namespace="address")
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: Counter[str] = Counter()

    @asynccontextmanager
    async def admit(self, address: str, user: str | None = None) -> AsyncIterator["Attempt"]:
        """
        Admit one attempt, which is made in the block.

        Args:
            address: Where it comes from.
            user: Whose password is guessed; None when none is.

        Yields:
            The attempt, to be told when it fails.

        Raises:
            TooManyAttemptsError: Too many have failed; knows when the next one is admitted.
        """
        counted: list[tuple[RateLimitItem, str]] = [(self._by_address, _key(_network(address)))]
        if user is not None:
            counted.append((self._by_user, _key(user)))
        async with AsyncExitStack() as stack:
            # Always the address first: two attempts never wait for each other.
            for item, key in counted:
                await stack.enter_async_context(self._alone(item.key_for(key)))
            for item, key in counted:
                await self._require(item, key)
            yield Attempt(self._window, counted)

    async def _require(self, item: RateLimitItem, key: str) -> None:
        if await self._window.test(item, key):
            return
        stats = await self._window.get_window_stats(item, key)
        seconds = max(1, ceil(stats.reset_time - time.time()))  # limits counts by this clock
        raise TooManyAttemptsError(
            "too many failed attempts", seconds=seconds, hint=f"Try again in {seconds} seconds."
        )

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]


class Attempt:
    """One attempt that was admitted."""

    def __init__(
        self, window: MovingWindowRateLimiter, counted: list[tuple[RateLimitItem, str]]
    ) -> None:
        self._window = window
        self._counted = counted

    async def fail(self) -> None:
        """Count it."""
        for item, key in self._counted:
            await self._window.hit(item, key)


def _network(address: str) -> str:
    """Return what one person has: an address of IPv4, or the 64 bits that a home gets of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found.packed, _HOME_BITS), strict=False))


def _key(text: str) -> str:
    # As long as any other, however long the name that somebody sends.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
