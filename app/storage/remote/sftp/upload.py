"""A file that is sent to an SSH server: one part is on its way while the next is filled."""

from concurrent.futures import Future
from contextlib import suppress
from typing import Self

import asyncssh

from app.errors import AppError, StorageUnavailableError, TruncatedFileError
from app.storage.remote.codes import Act
from app.storage.remote.sftp.connection import SshConnection
from app.storage.remote.sftp.files import Sftp, make_folders, publish, sync, temporary_of
from app.storage.remote.store import LEAST_PART_BYTES


class SftpUpload:
    """A file that is being sent; see `Upload`."""

    def __init__(self, connection: SshConnection, root: str, name: str, part_bytes: int) -> None:
        self._connection = connection
        self._name = name
        self._path = f"{root.rstrip('/')}/{name}"
        self._temporary = f"{root.rstrip('/')}/{temporary_of(name)}"
        # A file has any number of them: larger ones would take memory, and nothing else.
        self._part_bytes = min(part_bytes, LEAST_PART_BYTES)
        self._filling = bytearray()
        self._sent = 0
        self._sending: Future[int] | None = None
        self._is_open = True

        async def open_file(sftp: Sftp) -> asyncssh.SFTPClientFile:
            await make_folders(sftp, root, name)
            return await sftp.open(self._temporary, "xb")

        self._file = connection.ask_once(name, Act.WRITE, open_file)

    def write(self, data: bytes) -> None:
        """See `Upload.write`."""
        rest = memoryview(data)
        while rest:
            room = self._part_bytes - len(self._filling)
            self._filling += rest[:room]
            rest = rest[room:]
            if len(self._filling) == self._part_bytes:
                self._send()

    def complete(self) -> None:
        """See `Upload.complete`."""
        self._send()
        self._await_sent()

        async def finish(sftp: Sftp) -> None:
            await sync(self._file)
            await self._file.close()
            facts = await sftp.lstat(self._temporary)
            if facts.size != self._sent:
                raise TruncatedFileError(
                    f"{self._name}: the server has {facts.size} bytes, {self._sent} were sent"
                )
            await publish(sftp, self._name, self._temporary, self._path, replaces=False)

        try:
            self._connection.ask_once(self._name, Act.WRITE, finish)
        except StorageUnavailableError:
            # The answer may be what was lost: the server is asked whether it has all of it.
            if not self._is_whole():
                raise
        self._is_open = False

    def abort(self) -> None:
        """See `Upload.abort`."""
        if not self._is_open:
            return
        self._is_open = False
        with suppress(AppError):
            self._await_sent()  # or what is under way would fail behind our back
        with suppress(AppError):
            self._connection.ask_once(self._name, Act.DELETE, lambda _: self._file.close())
        with suppress(AppError):
            self._connection.ask(self._name, Act.DELETE, lambda sftp: sftp.remove(self._temporary))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.abort()

    def _send(self) -> None:
        """Send what has come, while the next comes."""
        self._await_sent()
        part, offset = bytes(self._filling), self._sent
        self._filling.clear()
        self._sent += len(part)
        self._sending = self._connection.begin(
            lambda _: self._file.write(part, offset), size=len(part)
        )

    def _await_sent(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            self._connection.wait(self._name, Act.WRITE, sending)

    def _is_whole(self) -> bool:
        try:
            facts = self._connection.ask(self._name, Act.READ, lambda sftp: sftp.lstat(self._path))
        except AppError:
            return False
        return facts.size == self._sent
