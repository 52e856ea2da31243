"""Bytes are not what was promised."""

from app.errors.root import AppError


class IntegrityError(AppError):
    """Bytes are not what the manifest promised."""

    code = "integrity"
    title = "Integrity error"


class ChecksumMismatchError(IntegrityError):
    """The digest of stored bytes differs from the manifest's."""

    code = "checksum-mismatch"
    title = "Checksum mismatch"


class TruncatedFileError(ChecksumMismatchError):
    """The file is shorter or longer than the manifest says."""

    code = "truncated-file"


class ManifestError(IntegrityError):
    """The manifest is unreadable, contradicts itself, or is of a newer format."""

    code = "manifest"
    title = "Manifest unusable"


class JournalDamagedError(IntegrityError):
    """The journal of a restore is unreadable, or of another version of the program."""

    code = "journal-damaged"
    title = "Journal of a restore damaged"


class ProofFailedError(IntegrityError):
    """The restored data was read back and is not what was backed up."""

    code = "proof-failed"
    title = "Restore not proven"


class RecoverMismatchError(IntegrityError):
    """What was replayed is not what the binary log holds up to the point."""

    code = "recover-mismatch"
    title = "Recovered state differs"


class AuditBrokenError(IntegrityError):
    """A line of the audit is missing, or is not what was written."""

    code = "audit-broken"
    title = "Audit broken"


class DecryptionFailedError(IntegrityError):
    """Encrypted bytes were changed or cut, or are not in the age format."""

    code = "decryption-failed"
    title = "Decryption failed"


class SignatureMismatchError(IntegrityError):
    """The signature is not one of these bytes by the signer that it names."""

    code = "signature-mismatch"
    title = "Signature does not match"


class BinlogDamagedError(IntegrityError):
    """The archive of the binary log is not what was written."""

    code = "binlog-damaged"
    title = "Archive of the binary log damaged"
