"""The keys of backups and the signatures of an installation, as archives need them."""

import hashlib
import time
from collections.abc import Collection
from typing import Final

from app.age.x25519 import Identity, Recipient
from app.domain.keys import Signature
from app.errors import AppError
from app.security.backup_keys import BackupKeys
from app.security.signers import Signers


_ID_DIGITS: Final = 16
_RETRY_SECONDS: Final = 60.0


class InstallationKeys:
    """
    Encrypts for the recipients of the settings, reads with the identities here, signs with the own key.

    Args:
        backup_keys: Recipients and identities.
        signers: Who is believed.
        accepted: Ids or public keys of signers that are believed as well, as somebody has said just now.
    """

    def __init__(
        self, backup_keys: BackupKeys, signers: Signers, accepted: Collection[str] = ()
    ) -> None:
        self._backup_keys = backup_keys
        self._signers = signers
        self._accepted = frozenset(accepted)
        # A place of identities that does not answer keeps nobody waiting twice.
        self._failure: tuple[float, AppError] | None = None

    @property
    def are_set(self) -> bool:
        """See `ArchiveKeys.are_set`."""
        return self._backup_keys.encrypts or self.can_read

    @property
    def can_read(self) -> bool:
        """See `ArchiveKeys.can_read`."""
        return self._backup_keys.can_read

    def recipients(self) -> tuple[Recipient, ...]:
        """See `ArchiveKeys.recipients`."""
        return self._backup_keys.recipients()

    def recipient_ids(self) -> tuple[str, ...]:
        """See `ArchiveKeys.recipient_ids`."""
        return tuple(map(recipient_id, self.recipients()))

    def identities(self) -> tuple[Identity, ...]:
        """See `ArchiveKeys.identities`; what has failed a moment ago is not tried again."""
        if self._failure is not None and time.monotonic() < self._failure[0]:
            raise self._failure[1]
        try:
            return self._backup_keys.identities()
        except AppError as exc:
            self._failure = (time.monotonic() + _RETRY_SECONDS, exc)
            raise

    def sign(self, data: bytes) -> Signature:
        """See `ArchiveKeys.sign`."""
        return self._signers.sign(data)

    def verify(self, data: bytes, signature: Signature) -> str:
        """See `ArchiveKeys.verify`."""
        return self._signers.verify(data, signature, accepted=self._accepted)


def recipient_id(recipient: Recipient) -> str:
    """Return what a recipient is called in the clear: 16 hex digits of the SHA-256 of its text."""
    return hashlib.sha256(str(recipient).encode()).hexdigest()[:_ID_DIGITS]
