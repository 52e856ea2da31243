"""
The envelope: what lies beside an encrypted data file in the place of its manifest.

    {"format":"backstay-encrypted", ... ,"manifest":"<age, base64>"      line 1: what was signed, and a comma
    "signature":{"signer":"...","value":"..."},                          line 2
    "manifest_sha256":"..."}                                             line 3

The manifest is encrypted, since key ranges and names are data. In the clear stands what somebody needs who
looks after backups that he cannot read: which, when, how large, for whom, and who has signed it.
"""

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from app.domain.backups.formats import ENVELOPE_FORMAT, ENVELOPE_VERSION, require_format
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import seal, unseal
from app.domain.ids import BackupId
from app.domain.keys import Signature
from app.errors import ManifestError


_SIGNATURE: Final = b',\n"signature":'


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
        manifest: The manifest, encrypted for the same, in base64.
    """

    backup_id: BackupId
    file: str
    created_at: datetime
    size: int
    checksum: str
    server_id: str
    recipients: tuple[str, ...]
    manifest: str
    format: str = ENVELOPE_FORMAT
    format_version: int = ENVELOPE_VERSION

    @classmethod
    def around(cls, manifest: Manifest, encrypted: bytes) -> "Envelope":
        """Take from a manifest what may be known, and put its encrypted bytes in."""
        return cls(
            backup_id=manifest.backup_id,
            file=manifest.file,
            created_at=manifest.created_at,
            size=manifest.size,
            checksum=manifest.checksum,
            server_id=manifest.server.server_id,
            recipients=manifest.recipients,
            manifest=b64encode(encrypted).decode(),
        )

    def encrypted_manifest(self, *, source: str) -> bytes:
        """Return the encrypted bytes of the manifest; raises ManifestError."""
        try:
            return b64decode(self.manifest, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ManifestError(f"{source}: manifest: not base64") from exc

    def describes(self, manifest: Manifest) -> bool:
        """Tell whether it is the envelope of this manifest."""
        return replace(Envelope.around(manifest, b""), manifest=self.manifest) == self


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    """
    An envelope as it was read; what it says is a claim before the signature is verified.

    Attributes:
        signed: The bytes that were signed.
    """

    envelope: Envelope
    signed: bytes
    signature: Signature


_ADAPTER: Final = TypeAdapter(Envelope)
_SIGNATURE_ADAPTER: Final = TypeAdapter(Signature)


def signed_bytes(envelope: Envelope) -> bytes:
    """Return the bytes of an envelope that are signed: its first line, but for the comma."""
    return _ADAPTER.dump_json(envelope)[:-1]


def write_envelope(signed: bytes, signature: Signature) -> bytes:
    """Encode an envelope with its signature, sealed by its own checksum."""
    return seal(signed + _SIGNATURE + _SIGNATURE_ADAPTER.dump_json(signature) + b"}")


def read_envelope(data: bytes, *, source: str) -> SignedEnvelope:
    """
    Decode an envelope; its signature is not verified yet.

    Args:
        data: What `write_envelope` made, byte for byte.
        source: Name for messages.

    Returns:
        It, with what is to be verified.

    Raises:
        ChecksumMismatchError: A byte of it was changed.
        ManifestError: Of a newer format, or a key is missing or of the wrong type.
    """
    signed, found, signature = unseal(data, source=source).rpartition(_SIGNATURE)
    body = signed + b"}"
    require_format(body, source=source, name=ENVELOPE_FORMAT, newest=ENVELOPE_VERSION)
    try:
        return SignedEnvelope(
            _ADAPTER.validate_json(body),
            signed,
            _SIGNATURE_ADAPTER.validate_json(signature[:-1]),
        )
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) if found else "signature"
        raise ManifestError(f"{source}: {where}: {first['msg']}") from exc
