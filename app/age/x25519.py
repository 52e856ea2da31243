"""Keys of X25519: a recipient, whom anybody can encrypt for, and the identity that decrypts it."""

from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from app.age import bech32, unpadded
from app.age.header import Stanza
from app.age.malformed import MalformedError
from app.age.wrapping import derive, unwrap, wrap


SECRET_MARK: Final = "AGE-SECRET-KEY-"  # noqa: S105 - how a secret begins
_PUBLIC_MARK: Final = "age"
_KIND: Final = "X25519"
_INFO: Final = b"age-encryption.org/v1/X25519"
_KEY_BYTES: Final = 32
_ARGUMENTS: Final = 2


@dataclass(frozen=True, slots=True)
class Recipient:
    """
    Somebody to encrypt for; public.

    Attributes:
        key: 32 bytes, a point that is no trap.
    """

    key: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `age1...`; raises MalformedError, in which the text is not repeated."""
        prefix, key = bech32.decode(text)
        if prefix != _PUBLIC_MARK or len(key) != _KEY_BYTES:
            raise MalformedError("not a recipient of X25519, which begins with age1")
        recipient = cls(key)
        recipient.wrap(b"")  # a point of low order is refused here, not in the first backup
        return recipient

    def __str__(self) -> str:
        return bech32.encode(_PUBLIC_MARK, self.key)

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap the key of a file, for a share that is made for it alone."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        secret = _exchange(ephemeral, self.key)
        key = derive(secret, salt=share + self.key, info=_INFO)
        return Stanza((_KIND, unpadded.encode(share)), wrap(key, file_key))


class Identity:
    """
    Somebody who can decrypt; a secret that shows itself nowhere but in `secret_text`.

    Attributes:
        recipient: Its public half.
    """

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.recipient = Recipient(key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Identity(of {self.recipient})"

    @classmethod
    def new(cls) -> Self:
        """Make one."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `AGE-SECRET-KEY-1...`; raises MalformedError, in which the text is not repeated."""
        prefix, key = bech32.decode(text)
        if prefix != SECRET_MARK or len(key) != _KEY_BYTES:
            raise MalformedError(f"not an identity of X25519, which begins with {SECRET_MARK}1")
        return cls(X25519PrivateKey.from_private_bytes(key))

    def secret_text(self) -> str:
        """Write the secret, for the file or the paper that keeps it."""
        return bech32.encode(SECRET_MARK, self._key.private_bytes_raw())

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """
        Unwrap the key of a file.

        Returns:
            16 bytes; None when the stanza is for somebody else.

        Raises:
            MalformedError: It is of this kind, and not as it should be.
        """
        if stanza.kind != _KIND:
            return None
        share = unpadded.decode(stanza.arguments[1]) if len(stanza.arguments) == _ARGUMENTS else b""
        if len(share) != _KEY_BYTES:
            raise MalformedError("header: a stanza of X25519 without a share of 32 bytes")
        secret = _exchange(self._key, share)
        key = derive(secret, salt=share + self.recipient.key, info=_INFO)
        return unwrap(key, stanza.body)


def _exchange(key: X25519PrivateKey, point: bytes) -> bytes:
    """Agree on a secret; raises MalformedError for a point that makes it zero, whatever the key."""
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError as exc:
        raise MalformedError("a point of X25519 that agrees with everybody") from exc
