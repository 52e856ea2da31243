"""A passphrase by scrypt: for files that people keep, such as identities; never for backups."""

import re
import secrets
from typing import Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from app.age import unpadded
from app.age.header import PASSPHRASE_KIND, Stanza
from app.age.malformed import MalformedError
from app.age.wrapping import unwrap, wrap


# What `age -p` takes: 256 MiB and most of a second for each guess.
WORK_FACTOR: Final = 18
# 1 GiB for as long as it takes: no file may ask for more.
_MOST_WORK: Final = 20
_BLOCKS: Final = 8
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_ARGUMENTS: Final = 3
_WORK: Final = re.compile(r"[1-9][0-9]?")


class Passphrase:
    """Encrypts and decrypts what it alone opens; shows itself nowhere."""

    def __init__(self, text: str, *, work_factor: int = WORK_FACTOR) -> None:
        """
        Keep a passphrase.

        Args:
            text: Of which each character counts.
            work_factor: What a guess costs, as a power of two; for writing, 1 to 20.
        """
        # Bytes of a variable that are not UTF-8 come back as they were.
        self._secret = text.encode(errors="surrogateescape")
        self._work_factor = work_factor

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap the key of a file under a new salt; it takes a second."""
        salt = secrets.token_bytes(_SALT_BYTES)
        arguments = (PASSPHRASE_KIND, unpadded.encode(salt), str(self._work_factor))
        return Stanza(arguments, wrap(self._key(salt, self._work_factor), file_key))

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """
        Unwrap the key of a file; it takes as long as whoever wrote it wanted.

        Returns:
            16 bytes; None when it is for another passphrase, or for none.

        Raises:
            MalformedError: Not as it should be, or it asks for more work than anybody should.
        """
        if stanza.kind != PASSPHRASE_KIND:
            return None
        if len(stanza.arguments) != _ARGUMENTS:
            raise MalformedError("header: a stanza of scrypt without a salt and a work factor")
        salt = unpadded.decode(stanza.arguments[1])
        work = stanza.arguments[2]
        if len(salt) != _SALT_BYTES or not _WORK.fullmatch(work) or int(work) > _MOST_WORK:
            raise MalformedError(
                f"header: a stanza of scrypt with a wrong salt, or a work factor above {_MOST_WORK}"
            )
        # The length of the body is looked at before, so that it costs nothing.
        unwrap(bytes(_KEY_BYTES), stanza.body)
        return unwrap(self._key(salt, int(work)), stanza.body)

    def _key(self, salt: bytes, work_factor: int) -> bytes:
        """Derive the key; other threads go on meanwhile."""
        scrypt = Scrypt(salt=_LABEL + salt, length=_KEY_BYTES, n=1 << work_factor, r=_BLOCKS, p=1)
        return scrypt.derive(self._secret)
