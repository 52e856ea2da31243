"""
Files of an SSH server: written under hidden names, published by hard links, read in ranges.

What is done here runs in the loop of a connection.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from secrets import token_hex
from typing import Final

import asyncssh

from app.errors import AlreadyThereError
from app.storage.remote.codes import Act
from app.storage.remote.sftp.errors import translated
from app.storage.remote.store import UNFINISHED


Sftp = asyncssh.SFTPClient
Listing = AsyncIterator[asyncssh.SFTPName]
Entry = tuple[str, asyncssh.SFTPAttrs]
_PAGE: Final = 1000


def temporary_of(name: str) -> str:
    """Return a hidden name beside a name."""
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{UNFINISHED}{token_hex(8)}"


async def make_folders(sftp: Sftp, root: str, name: str) -> None:
    """Make the folders of a name; the directory of the store itself is never made."""
    folders = name.split("/")[:-1]
    for count in range(1, len(folders) + 1):
        # OpenSSH says nothing but that it failed when there is one; what fails for another reason, fails next.
        with suppress(asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            await sftp.mkdir("/".join([root, *folders[:count]]))


async def write_file(sftp: Sftp, path: str, data: bytes) -> None:
    """Write a file that must not be there, and force it to the server's disk."""
    async with sftp.open(path, "xb") as file:
        await file.write(data)
        await sync(file)


async def sync(file: asyncssh.SFTPClientFile) -> None:
    """Force the bytes of a file to the server's disk, where it offers that."""
    with suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


async def publish(sftp: Sftp, name: str, temporary: str, path: str, *, replaces: bool) -> None:
    """
    Give a file its own name.

    Args:
        sftp: Client.
        name: What the messages call it.
        temporary: Where it is.
        path: Where it shall be.
        replaces: Whether it may take the place of another.

    Raises:
        AlreadyThereError: There is another.
        StorageError: The server makes no hard links, or renames nothing over what is there.
    """
    with translated(name, Act.LINK):
        if replaces:
            await sftp.posix_rename(temporary, path)
            return
        try:
            await sftp.link(temporary, path)
        except asyncssh.SFTPError as exc:
            # OpenSSH has one word for all failures.
            failure: Exception = exc
            if await sftp.exists(path):
                failure = AlreadyThereError(f"{name}: there is a file of this name")
            raise failure from None
        await sftp.remove(temporary)


async def read_range(sftp: Sftp, *, path: str, start: int, length: int) -> bytes:
    """Read a range; shorter only at the end of the file."""
    async with sftp.open(path, "rb") as file:
        return await file.read(length, start)


async def next_page(entries: Listing) -> list[Entry]:
    """Read on in a directory; nothing at its end."""
    found: list[Entry] = []
    async for entry in entries:
        if entry.filename not in {".", ".."}:
            found.append((str(entry.filename), entry.attrs))
        if len(found) == _PAGE:
            break
    return found
