"""
The header of a file: for whom it is encrypted, one stanza each, and a MAC by the key of the file.

It is parsed as strictly as the format says, so that a header has one form: what is written is what was
parsed, byte for byte. At most 64 KiB, which is some 500 recipients.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.age import unpadded
from app.age.malformed import MalformedError
from app.age.wrapping import derive


MAX_HEADER_BYTES: Final = 64 << 10
# The one kind that must stand alone: who knows a passphrase relies on nobody else having encrypted.
PASSPHRASE_KIND: Final = "scrypt"  # noqa: S105 - the name of a kind
_VERSION: Final = b"age-encryption.org/v1"
_COLUMNS: Final = 64
_MAC_BYTES: Final = 32
_VISIBLE: Final = range(33, 127)


@dataclass(frozen=True, slots=True)
class Stanza:
    """
    The key of a file, wrapped for one recipient.

    Attributes:
        arguments: The kind of recipient first; none is empty or holds white space.
        body: The wrapped key.
    """

    arguments: tuple[str, ...]
    body: bytes

    @property
    def kind(self) -> str:
        """What kind of recipient it is for."""
        return self.arguments[0]


@dataclass(frozen=True, slots=True)
class Header:
    """
    A header as it was parsed; nobody has proven it before `check`.

    Attributes:
        stanzas: At least one.
        size: In bytes; the nonce of the payload is next.
    """

    stanzas: tuple[Stanza, ...]
    size: int
    _covered: bytes
    _mac: bytes

    def check(self, file_key: bytes) -> None:
        """Prove that whoever wrote it had the key of the file; raises MalformedError."""
        if not hmac.compare_digest(_mac(self._covered, file_key), self._mac):
            raise MalformedError("header: it was changed, its MAC does not match")


class Wrapper(Protocol):
    """Somebody to encrypt for."""

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap the key of a file, differently each time."""
        ...


class Unwrapper(Protocol):
    """Somebody who may be able to decrypt."""

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Unwrap the key of a file; None when it is for somebody else; raises MalformedError."""
        ...


def write_header(recipients: Sequence[Wrapper], file_key: bytes) -> bytes:
    """
    Write a header.

    Args:
        recipients: At least one; somebody with a passphrase stands alone.
        file_key: What is wrapped for each of them.

    Returns:
        The header, to its last line break.

    Raises:
        MalformedError: So many recipients that nobody could read it.
    """
    lines = [_VERSION]
    for recipient in recipients:
        stanza = recipient.wrap(file_key)
        body = unpadded.encode(stanza.body).encode()
        lines.append(b"-> " + " ".join(stanza.arguments).encode())
        # A line of less than all columns ends a stanza, so there is an empty one where none is.
        lines += [body[at : at + _COLUMNS] for at in range(0, len(body) + 1, _COLUMNS)]
    covered = b"\n".join([*lines, b"---"])
    header = covered + b" " + unpadded.encode(_mac(covered, file_key)).encode() + b"\n"
    parse_header(header)
    return header


def parse_header(data: bytes) -> Header:
    """
    Parse the header at the beginning of a file.

    Args:
        data: All of it, and perhaps more; what is behind the first 64 KiB is not looked at.

    Returns:
        What it says, not yet proven.

    Raises:
        MalformedError: Another format, or not exactly as this one says.
    """
    lines = _Lines(data[:MAX_HEADER_BYTES])
    if lines.next() != _VERSION:
        raise MalformedError("header: not age-encryption.org/v1")
    stanzas: list[Stanza] = []
    while not (line := lines.next()).startswith(b"---"):
        stanzas.append(_stanza(line, lines))
    if not stanzas or (
        len(stanzas) > 1 and any(stanza.kind == PASSPHRASE_KIND for stanza in stanzas)
    ):
        raise MalformedError("header: no recipient, or others beside a passphrase")
    mac = _decoded(line.removeprefix(b"--- "))
    if len(mac) != _MAC_BYTES or not line.startswith(b"--- "):
        raise MalformedError("header: its last line is not a MAC")
    covered = data[: lines.at - len(line) - 1 + len(b"---")]
    return Header(tuple(stanzas), lines.at, covered, mac)


class _Lines:
    """
    Lines of a header, each ended by one line feed.

    Attributes:
        at: Where the next begins.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def next(self) -> bytes:
        """Take the next line, without its end; raises MalformedError."""
        end = self._data.find(b"\n", self.at)
        if end < 0:
            raise MalformedError(f"header: no end in {len(self._data)} bytes")
        line, self.at = self._data[self.at : end], end + 1
        return line


def _stanza(line: bytes, lines: _Lines) -> Stanza:
    """Parse a stanza, of which the first line is taken already."""
    if not line.startswith(b"-> "):
        raise MalformedError("header: neither a stanza nor its end")
    arguments = line[3:].split(b" ")
    if not all(arguments) or any(byte not in _VISIBLE for byte in b"".join(arguments)):
        raise MalformedError("header: an argument of a stanza is empty or not ASCII")
    body = bytearray()
    while True:
        line = lines.next()
        body += line
        if len(line) < _COLUMNS:
            break
        if len(line) > _COLUMNS:
            raise MalformedError(f"header: a line has more than {_COLUMNS} columns")
    return Stanza(tuple(argument.decode() for argument in arguments), _decoded(bytes(body)))


def _decoded(text: bytes) -> bytes:
    try:
        return unpadded.decode(text.decode("ascii"))
    except (UnicodeDecodeError, MalformedError) as exc:
        raise MalformedError("header: base64 that is not canonical") from exc


def _mac(covered: bytes, file_key: bytes) -> bytes:
    return hmac.digest(derive(file_key, salt=b"", info=b"header"), covered, hashlib.sha256)
