"""The manifest as JSON, sealed by its own checksum; what else is published beside a data file is sealed alike."""

import hashlib
from typing import Final

from pydantic import ValidationError

from app.domain.backups.formats import require_format
from app.domain.backups.manifest import Manifest
from app.domain.backups.thinning import filled, thinned
from app.domain.document import adapter_of
from app.errors import ChecksumMismatchError, ManifestError


# A manifest of 10,000 tables takes about 10 MB; a larger file than this is not ours.
MAX_MANIFEST_BYTES: Final = 1 << 30
_SEAL_PREFIX = b',\n"manifest_sha256":"'
_SEAL_SUFFIX = b'"}\n'
SEAL_BYTES: Final = len(_SEAL_PREFIX) + 64 + len(_SEAL_SUFFIX)


def to_json(manifest: Manifest) -> bytes:
    """
    Encode a manifest with its own checksum as the last key.

    Returns:
        UTF-8 JSON, one object, one line break at the end. `manifest_sha256` is the digest of every
        byte before its own separating comma, so that a single flipped byte anywhere is seen.
    """
    return seal(adapter_of(Manifest).dump_json(thinned(manifest)))


def seal(document: bytes) -> bytes:
    """Put the checksum of a JSON object into it, as its last key."""
    body = memoryview(document)[:-1]
    digest = hashlib.sha256(body).hexdigest().encode()
    return b"".join((body, _SEAL_PREFIX, digest, _SEAL_SUFFIX))


def unseal(data: bytes, *, source: str) -> bytes:
    """Return the JSON object that was sealed; raises ChecksumMismatchError."""
    check_seal(data, source=source)
    return b"".join((memoryview(data)[:-SEAL_BYTES], b"}"))


def from_json(data: bytes, *, source: str) -> Manifest:
    """
    Decode and check a manifest.

    Args:
        data: What `to_json` made, byte for byte.
        source: Name for messages.

    Returns:
        The manifest that was written.

    Raises:
        ChecksumMismatchError: A byte of it was changed; raised before anything else is read.
        ManifestError: Of a newer format, or a key is missing or of the wrong type.
    """
    return decode(unseal(data, source=source), source=source)


def check_seal(data: bytes, *, source: str) -> None:
    """
    Check the bytes of a manifest, and nothing else.

    Raises:
        ChecksumMismatchError: A byte of it was changed.
    """
    body, seal = memoryview(data)[:-SEAL_BYTES], data[-SEAL_BYTES:]
    expected = _SEAL_PREFIX + hashlib.sha256(body).hexdigest().encode() + _SEAL_SUFFIX
    if seal != expected:
        raise ChecksumMismatchError(
            f"{source}: the manifest's own checksum does not match",
            hint="Rebuild it from the backup file with 'backstay catalog rebuild'.",
        )


def decode(body: bytes, *, source: str) -> Manifest:
    """
    Decode the JSON of a manifest whose bytes are known to be whole.

    Returns:
        The manifest, every key of the right type.

    Raises:
        ManifestError: Not ours, of a newer format, or a key is missing or of the wrong type.
    """
    require_format(body, source=source)
    try:
        manifest = adapter_of(Manifest).validate_json(body)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ManifestError(f"{source}: {where}: {first['msg']}") from exc
    return filled(manifest, source=source)
