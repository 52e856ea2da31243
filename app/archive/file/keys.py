"""For whom archives are encrypted, who reads them, and who signs: what the archive needs of keys."""

from collections.abc import Sequence
from typing import Final, Protocol

from app.age.header import Unwrapper, Wrapper
from app.domain.keys import Signature
from app.errors import AppError, NoIdentityError


class ArchiveKeys(Protocol):
    """The keys of an installation. All calls block."""

    @property
    def are_set(self) -> bool:
        """Whether archives are encrypted here, or read."""
        ...

    @property
    def can_read(self) -> bool:
        """Whether any identity is set here; none is read."""
        ...

    def recipients(self) -> Sequence[Wrapper]:
        """Return for whom new archives are encrypted, none = nobody; raises InvalidRequestError."""
        ...

    def recipient_ids(self) -> tuple[str, ...]:
        """Return what the recipients are called where everybody reads it, in their order."""
        ...

    def identities(self) -> Sequence[Unwrapper]:
        """Return who can read encrypted archives here; raises InvalidRequestError, DecryptionFailedError."""
        ...

    def sign(self, data: bytes) -> Signature:
        """Sign bytes in the name of this installation; raises InvalidRequestError, StorageError."""
        ...

    def verify(self, data: bytes, signature: Signature) -> str:
        """Return the id of the signer; raises SignatureMismatchError, UnknownSignerError, StorageError."""
        ...


def identities_of(keys: ArchiveKeys, *, source: str) -> Sequence[Unwrapper]:
    """
    Return who can read encrypted archives here.

    Args:
        keys: Of this installation.
        source: What is to be read, for messages.

    Returns:
        They; nobody where none is set.

    Raises:
        NoIdentityError: Those that are set cannot be had.
    """
    try:
        return keys.identities()
    except NoIdentityError:
        raise
    except AppError as exc:
        raise NoIdentityError(
            f"{source}: it is encrypted, and no identity can be had here: {exc}", hint=exc.hint
        ) from exc


class NoKeys:
    """Makes archives that are not encrypted, and reads no others."""

    @property
    def are_set(self) -> bool:
        """False."""
        return False

    @property
    def can_read(self) -> bool:
        """False."""
        return False

    def recipients(self) -> Sequence[Wrapper]:
        """Return nobody."""
        return ()

    def recipient_ids(self) -> tuple[str, ...]:
        """Return nobody."""
        return ()

    def identities(self) -> Sequence[Unwrapper]:
        """Return nobody."""
        return ()

    def sign(self, data: bytes) -> Signature:
        """Raise NoIdentityError: only what is encrypted is signed."""
        del data
        raise NoIdentityError("no keys here")

    def verify(self, data: bytes, signature: Signature) -> str:
        """Raise NoIdentityError."""
        del data, signature
        raise NoIdentityError("an encrypted backup, and no keys here")


NO_KEYS: Final = NoKeys()
