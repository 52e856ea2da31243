"""
For whom backups are encrypted, and who can read them here.

Whoever makes backups needs the recipients alone, which are public. Identities are asked for when
something is to be read; files are read, passphrases tried and commands run then, once. All calls block.
"""

import secrets
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.age.encryptor import encrypt
from app.age.identity_file import (
    MAX_IDENTITY_FILE_BYTES,
    is_protected,
    parse_identities,
    unprotected,
)
from app.age.malformed import MalformedError
from app.age.reader import decrypt
from app.age.x25519 import SECRET_MARK, Identity, Recipient
from app.domain.keys import IdentityPlace, KeyProof, RecipientProof
from app.errors import InvalidRequestError, NoIdentityError, StorageError
from app.named_files import read_named
from app.security import identity_command
from app.storage.failures import translated
from app.storage.local import LocalDirectory


RECIPIENTS: Final = "BACKSTAY_ENCRYPT_TO"
TEXT: Final = "BACKSTAY_IDENTITY"
FILE: Final = "BACKSTAY_IDENTITY_FILE"
PASSPHRASE: Final = "BACKSTAY_IDENTITY_PASSPHRASE"  # noqa: S105 - the name of a variable
# All of them stand in the header of every file, of 64 KiB at most.
_MOST_RECIPIENTS: Final = 100
_PROBE_BYTES: Final = 100
_UNSET: Final = SecretStr("")


@dataclass(frozen=True, slots=True)
class IdentitySources:
    """
    Where identities are; each may be missing.

    Attributes:
        text: Identities themselves, separated by white space.
        file: Holds them.
        passphrase: Of the file, and of what the command prints.
        command: Prints them.
    """

    text: SecretStr = _UNSET
    file: Path | None = None
    passphrase: SecretStr = _UNSET
    command: SecretStr = _UNSET

    @property
    def are_set(self) -> bool:
        """Whether there is any, even one that makes no sense."""
        return bool(self.text or self.file or self.command)

    @property
    def places(self) -> tuple[IdentityPlace, ...]:
        """Those that are set, in the order in which they are tried."""
        words = self.command.get_secret_value()
        program = identity_command.program_of(words)[0] if words else ""
        found = (
            (TEXT, "the setting itself" if self.text.get_secret_value() else ""),
            (FILE, str(self.file) if self.file else ""),
            (identity_command.VARIABLE, f"what {program} prints" if program else ""),
        )
        return tuple(IdentityPlace(variable, what) for variable, what in found if what)


@dataclass(frozen=True, slots=True)
class HeldIdentity:
    """
    An identity that is here.

    Attributes:
        variable: The setting that it comes from.
    """

    identity: Identity
    variable: str


