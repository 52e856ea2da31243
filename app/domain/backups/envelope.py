"""
The envelope: what lies beside an encrypted data file in the place of its manifest.

    {"format":"backstay-encrypted", ...          line 1: what is signed, and a comma
    "signature":{"signer":"...","value":"..."},  line 2
    "manifest":"<age, base64>",                  line 3
    "manifest_sha256":"..."}                     line 4

The manifest is encrypted, since key ranges and names are data. In the clear stands what somebody needs who
looks after backups that he cannot read: which, when, how large, for whom, and who has signed it. The signature
covers size and digest of the manifest too, so that no more than the beginning is read of what is not signed.
"""

import binascii
import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from app.domain.backups.formats import ENVELOPE_FORMAT, ENVELOPE_VERSION, require_format
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import SEAL_BYTES, check_seal, seal
from app.domain.document import adapter_of
from app.domain.ids import BackupId
from app.domain.keys import Signature
from app.errors import ChecksumMismatchError, ManifestError


# Both first lines are in it, with the ids of a hundred recipients; most envelopes are, as a whole.
ENVELOPE_HEAD_BYTES: Final = 64 << 10
_SIGNATURE: Final = b',\n"signature":'
_MANIFEST: Final = b',\n"manifest":"'
_END: Final = b'"}'


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    What is known of an encrypted backup without an identity.

    Attributes:
        file: Name of its data file.
        created_at: Aware UTC instant.
        size: Bytes of the data file, as it is stored.
        checksum: SHA-256 of these bytes.
        server_id: The same for backups of the same server; empty = not noted.
        recipients: Ids of those for whom it is encrypted.
        manifest_size: Bytes of the manifest, encrypted for the same.
        manifest_checksum: SHA-256 of these bytes.
    """

    backup_id: BackupId
    file: str
    created_at: datetime
    size: int
    checksum: str
    server_id: str
    recipients: tuple[str, ...]
    manifest_size: int
    manifest_checksum: str
    format: str = ENVELOPE_FORMAT
    format_version: int = ENVELOPE_VERSION

    @classmethod
    def around(cls, manifest: Manifest, encrypted: bytes) -> "Envelope":
        """Take from a manifest what may be known, and note its encrypted bytes."""
        return cls(
            backup_id=manifest.backup_id,
            file=manifest.file,
            created_at=manifest.created_at,
            size=manifest.size,
            checksum=manifest.checksum,
            server_id=manifest.server.server_id,
            recipients=manifest.recipients,
            manifest_size=len(encrypted),
            manifest_checksum=hashlib.sha256(encrypted).hexdigest(),
        )

    def describes(self, manifest: Manifest) -> bool:
        """Tell whether it is the envelope of this manifest."""
        size, checksum = self.manifest_size, self.manifest_checksum
        described = Envelope.around(manifest, b"")
        return replace(described, manifest_size=size, manifest_checksum=checksum) == self


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    """
    An envelope as it was read; what it says is a claim before the signature is verified.

    Attributes:
        signed: The bytes that were signed.
        start: Bytes before the base64 of the manifest.
    """

    envelope: Envelope
    signed: bytes
    signature: Signature
    start: int

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole file."""
        return self.start + self._text_bytes + len(_END) - 1 + SEAL_BYTES

    @property
    def _text_bytes(self) -> int:
        return (self.envelope.manifest_size + 2) // 3 * 4

    def encrypted_manifest(self, data: bytes, *, source: str) -> bytes:
        """
        Take the encrypted bytes of the manifest out of the whole file.

        Args:
            data: The whole file.
            source: Name for messages.

        Returns:
            The bytes that were signed by their size and digest.

        Raises:
            ChecksumMismatchError: It is another file, or a byte of it was changed.
        """
        check_seal(data, source=source)
        try:
            text = memoryview(data)[self.start : self.start + self._text_bytes]
            encrypted = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            encrypted = b""
        is_same = data.startswith(self.signed) and len(data) == self.total_bytes
        if not is_same or hashlib.sha256(encrypted).hexdigest() != self.envelope.manifest_checksum:
            raise ChecksumMismatchError(
                f"{source}: the manifest in it is not the one that was signed",
                hint="It was damaged or changed; take it from another copy.",
            )
        return encrypted


def signed_bytes(envelope: Envelope) -> bytes:
    """Return the bytes of an envelope that are signed: its first line, but for the comma."""
    return adapter_of(Envelope).dump_json(envelope)[:-1]


def write_envelope(signed: bytes, signature: Signature, encrypted: bytes) -> bytes:
    """Encode an envelope with its signature and the manifest in it, sealed by its own checksum."""
    parts = (
        _SIGNATURE,
        adapter_of(Signature).dump_json(signature),
        _MANIFEST,
        b64encode(encrypted),
    )
    return seal(b"".join((signed, *parts, _END)))


def read_head(data: bytes, *, source: str) -> SignedEnvelope:
    """
    Decode the beginning of an envelope; its signature is not verified yet.

    Args:
        data: The first bytes of what `write_envelope` made, `ENVELOPE_HEAD_BYTES` or all.
        source: Name for messages.

    Returns:
        It, with what is to be verified.

    Raises:
        ManifestError: Of a newer format, or a key is missing or of the wrong type.
    """
    head, _, _ = data.partition(_MANIFEST)
    signed, found, signature = head.partition(_SIGNATURE)
    body = signed + b"}"
    require_format(body, source=source, name=ENVELOPE_FORMAT, newest=ENVELOPE_VERSION)
    try:
        return SignedEnvelope(
            adapter_of(Envelope).validate_json(body),
            signed,
            adapter_of(Signature).validate_json(signature),
            len(head) + len(_MANIFEST),
        )
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) if found else "signature"
        raise ManifestError(f"{source}: {where}: {first['msg']}") from exc
