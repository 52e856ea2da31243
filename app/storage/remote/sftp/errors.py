"""The one place where what asyncssh raises becomes an error of this program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncssh
from asyncssh.constants import OPEN_CONNECT_FAILED

from app.errors import (
    AlreadyThereError,
    AppError,
    HostKeyError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from app.storage.remote.codes import Act, Meaning, error_without_answer


NO_LINKS: Final = (
    "Use an SFTP server with the extensions hardlink@openssh.com and posix-rename@openssh.com, as OpenSSH"
    " has; without them nothing could be published at once, and once."
)
_Kinds = tuple[type[asyncssh.Error], ...]
_MEANINGS: Final[tuple[tuple[_Kinds, Meaning], ...]] = (
    (
        (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath),
        Meaning(ObjectNotFoundError, "there is no such file in the store"),
    ),
    (
        (asyncssh.SFTPFileAlreadyExists,),
        Meaning(AlreadyThereError, "there is a file of this name"),
    ),
    (
        (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded),
        Meaning(
            StorageFullError,
            "the disk of the server is full",
            "Make room there, or raise the quota.",
        ),
    ),
    (
        (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect),
        Meaning(
            StorageDeniedError,
            "the server refuses to {act}",
            "Give the user of the server read and write access to the directory of the store.",
        ),
    ),
    # Version 3 of the protocol, which OpenSSH speaks, has one word for everything else.
    (
        (asyncssh.SFTPError,),
        Meaning(
            StorageError,
            "the server failed to {act}",
            "Look whether its disk is full, and at its log.",
        ),
    ),
)
_MEANINGS_OF_SSH: Final[tuple[tuple[_Kinds, Meaning], ...]] = (
    (
        (asyncssh.HostKeyNotVerifiable,),
        Meaning(
            HostKeyError,
            "the server shows another host key than the one that is pinned",
            "Ask whoever runs it for the fingerprint; only if it is right, put the key into host_key.",
        ),
    ),
    (
        (asyncssh.KeyExchangeFailed,),
        Meaning(
            HostKeyError,
            "the server has no host key of the kind that is pinned",
            "Pin the key that it has: ask whoever runs it for the line of its .pub file.",
        ),
    ),
    (
        (asyncssh.PermissionDenied,),
        Meaning(
            StorageDeniedError,
            "the server does not let the user in",
            "Put the public key into authorized_keys of the user there, or correct user and secret.",
        ),
    ),
    (
        (asyncssh.ChannelOpenError,),
        Meaning(
            StorageDeniedError,
            "the server offers no SFTP to this user",
            "Switch its subsystem sftp on.",
        ),
    ),
    (
        (asyncssh.Error,),
        Meaning(StorageUnavailableError, "the connection to the server was lost"),
    ),
)
_LOST: Final = (
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
    asyncssh.ConnectionLost,
    asyncssh.DisconnectError,
)


@contextmanager
def translated(name: str, act: Act) -> Iterator[None]:
    """
    Turn every exception of asyncssh in the block into an error of this program.

    Args:
        name: What the messages call the object.
        act: What is done.

    Raises:
        AppError: The error, and nothing of what the library says.
    """
    try:
        yield
    except AppError:
        raise
    except asyncssh.SFTPError as exc:
        error = _of_sftp(name, act, exc)
        raise error from exc
    except asyncssh.Error as exc:
        error = _of_ssh(exc)
        raise error from exc
    except OSError as exc:  # TimeoutError is one
        error = error_without_answer(name, f"{type(exc).__name__} ConnectError")
        raise error from exc


def _of_sftp(name: str, act: Act, exc: asyncssh.SFTPError) -> AppError:
    if isinstance(exc, _LOST):
        return StorageUnavailableError(f"{name}: the connection was cut")
    if act is Act.LINK or isinstance(exc, asyncssh.SFTPOpUnsupported):
        return StorageError(f"{name}: the server makes no hard links", hint=NO_LINKS)
    for kinds, meaning in _MEANINGS:
        if isinstance(exc, kinds):
            return meaning.kind(f"{name}: {meaning.words.format(act=act.value)}", hint=meaning.hint)
    raise AssertionError(exc)  # the last row is of the root


def _of_ssh(exc: asyncssh.Error) -> AppError:
    # A connection that is cut while SFTP is asked for has opened no channel either.
    is_cut = isinstance(exc, asyncssh.ChannelOpenError) and exc.code == OPEN_CONNECT_FAILED
    for kinds, meaning in _MEANINGS_OF_SSH[-1:] if is_cut else _MEANINGS_OF_SSH:
        if isinstance(exc, kinds):
            return meaning.kind(meaning.words, hint=meaning.hint)
    raise AssertionError(exc)  # the last row is of the root
