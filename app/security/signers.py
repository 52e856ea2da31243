"""
Signatures of this installation, and whose others are taken.

1. The key is `signing.key` in the state directory, made when first something is signed: PEM, the
owner's alone. 2. A signature names its signer, so that an unknown one is told from a changed file.
3. Known are the own key and those of a setting; one more can be accepted by whoever has compared it.

Signature and key are plain Ed25519, so that `openssl pkeyutl -verify -rawin` proves them without us.

Not guaranteed: that what is signed is the newest. Whoever keeps an older manifest has its signature, too.

Source: https://www.rfc-editor.org/rfc/rfc8032, https://www.rfc-editor.org/rfc/rfc8410
"""

import base64
import binascii
import hashlib
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.domain.keys import Signature, Signer
from app.errors import InvalidRequestError, SignatureMismatchError, UnknownSignerError
from app.security.keys import require_private
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


KEY_FILE: Final = "signing.key"
VARIABLE: Final = "BACKSTAY_SIGNERS"
# What every public key of Ed25519 begins with. Source: RFC 8410, section 4
_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
_KEY_BYTES: Final = 32
_ID_DIGITS: Final = 32
_MAX_FILE_BYTES: Final = 4096
_LONGEST: Final = 200


class Signers:
    """Signs for one installation, and knows whom it believes. All calls block."""

    def __init__(self, state_directory: Path, others: str, kernel: Kernel = KERNEL) -> None:
        """Take where the own key is kept, and the public keys of others, separated by white space."""
        self._directory = LocalDirectory(state_directory, kernel)
        self._others = others
        self._key: Ed25519PrivateKey | None = None
        self._lock = threading.Lock()

    def sign(self, data: bytes) -> Signature:
        """
        Sign bytes; makes the key where there is none.

        Returns:
            A signature that names this installation.

        Raises:
            InvalidRequestError: Others may read the key's file, or it holds no such key.
            StorageError: The file can neither be read nor made.
        """
        key = self._own_key()
        return Signature(_public_text(key.public_key()), base64.b64encode(key.sign(data)).decode())

    def verify(self, data: bytes, signature: Signature, *, accepted: Collection[str] = ()) -> str:
        """
        Prove that a known signer has signed these bytes.

        Args:
            data: The bytes.
            signature: Of them, as somebody claims.
            accepted: Ids or public keys of signers that are believed this time.

        Returns:
            The signer's id.

        Raises:
            InvalidRequestError: A known signer makes no sense.
            SignatureMismatchError: The bytes were changed, or it is no signature at all.
            StorageError: The own key cannot be read.
            UnknownSignerError: Nobody here knows the signer; whether it is one of these bytes is not said.
        """
        key = _public_key(signature.signer)
        if key is None:
            raise SignatureMismatchError("the signature names no public key of Ed25519")
        signer_id = _id_of(key)
        known = {signer.key for signer in self.known()}
        if signature.signer not in known and not {signer_id, signature.signer} & {*accepted}:
            raise UnknownSignerError(
                f"signed by {signer_id}, which is not known here",
                hint=f"Compare its public key, {signature.signer}, with the recovery sheet; then add it to"
                f" {VARIABLE}, or take it once with --accept-signer {signer_id}.",
            )
        value = _decoded(signature.value)
        try:
            key.verify(value or b"", data)
        except InvalidSignature as exc:
            raise SignatureMismatchError(
                f"the signature of {signer_id} is not one of these bytes",
                hint="They were changed after they were signed; restore from another backup or copy.",
            ) from exc
        return signer_id

    def own(self) -> Signer:
        """Return this installation as a signer; makes its key where there is none; raises as `sign` does."""
        return _signer(self._own_key().public_key(), is_own=True)

    def find_own(self) -> Signer | None:
        """Return this installation as a signer; None when it has no key yet; raises as `sign` does."""
        return self.own() if self._key or self._directory.exists(KEY_FILE) else None

    def known(self) -> tuple[Signer, ...]:
        """
        Return whose signatures are taken.

        Returns:
            This installation first, if it has a key; each once.

        Raises:
            InvalidRequestError: A public key of the setting makes no sense, or the own file.
            StorageError: The own key cannot be read.
        """
        own = self.find_own()
        found = {own.key: own} if own else {}
        for number, text in enumerate(self._others.split(), start=1):
            key = _public_key(text)
            if key is None:
                raise InvalidRequestError(
                    f"{VARIABLE}: key {number} is no public key of Ed25519",
                    hint="'backstay key show' prints that of an installation: 60 characters.",
                )
            found.setdefault(text, _signer(key, is_own=False))
        return tuple(found.values())

    def _own_key(self) -> Ed25519PrivateKey:
        with self._lock:
            if self._key is None:
                self._key = self._load()
            return self._key

    def _load(self) -> Ed25519PrivateKey:
        directory = self._directory
        if not directory.exists(KEY_FILE):
            directory.prepare()
            with directory.locked():
                if not directory.exists(KEY_FILE):
                    directory.replace(KEY_FILE, _private_pem(Ed25519PrivateKey.generate()))
        require_private(
            directory,
            KEY_FILE,
            hint="Run 'chmod 600' on it; if somebody may have read it, remove it, and tell whoever knows"
            " its public key.",
        )
        try:
            key = load_pem_private_key(directory.read(KEY_FILE, _MAX_FILE_BYTES), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidRequestError(
                f"{KEY_FILE}: no private key of Ed25519",
                hint="Put the right one back; or remove it, and a new one is made, which nobody knows yet.",
            )
        return key


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _signer(key: Ed25519PublicKey, *, is_own: bool) -> Signer:
    return Signer(_id_of(key), _public_text(key), is_own)


def _id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_DIGITS]


def _public_text(key: Ed25519PublicKey) -> str:
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(data).decode()


def _public_key(text: str) -> Ed25519PublicKey | None:
    """Read a public key in its one form; None when it is none."""
    data = _decoded(text)
    if data is None or not data.startswith(_PREFIX) or len(data) != len(_PREFIX) + _KEY_BYTES:
        return None
    return Ed25519PublicKey.from_public_bytes(data.removeprefix(_PREFIX))


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text[:_LONGEST], validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None
