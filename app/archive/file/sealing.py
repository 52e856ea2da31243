"""
Manifests as they are published: as they are, or encrypted and signed in an envelope.

Which of both is told by the name of the data file alone. All calls block.
"""

from dataclasses import dataclass

from app.age.encryptor import encrypt
from app.age.reader import decrypt
from app.archive.file.keys import ArchiveKeys, identities_of
from app.archive.publishing.places import BackupDirectory
from app.domain.backups import envelope as envelopes
from app.domain.backups.envelope import ENVELOPE_HEAD_BYTES, Envelope
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import MAX_MANIFEST_BYTES, from_json, to_json
from app.errors import ManifestError
from app.storage.layout import BackupName


@dataclass(frozen=True, slots=True)
class Sealed:
    """
    An envelope whose signature is right, and whose manifest is the one that was signed.

    Attributes:
        signer: Id of who has signed it.
        encrypted: The manifest in it.
        data: The bytes of its file.
    """

    envelope: Envelope
    signer: str
    encrypted: bytes
    data: bytes


def write_manifest(manifest: Manifest, keys: ArchiveKeys) -> bytes:
    """
    Encode a manifest for publication.

    Args:
        manifest: With recipients, it is encrypted for those of `keys`.
        keys: Encrypt and sign.

    Returns:
        The bytes of its file.

    Raises:
        InvalidRequestError: A key makes no sense.
        StorageError: The signing key can neither be read nor made.
    """
    data = to_json(manifest)
    if not manifest.recipients:
        return data
    encrypted = encrypt(data, keys.recipients())
    signed = envelopes.signed_bytes(Envelope.around(manifest, encrypted))
    return envelopes.write_envelope(signed, keys.sign(signed), encrypted)


def read_manifest(directory: BackupDirectory, name: BackupName, keys: ArchiveKeys) -> Manifest:
    """
    Read what is published beside a data file.

    Args:
        directory: Where it lies.
        name: Of the backup.
        keys: Verify and decrypt.

    Returns:
        The manifest, which belongs to this name.

    Raises:
        ChecksumMismatchError: A byte of it was changed.
        DecryptionFailedError: The same, of what is encrypted in it.
        ManifestError: Of a newer format, or of another backup.
        NoIdentityError: It is encrypted for others.
        SignatureMismatchError: Somebody has changed it.
        StorageError: It cannot be read.
        UnknownSignerError: Nobody here knows who made it.
    """
    if not name.is_encrypted:
        return decode_manifest(directory.read(name.manifest, MAX_MANIFEST_BYTES), name)
    sealed = read_envelope(directory, name, keys)
    identities = identities_of(keys, source=name.manifest)
    plain = decrypt(sealed.encrypted, identities, source=name.manifest)
    manifest = decode_manifest(plain, name)
    if not sealed.envelope.describes(manifest):
        raise ManifestError(f"{name.manifest}: its envelope describes another backup")
    return manifest


def read_envelope(directory: BackupDirectory, name: BackupName, keys: ArchiveKeys) -> Sealed:
    """
    Read the envelope of an encrypted backup, and verify it; needs no identity.

    Returns:
        It. Whoever can write there cannot make us read more than its beginning: the signature is proven by
        that, and says how long the rest is.

    Raises:
        ChecksumMismatchError: A byte of it was changed.
        ManifestError: Of a newer format, or of another backup.
        SignatureMismatchError: Somebody has changed it.
        StorageError: It cannot be read.
        UnknownSignerError: Nobody here knows who made it.
    """
    data = directory.head(name.manifest, ENVELOPE_HEAD_BYTES)
    found = envelopes.read_head(data, source=name.manifest)
    signer = keys.verify(found.signed, found.signature)
    _require_name(name, found.envelope.file, found.envelope.backup_id)
    if len(data) == ENVELOPE_HEAD_BYTES:
        data = directory.head(name.manifest, found.total_bytes + 1)
    encrypted = found.encrypted_manifest(data, source=name.manifest)
    return Sealed(found.envelope, signer, encrypted, data)


def decode_manifest(data: bytes, name: BackupName) -> Manifest:
    """Decode the manifest of a backup; raises ChecksumMismatchError, ManifestError."""
    manifest = from_json(data, source=name.manifest)
    _require_name(name, manifest.file, manifest.backup_id)
    return manifest


def _require_name(name: BackupName, file: str, backup_id: str) -> None:
    if (file, backup_id) != (name.file, name.backup_id):
        raise ManifestError(f"{name.manifest}: is the manifest of {file[:120]!r}")
