"""
How often somebody may guess: failures within a moving window.

1. From one address so many for a user, and so many for all, then none until the window has moved on.
2. From many addresses so many for a user; then attempts from addresses where that user has not logged in
yet come one after another, slowly. So nobody can lock a user out from elsewhere, and from where a user
has logged in before, the failures of others are not even felt.
3. Attempts from one address, and those in line, are admitted one after another: many at once would
otherwise all be admitted before the first has failed.

Not guaranteed: anything across processes or restarts, for counts are kept in memory; and to whoever
shares an address with a guesser, that they are not counted together.
"""

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
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
# Far more users and places than a service has; what was used last stays.
_MOST_KNOWN: Final = 10_000
# Whoever stands behind them is told to come again, and has the same chance then.
_MOST_IN_LINE: Final = 10


class Attempts:
    """Counts failures, and refuses or delays further attempts."""

    def __init__(
        self,
        *,
        by_user: int = 5,
        by_address: int = 20,
        everywhere: int = 20,
        window_seconds: int = 60,
        slow_seconds: float = 1.0,
    ) -> None:
        """
        Say how much is allowed.

        Args:
            by_user: Failures of one user from one address within the window.
            by_address: The same of all users.
            everywhere: Failures of one user from addresses that are not known to be theirs; beyond
                that attempts from such addresses are slow.
            window_seconds: Length of the window.
            slow_seconds: Between two slow attempts.
        """
        self._by_user = RateLimitItemPerSecond(by_user, window_seconds, namespace="user")
        self._by_address = RateLimitItemPerSecond(by_address, window_seconds, namespace="address")
        self._everywhere = RateLimitItemPerSecond(
            everywhere, window_seconds, namespace="everywhere"
        )
        self._slow_seconds = slow_seconds
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: Counter[str] = Counter()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

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
        network = network_of(address)
        counted: list[tuple[RateLimitItem, str]] = [(self._by_address, _key(network))]
        if user is not None:
            counted.append((self._by_user, _key(f"{network}\n{user}")))
        async with AsyncExitStack() as stack:
            # Always the address first: two attempts never wait for each other.
            await stack.enter_async_context(self._alone(f"address {_key(network)}"))
            for item, key in counted:
                await self._require(item, key)
            if user is not None and (network, user) not in self._known:
                await stack.enter_async_context(self._in_line(_key(user)))
                counted.append((self._everywhere, _key(user)))
            yield Attempt(self._window, counted)

    def remember(self, address: str, user: str) -> None:
        """Remember that a user has logged in from an address: the failures of others do not delay them."""
        place = (network_of(address), user)
        self._known[place] = None
        self._known.move_to_end(place)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    @asynccontextmanager
    async def _in_line(self, user: str) -> AsyncIterator[None]:
        """Let attempts from unknown addresses come one after another, slowly when many have failed."""
        line = f"user {user}"  # not that of an address that is written like the name
        if self._waiting[line] >= _MOST_IN_LINE:
            raise _too_many(ceil(self._slow_seconds))
        async with self._alone(line):
            if await self._seconds_left(self._everywhere, user):
                await asyncio.sleep(self._slow_seconds)
            yield

    async def _require(self, item: RateLimitItem, key: str) -> None:
        if seconds := await self._seconds_left(item, key):
            raise _too_many(seconds)

    async def _seconds_left(self, item: RateLimitItem, key: str) -> int:
        """Return in how many seconds there is room again; 0 when there is now."""
        if await self._window.test(item, key):
            return 0
        stats = await self._window.get_window_stats(item, key)
        seconds = max(1, ceil(stats.reset_time - time.time()))  # limits counts by this clock
        if seconds <= item.get_expiry() + 1:
            return seconds
        # It was set back since: what was counted lies ahead, and would keep everybody out until then.
        await self._window.clear(item, key)
        return 0

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


def network_of(address: str) -> str:
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


def _too_many(seconds: int) -> TooManyAttemptsError:
    return TooManyAttemptsError(
        "too many failed attempts", seconds=seconds, hint=f"Try again in {seconds} seconds."
    )


def _key(text: str) -> str:
    # As long as any other, however long the name that somebody sends.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
