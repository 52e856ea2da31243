"""Base64 without padding, in its one canonical form: a text that says the same in another way is refused."""

import base64
import binascii

from app.age.malformed import MalformedError


def encode(data: bytes) -> str:
    """Encode bytes, without `=` at the end."""
    return base64.b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    """
    Decode what `encode` made.

    Returns:
        The bytes, of which `text` is the only form that is taken.

    Raises:
        MalformedError: Another character, padding, or bits that belong to no byte.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("not base64") from exc
    if encode(data) != text:
        raise MalformedError("base64 that is not canonical")
    return data
