"""
For whom an archive of the binary log is encrypted, and who reads it.

Sealed segments are for the recipients of backups alone. What the archiver itself must read again after a
crash, the tail and the proof that the log goes on, is also for an identity of this installation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app.age.header import Unwrapper, Wrapper
from app.age.reader import decrypt
from app.age.x25519 import Identity
from app.archive.file.keys import NO_KEYS, ArchiveKeys, identities_of
from app.errors import NoIdentityError


class OwnIdentity(Protocol):
    """The identity of this installation that reads its tail."""

    def find(self) -> Identity | None:
        """Return it; None when there is none."""
        ...

    def make(self) -> Identity:
        """Return it, and make it where there is none."""
        ...


class Nobody:
    """No installation: reads no tail."""

    def find(self) -> None:
        """Return nobody."""

    def make(self) -> Identity:
        """Raise NoIdentityError."""
        raise NoIdentityError("nobody here could read the growing end of the archive again")


_NOBODY: Final = Nobody()


@dataclass(frozen=True, slots=True)
class LogKeys:
    """
    The keys of an archive. All calls block.

    Attributes:
        backups: Those of backups.
        own: Reads the tail.
    """

    backups: ArchiveKeys = NO_KEYS
    own: OwnIdentity = _NOBODY

    def for_tails(self) -> Sequence[Wrapper]:
        """Return for whom a tail is encrypted."""
        return (self.own.make().recipient, *self.backups.recipients())

    def for_echoes(self) -> Sequence[Wrapper]:
        """Return for whom the proof that the log goes on is encrypted."""
        return (self.own.make().recipient,)

    def open_tail(self, data: bytes, source: str) -> bytes:
        """Decrypt a piece of a tail, by an identity of backups only where this installation has not written it."""
        try:
            return self.open_echo(data, source)
        except NoIdentityError:
            return self.open_hidden(data, source)

    def open_echo(self, data: bytes, source: str) -> bytes:
        """Decrypt what this installation has written for itself; raises DecryptionFailedError, NoIdentityError."""
        own = self.own.find()
        return decrypt(data, (own,) if own else (), source=source)

    def open_hidden(self, data: bytes, source: str) -> bytes:
        """Decrypt what is for the recipients of backups; raises DecryptionFailedError, NoIdentityError."""
        return decrypt(data, self.of_segments(source), source=source)

    def of_segments(self, source: str) -> Sequence[Unwrapper]:
        """Return who reads sealed segments; raises NoIdentityError."""
        return identities_of(self.backups, source=source)


PLAIN: Final = LogKeys()
