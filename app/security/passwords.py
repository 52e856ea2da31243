"""Passwords, hashed with Argon2id: 64 MiB and some 90 ms each, so two at once and no more."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from app.domain.access.user import MAX_PASSWORD


_AT_ONCE: Final = 2
_SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Cost:
    """
    What one hash takes.

    Attributes:
        passes: Over the memory.
        memory_kib: In KiB.
        lanes: Threads of one hash.

    Source:
        https://www.rfc-editor.org/rfc/rfc9106#section-4 - the second recommended option.
    """

    passes: int = 3
    memory_kib: int = 64 << 10
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class PasswordVerdict:
    """
    What a verification found.

    Attributes:
        good: Whether the password is the right one.
        new_hash: To be kept instead of the old one, which was made at another cost; else None.
    """

    good: bool
    new_hash: str | None = None


class Passwords:
    """
    Hashes passwords in threads of its own.

    The threads are what limits memory: work goes on in them after its caller was cancelled.
    """

    def __init__(self, cost: Cost | None = None) -> None:
        cost = cost or Cost()
        self._hasher = PasswordHash((
            Argon2Hasher(
                time_cost=cost.passes,
                memory_cost=cost.memory_kib,
                parallelism=cost.lanes,
                hash_len=_DIGEST_BYTES,
                salt_len=_SALT_BYTES,
            ),
        ))
        self._dummy = _dummy(cost)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="password")

    async def hash(self, password: str) -> str:
        """Hash a new password; returns the PHC string format, with a salt of its own."""
        return await self._run(self._hasher.hash, _bytes(password))

    async def verify(self, password: str, password_hash: str | None) -> PasswordVerdict:
        """
        Compare a password with the hash of a user.

        Args:
            password: As it was sent, whatever it is.
            password_hash: None for an unknown user: it takes as long, and is never the right one.

        Returns:
            Whether it is the right one.
        """
        data = _bytes(password)
        if password_hash is None or len(password) > MAX_PASSWORD:
            await self._run(self._hasher.verify, data[:MAX_PASSWORD], self._dummy)
            return PasswordVerdict(good=False)
        try:
            return PasswordVerdict(
                *await self._run(self._hasher.verify_and_update, data, password_hash)
            )
        except UnknownHashError:
            # Somebody changed the control database by hand: nobody knows this password.
            await self._run(self._hasher.verify, data, self._dummy)
            return PasswordVerdict(good=False)

    async def _run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))


def _bytes(password: str) -> bytes:
    # Keyboards differ in how they compose accents; JSON can hold halves of characters.
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


def _dummy(cost: Cost) -> str:
    """Make a hash of no password, without the work of hashing."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _DIGEST_BYTES)
    )
    costs = f"m={cost.memory_kib},t={cost.passes},p={cost.lanes}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
