"""
ASCII armor: an encrypted file as text, strictly, so that a file has one form but for its line ends.

Source: https://www.rfc-editor.org/rfc/rfc7468 section 3, figure 3; white space around it is let pass.
"""

import base64
import binascii
from typing import Final

from app.age.malformed import MalformedError


_BEGIN: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_END: Final = b"-----END AGE ENCRYPTED FILE-----"
_COLUMNS: Final = 64


def is_armored(data: bytes) -> bool:
    """Tell whether bytes begin as armor does."""
    return data.lstrip().startswith(_BEGIN)


def armor(data: bytes) -> bytes:
    """Write an encrypted file as lines of ASCII."""
    text = base64.b64encode(data)
    lines = [text[at : at + _COLUMNS] for at in range(0, len(text), _COLUMNS)]
    return b"\n".join([_BEGIN, *lines, _END, b""])


def dearmor(data: bytes) -> bytes:
    """
    Read the encrypted file out of its armor.

    Returns:
        Its bytes, which nobody has looked at yet.

    Raises:
        MalformedError: Something else than armor in its one form.
    """
    lines = [line.removesuffix(b"\r") for line in data.strip().split(b"\n")]
    first, *body, last = lines if len(lines) > 1 else (b"", b"")
    if (first, last) != (_BEGIN, _END):
        raise MalformedError("armor: its first or last line is missing")
    if any(len(line) != _COLUMNS for line in body[:-1]) or not all(body):
        raise MalformedError(f"armor: a line has not {_COLUMNS} columns")
    if body and len(body[-1]) > _COLUMNS:
        raise MalformedError(f"armor: its last line has more than {_COLUMNS} columns")
    text = b"".join(body)
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedError("armor: not base64") from exc
    if base64.b64encode(decoded) != text:
        raise MalformedError("armor: base64 that is not canonical")
    return decoded
