"""Who can open a file: the key out of its header."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.age.header import MAX_HEADER_BYTES, Header, Unwrapper, Wrapper, parse_header, write_header
from app.age.malformed import MalformedError
from app.age.stream import NONCE_BYTES, PayloadKey
from app.age.wrapping import FILE_KEY_BYTES
from app.errors import NoIdentityError


# What is read of a file to open it.
HEAD_BYTES: Final = MAX_HEADER_BYTES + NONCE_BYTES


@dataclass(frozen=True, slots=True)
class Opening:
    """
    What opens the payload of one file.

    Attributes:
        key: Of its payload.
        start: Where its first chunk begins.
    """

    key: PayloadKey
    start: int


def begin(recipients: Sequence[Wrapper]) -> tuple[bytes, Opening]:
    """
    Begin a new file.

    Args:
        recipients: For whom; at least one.

    Returns:
        What stands before its first chunk, and what encrypts that.
    """
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    nonce = secrets.token_bytes(NONCE_BYTES)
    head = write_header(recipients, file_key) + nonce
    return head, Opening(PayloadKey(file_key, nonce), len(head))


def open_head(head: bytes, identities: Sequence[Unwrapper], *, source: str) -> Opening:
    """
    Open a file by its beginning.

    Args:
        head: The first `HEAD_BYTES` of it, or all where it is shorter.
        identities: Who tries, in this order.
        source: Name for messages.

    Returns:
        What opens its payload.

    Raises:
        MalformedError: Not such a file, or its header was changed.
        NoIdentityError: It is encrypted for others.
    """
    header = parse_header(head)
    file_key = _file_key(header, identities, source=source)
    start = header.size + NONCE_BYTES
    if len(head) < start:
        raise MalformedError("header: the file ends with it")
    return Opening(PayloadKey(file_key, head[header.size : start]), start)


def rewrap(
    head: bytes, identities: Sequence[Unwrapper], recipients: Sequence[Wrapper], *, source: str
) -> tuple[bytes, int]:
    """
    Make the header of the same file for other recipients; what follows it is copied as it is.

    Whoever could open the old file can open the new one if they kept its key: it is the same key.

    Args:
        head: The first `HEAD_BYTES` of it, or all where it is shorter.
        identities: Who tries, in this order.
        recipients: For whom; at least one.
        source: Name for messages.

    Returns:
        The new header, and the size of the old one in bytes.

    Raises:
        MalformedError: Not such a file, or its header was changed.
        NoIdentityError: It is encrypted for others.
    """
    header = parse_header(head)
    file_key = _file_key(header, identities, source=source)
    return write_header(recipients, file_key), header.size


def _recipients(count: int) -> str:
    return "1 recipient" if count == 1 else f"{count} recipients"


def _none_of(identities: int) -> str:
    """Say that no identity opens a file, by how many there are."""
    match identities:
        case 0:
            return "there is no identity here"
        case 1:
            return "the identity here is not one of them"
        case _:
            return f"none of the {identities} identities here is one of them"


def _file_key(header: Header, identities: Sequence[Unwrapper], *, source: str) -> bytes:
    """Unwrap the key of a file, and prove the header by it."""
    keys = (identity.unwrap(stanza) for identity in identities for stanza in header.stanzas)
    file_key = next((key for key in keys if key is not None), None)
    if file_key is None:
        raise NoIdentityError(
            f"{source}: encrypted for {_recipients(len(header.stanzas))}, and {_none_of(len(identities))}",
            hint="Set BACKSTAY_IDENTITY_FILE to the identity of one of them; see docs/encryption.md.",
        )
    header.check(file_key)
    return file_key
