"""How keys are derived from keys, and the key of a file wrapped in another."""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.age.malformed import MalformedError


FILE_KEY_BYTES: Final = 16
TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32
# A key wraps one file's key, once: the nonce may be the same each time.
_NONCE: Final = bytes(12)


def derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Derive a key of 32 bytes by HKDF-SHA-256."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=info).derive(secret)


def wrap(key: bytes, file_key: bytes) -> bytes:
    """Encrypt the key of a file; returns 32 bytes."""
    return ChaCha20Poly1305(key).encrypt(_NONCE, file_key, None)


def unwrap(key: bytes, body: bytes) -> bytes | None:
    """
    Decrypt the key of a file.

    Returns:
        16 bytes; None when it was wrapped with another key.

    Raises:
        MalformedError: Of another length: looked at before it is decrypted, lest one body fit many keys.
    """
    if len(body) != FILE_KEY_BYTES + TAG_BYTES:
        raise MalformedError("header: a wrapped key of the wrong length")
    try:
        return ChaCha20Poly1305(key).decrypt(_NONCE, body, None)
    except InvalidTag:
        return None
