"""
The secrets that sign access tokens, found by `kid`.

Another application that signs tokens for this one knows the secret, and computes its `kid` as
`printf 'backstay-kid:%s' "$SECRET" | sha256sum | cut -c1-16`.
"""

import hashlib
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.errors import InvalidRequestError
from app.storage.kernel import KERNEL, Kernel
from app.storage.local import LocalDirectory


SECRET_FILE: Final = "jwt.secret"  # noqa: S105 - the name of a file
VARIABLE: Final = "BACKSTAY_JWT_SECRET"
# RFC 7518, 3.2: a key for HS256 is as long as its digest, or longer.
_MIN_BYTES: Final = 32
_KID_PREFIX: Final = b"backstay-kid:"
_KID_DIGITS: Final = 16
# Some hundreds of secrets; nobody keeps more.
_MAX_FILE_BYTES: Final = 64 << 10


class KeyRing:
    """
    Secrets by `kid`: one that signs, and older ones that are still accepted.

    Attributes:
        current: `kid` of the secret that signs.
        secrets: All of them.
    """

    def __init__(
        self, current: bytes, older: Sequence[bytes] = (), *, source: str = VARIABLE
    ) -> None:
        """
        Check the secrets.

        Args:
            current: Signs new tokens.
            older: Still accepted.
            source: What messages call the place where they come from.

        Raises:
            InvalidRequestError: One is too short.
        """
        for number, secret in enumerate((current, *older), start=1):
            require_secret(secret, f"{source}: secret {number}" if older else source)
        self.current = kid_of(current)
        self.secrets: Mapping[str, bytes] = {kid_of(secret): secret for secret in (*older, current)}


def kid_of(secret: bytes) -> str:
    """Compute the `kid` of a secret, 16 hexadecimal digits, which tell nothing of it."""
    return hashlib.sha256(_KID_PREFIX + secret).hexdigest()[:_KID_DIGITS]


def load_key_ring(
    secret: str, old_secrets: str, state_directory: Path, kernel: Kernel = KERNEL
) -> KeyRing:
    """
    Put the secrets of this installation together; makes one when there is none.

    Args:
        secret: Signs; empty = those of the file `jwt.secret`, one a line, of which the first signs.
        old_secrets: Still accepted, separated by white space.
        state_directory: Where the file is, or is made.
        kernel: Where system calls go.

    Returns:
        The same ring in every process that starts with the same settings, also when two start at
        once.

    Raises:
        InvalidRequestError: A secret is too short, or others may read the file.
        StorageError: The file can neither be read nor made.
    """
    # Bytes of a variable that are not UTF-8 come back as they were.
    older = [text.encode(errors="surrogateescape") for text in old_secrets.split()]
    if secret:
        return KeyRing(secret.encode(errors="surrogateescape"), older)
    current, *others = read_secrets(LocalDirectory(state_directory, kernel), SECRET_FILE)
    return KeyRing(current, [*others, *older], source=SECRET_FILE)


def read_secrets(directory: LocalDirectory, name: str) -> list[bytes]:
    """
    Read the secrets of a file, one a line; makes one when there is no file.

    Returns:
        At least one.

    Raises:
        InvalidRequestError: Others may read it, or it is empty.
        StorageError: It can neither be read nor made.
    """
    if not directory.exists(name):
        directory.prepare()
        with directory.locked():
            if not directory.exists(name):
                directory.replace(name, secrets.token_hex(_MIN_BYTES).encode() + b"\n")
    require_private(
        directory,
        name,
        hint="Run 'chmod 600' on it, and put a new secret into it if somebody may have read it.",
    )
    found = directory.read(name, _MAX_FILE_BYTES).split()
    if not found:
        raise InvalidRequestError(
            f"{name}: empty", hint="Remove it, and a new secret is made at the next start."
        )
    return found


def require_private(directory: LocalDirectory, name: str, *, hint: str) -> None:
    """Refuse a file that others than its owner may read or write; raises InvalidRequestError."""
    facts = directory.stat(name)
    if facts is not None and stat.S_IMODE(facts.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidRequestError(f"{name}: others than its owner may read or write it", hint=hint)


def require_secret(secret: bytes, name: str) -> None:
    """Refuse a secret that is too short; raises InvalidRequestError with the name of its place."""
    if len(secret.strip()) < _MIN_BYTES:
        raise InvalidRequestError(
            f"{name}: shorter than {_MIN_BYTES} bytes",
            hint="Set it to the output of 'openssl rand -hex 32', or leave it out.",
        )