class BackupKeys:
    """The keys of one installation's backups."""

    def __init__(self, recipients: str, sources: IdentitySources) -> None:
        """Take what the settings say; recipients are separated by white space."""
        self._recipients = recipients
        self._sources = sources
        self._held: tuple[HeldIdentity, ...] | None = None
        self._lock = threading.Lock()

    @property
    def encrypts(self) -> bool:
        """Whether new backups are to be encrypted."""
        return bool(self._recipients.split())

    @property
    def can_read(self) -> bool:
        """Whether any identity is set here, for all that is known without asking for it."""
        return self._sources.are_set

    @property
    def places(self) -> tuple[IdentityPlace, ...]:
        """Where identities come from; nothing is read. Raises InvalidRequestError."""
        return self._sources.places

    def recipients(self) -> tuple[Recipient, ...]:
        """
        Return for whom new backups are encrypted.

        Returns:
            Each once, in their order; empty = they are not encrypted.

        Raises:
            InvalidRequestError: One makes no sense, named by its place; or they are too many.
        """
        texts = tuple(dict.fromkeys(self._recipients.split()))
        if len(texts) > _MOST_RECIPIENTS:
            raise InvalidRequestError(f"{RECIPIENTS}: more than {_MOST_RECIPIENTS} recipients")
        return tuple(_recipient(text, number) for number, text in enumerate(texts, start=1))

    def held(self) -> tuple[HeldIdentity, ...]:
        """
        Return the identities that are here.

        Returns:
            Those of all places, in the order of these; the same each time, empty where none is set.

        Raises:
            DecryptionFailedError: A protected file is damaged.
            InvalidRequestError: A place makes no sense or cannot be read, others may read it, or the
                passphrase is wrong. Nothing of an identity is in the message.
        """
        with self._lock:
            if self._held is None:
                self._held = tuple(self._read())
            return self._held

    def identities(self) -> tuple[Identity, ...]:
        """Return the identities that are here, for reading; raises as `held` does."""
        return tuple(held.identity for held in self.held())

    def prove(self) -> KeyProof:
        """
        Encrypt a random text for each recipient, and find out who here decrypts it.

        Returns:
            Who does; recipients whose identity is elsewhere are among it.

        Raises:
            DecryptionFailedError: A protected file of identities is damaged.
            InvalidRequestError: A recipient or a place of identities makes no sense.
        """
        held = self.held()
        proofs = [
            RecipientProof(str(recipient), _opened_by(recipient, held))
            for recipient in self.recipients()
        ]
        known = {proof.recipient for proof in proofs}
        others: dict[str, RecipientProof] = {}
        for opener in held:
            recipient = str(opener.identity.recipient)
            if recipient not in known:
                others.setdefault(recipient, RecipientProof(recipient, opener.variable))
        return KeyProof(tuple(proofs), tuple(others.values()))

    def _read(self) -> Iterator[HeldIdentity]:
        for place in self.places:
            try:
                for identity in parse_identities(self._bytes_of(place.variable)):
                    yield HeldIdentity(identity, place.variable)
            except MalformedError as exc:
                raise InvalidRequestError(
                    f"{place.variable}: {exc}",
                    hint="'backstay key new' and age-keygen make identities; other kinds are not read.",
                ) from exc

    def _bytes_of(self, variable: str) -> bytes:
        """Get the lines of a place, with no passphrase on them any more."""
        if variable == TEXT:
            return "\n".join(self._sources.text.get_secret_value().split()).encode(errors="replace")
        if variable == FILE:
            assert self._sources.file is not None  # noqa: S101 - such a place is set
            data = _read_file(self._sources.file)
        else:
            command = self._sources.command.get_secret_value()
            data = identity_command.run_identity_command(command)
        return self._opened(data, variable) if is_protected(data) else data

    def _opened(self, data: bytes, variable: str) -> bytes:
        passphrase = self._sources.passphrase.get_secret_value()
        if not passphrase:
            raise InvalidRequestError(
                f"{variable}: it is protected by a passphrase", hint=f"Set {PASSPHRASE}."
            )
        try:
            return unprotected(data, passphrase, source=variable)
        except NoIdentityError as exc:
            raise InvalidRequestError(
                f"{variable}: {PASSPHRASE} is not its passphrase",
                hint="It counts letter for letter, blanks at its ends as well.",
            ) from exc


def _recipient(text: str, number: int) -> Recipient:
    try:
        return Recipient.parse(text)
    except MalformedError as exc:
        hint = (
            "That is an identity, which is secret: name its public key, which begins with age1, and make"
            " a new one if somebody may have read it."
            if text.upper().startswith(SECRET_MARK)
            else "'backstay key new' prints one; those of plugins and of post-quantum keys are not taken."
        )
        raise InvalidRequestError(f"{RECIPIENTS}: recipient {number}: {exc}", hint=hint) from exc


def _opened_by(recipient: Recipient, held: tuple[HeldIdentity, ...]) -> str:
    """Encrypt a text and return the place of the identity that decrypts it; empty = none does."""
    text = secrets.token_bytes(_PROBE_BYTES)
    stored = encrypt(text, [recipient])
    for opener in held:
        try:
            if decrypt(stored, [opener.identity], source="the probe") == text:
                return opener.variable
        except NoIdentityError:
            continue
    return ""


def _read_file(path: Path) -> bytes:
    """
    Read a file of identities; the links that lead to it are followed, as those of a mounted secret.

    Returns:
        Its bytes, of 64 KiB at most.

    Raises:
        InvalidRequestError: It cannot be read; or others may read it, and no passphrase protects it.
    """
    try:
        with translated(path.name):
            data, mode = read_named(path, MAX_IDENTITY_FILE_BYTES)
    except StorageError as exc:
        raise InvalidRequestError(
            f"{FILE}: {exc}", hint="Name a file that this program may read."
        ) from exc
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and not is_protected(data):
        raise InvalidRequestError(
            f"{FILE}: others than its owner may read or write {path.name}",
            hint="Run 'chmod 600' on it. Where a secret is mounted with other rights, set"
            f" {identity_command.VARIABLE} to 'cat' and its path.",
        )
    return data


def create_identity_file(path: Path, data: bytes) -> None:
    """
    Keep a new identity in a file of its own, for its owner alone; when it returns, it survives a power cut.

    Raises:
        InvalidRequestError: There is such a file: it may be the only one that opens a backup.
        StorageError: The medium refused; nothing is left there.
    """
    there = path.expanduser().absolute()
    if there.name in {"", ".."}:
        raise InvalidRequestError("the path of the new file has no name at its end")
    directory = LocalDirectory(there.parent)
    if directory.exists(there.name):
        raise InvalidRequestError(
            f"{there.name}: it exists",
            hint="Choose another name: it may be the only file that opens some backup.",
        )
    with directory.create(there.name) as file:
        file.write(data)
        file.sync()
        file.keep()
    directory.sync()
