"""Whose document some JSON is, and of which version; checked before anything else of its keys."""

from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from app.errors import ManifestError


FORMAT: Final = "backstay"
FORMAT_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class _Head:
    format: object = None
    format_version: object = None


# Not json.loads: of a manifest of ten thousand tables that makes objects of 130 MB.
_ADAPTER: Final = TypeAdapter(_Head)


def require_format(body: bytes, *, source: str) -> None:
    """
    Refuse what this program cannot understand; other keys are passed over.

    Raises:
        ManifestError: Not JSON, not a manifest of ours, or of a newer format.
    """
    try:
        head = _ADAPTER.validate_json(body)
    except ValidationError as exc:
        raise ManifestError(f"{source}: not a manifest of this program") from exc
    if head.format != FORMAT:
        raise ManifestError(f"{source}: not a manifest of this program")
    version = head.format_version
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ManifestError(
            f"{source}: format version {version!r} is newer than {FORMAT_VERSION}",
            hint="Use the version of this program that wrote it, or a newer one.",
        )
