"""Keys of an installation as others are told of them: nothing here is secret."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signature:
    """
    That somebody has signed some bytes; as good as a claim before it is verified.

    Attributes:
        signer: The public key: base64 of its SubjectPublicKeyInfo, which is the line of a PEM file.
        value: Base64 of the 64 bytes of Ed25519.
    """

    signer: str
    value: str


@dataclass(frozen=True, slots=True)
class Signer:
    """
    Somebody whose signatures are taken.

    Attributes:
        signer_id: 32 hexadecimal digits of the SHA-256 of the public key.
        key: The public key, as in a signature.
        is_own: Whether this installation signs with it.
    """

    signer_id: str
    key: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class IdentityPlace:
    """
    Where identities come from.

    Attributes:
        variable: The setting that says so.
        what: What it names, without any secret.
    """

    variable: str
    what: str


@dataclass(frozen=True, slots=True)
class RecipientProof:
    """
    Whether what is encrypted for a recipient can be read here.

    Attributes:
        recipient: `age1...`.
        opened_by: The setting whose identity has opened it; empty = none here does.
    """

    recipient: str
    opened_by: str


@dataclass(frozen=True, slots=True)
class KeyProof:
    """
    What a test of all keys has shown.

    Attributes:
        recipients: All that backups are encrypted for, in their order.
        others: Recipients of the other identities here, which open older backups only.
    """

    recipients: tuple[RecipientProof, ...]
    others: tuple[RecipientProof, ...]

    @property
    def unopened(self) -> tuple[str, ...]:
        """The recipients whose identity is not here."""
        return tuple(proof.recipient for proof in self.recipients if not proof.opened_by)
