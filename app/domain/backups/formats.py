"""Whose document some JSON is, and of which version; checked before anything else of its keys."""

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from app.domain.document import adapter_of
from app.errors import ManifestError


FORMAT: Final = "backstay"
# The newest that is understood.
FORMAT_VERSION: Final = 3
# The first with small tables that share members, and with statements that only the digest of one proves.
SHARING_VERSION: Final = 2
# The first whose index leaves out what follows from what stands before it.
THIN_VERSION: Final = 3
# Of the envelope around an encrypted manifest.
ENVELOPE_FORMAT: Final = "backstay-encrypted"
ENVELOPE_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class _Head:
    format: object = None
    format_version: object = None


def require_format(
    body: bytes, *, source: str, name: str = FORMAT, newest: int = FORMAT_VERSION
) -> None:
    """
    Refuse what this program cannot understand; other keys are passed over.

    Args:
        body: JSON of an object.
        source: Name for messages.
        name: Format that is expected.
        newest: The last version of it that is understood.

    Raises:
        ManifestError: Not JSON, not a manifest of ours, or of a newer format.
    """
    try:
        # Not json.loads: of a manifest of ten thousand tables that makes objects of 130 MB.
        head = adapter_of(_Head).validate_json(body)
    except ValidationError as exc:
        raise ManifestError(f"{source}: not a manifest of this program") from exc
    if head.format != name:
        raise ManifestError(f"{source}: not a manifest of this program")
    version = head.format_version
    if not isinstance(version, int) or version > newest:
        raise ManifestError(
            f"{source}: format version {version!r} is newer than {newest}",
            hint="Use the version of this program that wrote it, or a newer one.",
        )
