"""
One connection to an SSH server, for threads: it is opened when it is needed, and again when it was lost.

The server is told nothing before it has shown a key that is pinned. Nothing of this user is used: no
configuration, no agent, no other keys.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

import asyncssh

from app.errors import StorageUnavailableError
from app.storage.remote.codes import Act
from app.storage.remote.limits import Limits
from app.storage.remote.sftp.background import BackgroundLoop
from app.storage.remote.sftp.errors import translated


T = TypeVar("T")
Sftp = asyncssh.SFTPClient
# What is done with a connection; called again after one was lost.
Work = Callable[[Sftp], Awaitable[T]]
_KEEPALIVE_SECONDS: Final = 15
_KEEPALIVES: Final = 4


@dataclass(frozen=True, slots=True)
class SshAddress:
    """
    Where the server is, and how it is told from others.

    Attributes:
        host_keys: Public keys of the server, one of which it must show.
        key: Private key; None = the password is used.
        password: Where there is no key.
    """

    host: str
    port: int
    user: str
    host_keys: tuple[asyncssh.SSHKey, ...]
    key: asyncssh.SSHKey | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)


class SshConnection:
    """What is asked of a server, over SFTP."""

    def __init__(self, address: SshAddress, limits: Limits) -> None:
        self._address = address
        self._limits = limits
        self._loop = BackgroundLoop(f"sftp {address.host}")
        self._opening = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: Sftp | None = None

    def ask(self, name: str, act: Act, work: Work[T], *, size: int = 0) -> T:
        """
        Do what may be done twice.

        Args:
            name: What the messages call the object.
            act: What is done.
            work: Does it.
            size: Bytes that it carries at most.

        Returns:
            What it returned.

        Raises:
            AppError: It failed, or could not be done.
        """
        return self._limits.retried(lambda _: self.ask_once(name, act, work, size=size))

    def ask_once(self, name: str, act: Act, work: Work[T], *, size: int = 0) -> T:
        """Do what may not be done twice; as `ask`."""
        return self.wait(name, act, self.begin(work, size=size))

    def begin(self, work: Work[T], *, size: int = 0) -> "Future[T]":
        """Begin it, and let `wait` be called later."""
        seconds = self._limits.connect_seconds + self._limits.seconds_for(size)
        return self._loop.begin(self._done(work), seconds)

    def wait(self, name: str, act: Act, future: "Future[T]") -> T:
        """Return what was begun; raises AppError as `ask` does."""
        try:
            with translated(name, act):
                return future.result()
        except StorageUnavailableError:
            self.drop()
            raise
        except BaseException:
            future.cancel()
            raise

    def drop(self) -> None:
        """Close the connection; the next request opens another."""
        with suppress(TimeoutError, OSError, asyncssh.Error):
            self._loop.run(self._drop(), self._limits.connect_seconds)

    def close(self) -> None:
        """Close the connection and end the thread; again is harmless."""
        self.drop()
        self._loop.close()

    async def _done(self, work: Work[T]) -> T:
        return await work(await self._open())

    async def _open(self) -> Sftp:
        async with self._opening:
            if self._sftp is None or self._connection is None or self._connection.is_closed():
                await self._connect()
            assert self._sftp is not None  # noqa: S101 - it was connected
            return self._sftp

    async def _connect(self) -> None:
        address, limits = self._address, self._limits
        await self._drop()
        with translated(address.host, Act.CONNECT):
            self._connection = await asyncssh.connect(
                address.host,
                address.port,
                username=address.user,
                known_hosts=(list(address.host_keys), [], []),
                client_keys=[address.key] if address.key else None,
                password=address.password or None,
                config=[],
                agent_path=None,
                gss_host=None,
                x509_trusted_certs=None,
                connect_timeout=limits.connect_seconds,
                login_timeout=limits.connect_seconds,
                keepalive_interval=_KEEPALIVE_SECONDS,
                keepalive_count_max=_KEEPALIVES,
            )
            # Names of others may be in any encoding: they are no names of ours, and no end of a list.
            self._sftp = await self._connection.start_sftp_client(path_errors="surrogateescape")

    async def _drop(self) -> None:
        connection, self._connection, self._sftp = self._connection, None, None
        if connection is not None:
            connection.abort()
            with suppress(asyncssh.Error, OSError):
                await connection.wait_closed()
