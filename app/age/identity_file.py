"""Files of identities, as `age-keygen` writes them, and `age -p` protects them with a passphrase."""

from datetime import datetime
from typing import Final

from app.age.armor import armor, dearmor, is_armored
from app.age.encryptor import encrypt
from app.age.malformed import MalformedError
from app.age.passphrase import WORK_FACTOR, Passphrase
from app.age.reader import decrypt, translated
from app.age.x25519 import Identity


# Hundreds of identities.
MAX_IDENTITY_FILE_BYTES: Final = 64 << 10
_MARK: Final = b"age-encryption.org/"


def is_protected(data: bytes) -> bool:
    """Tell whether a passphrase is needed to read a file of identities."""
    return is_armored(data) or data.startswith(_MARK)


def unprotected(data: bytes, passphrase: str, *, source: str) -> bytes:
    """
    Decrypt a file of identities; it takes a second.

    Args:
        data: The file, armored or not.
        passphrase: Opens it.
        source: Name for messages.

    Returns:
        The file as it was before.

    Raises:
        DecryptionFailedError: It is damaged.
        NoIdentityError: The passphrase is another one.
    """
    with translated(source):
        stored = dearmor(data) if is_armored(data) else data
    return decrypt(stored, [Passphrase(passphrase)], source=source)


def protected(data: bytes, passphrase: str, *, work_factor: int = WORK_FACTOR) -> bytes:
    """Encrypt a file of identities with a passphrase, as text that can be printed and typed."""
    return armor(encrypt(data, [Passphrase(passphrase, work_factor=work_factor)]))


def parse_identities(data: bytes) -> tuple[Identity, ...]:
    """
    Read the identities of a file.

    Args:
        data: One a line; empty ones and comments, which begin with `#`, are passed over.

    Returns:
        At least one.

    Raises:
        MalformedError: A line is none, named by its number; or there is no identity.
    """
    found: list[Identity] = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            found.append(Identity.parse(text.decode("ascii", errors="replace")))
        except MalformedError as exc:
            raise MalformedError(f"line {number}: {exc}") from exc
    if not found:
        raise MalformedError("no identity in it")
    return tuple(found)


def write_identity(identity: Identity, created: datetime) -> bytes:
    """Write the file of a new identity, as `age-keygen` does."""
    lines = (
        f"# created: {created:%Y-%m-%dT%H:%M:%SZ}",
        f"# public key: {identity.recipient}",
        identity.secret_text(),
        "",
    )
    return "\n".join(lines).encode()
