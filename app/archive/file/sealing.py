"""
Manifests as they are published: as they are, or encrypted and signed in an envelope.

Which of both is told by the name of the data file alone. All calls block.
"""

from app.age.encryptor import encrypt
from app.age.reader import decrypt
from app.archive.file.keys import ArchiveKeys, identities_of
from app.domain.backups import envelope as envelopes
from app.domain.backups.envelope import Envelope
from app.domain.backups.manifest import Manifest
from app.domain.backups.seal import from_json, to_json
from app.errors import ManifestError
from app.storage.layout import BackupName


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
    signed = envelopes.signed_bytes(Envelope.around(manifest, encrypt(data, keys.recipients())))
    return envelopes.write_envelope(signed, keys.sign(signed))


def read_manifest(data: bytes, name: BackupName, keys: ArchiveKeys) -> Manifest:
    """
    Decode what is published beside a data file.

    Args:
        data: The bytes of its file.
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
        UnknownSignerError: Nobody here knows who made it.
    """
    if not name.is_encrypted:
        return _of(name, from_json(data, source=name.manifest))
    envelope, _ = read_envelope(data, name, keys)
    stored = envelope.encrypted_manifest(source=name.manifest)
    plain = decrypt(stored, identities_of(keys, source=name.manifest), source=name.manifest)
    manifest = _of(name, from_json(plain, source=name.manifest))
    if not envelope.describes(manifest):
        raise ManifestError(f"{name.manifest}: its envelope describes another backup")
    return manifest


def read_envelope(data: bytes, name: BackupName, keys: ArchiveKeys) -> tuple[Envelope, str]:
    """
    Decode the envelope of an encrypted backup, and verify it; needs no identity.

    Returns:
        It, and the id of its signer.

    Raises:
        ChecksumMismatchError: A byte of it was changed.
        ManifestError: Of a newer format, or of another backup.
        SignatureMismatchError: Somebody has changed it.
        UnknownSignerError: Nobody here knows who made it.
    """
    found = envelopes.read_envelope(data, source=name.manifest)
    signer = keys.verify(found.signed, found.signature)
    _require_name(name, found.envelope.file, found.envelope.backup_id)
    return found.envelope, signer


def _of(name: BackupName, manifest: Manifest) -> Manifest:
    _require_name(name, manifest.file, manifest.backup_id)
    return manifest


def _require_name(name: BackupName, file: str, backup_id: str) -> None:
    if (file, backup_id) != (name.file, name.backup_id):
        raise ManifestError(f"{name.manifest}: is the manifest of {file[:120]!r}")
