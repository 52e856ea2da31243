"""Keys of an installation: what backups are encrypted for, and who signs them."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field

from app.documents.base import Document, Success
from app.documents.runs import FailureFacts
from app.domain.keys import IdentityPlace, KeyProof, Signer
from app.errors import AppError


RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
RecipientText = Annotated[str, Field(examples=[RECIPIENT])]


class KeyMade(Document):
    """A new identity."""

    success: Success
    recipient: Annotated[RecipientText, Field(description="Its public half.")]
    setting: Annotated[str, Field(examples=[f"BACKSTAY_ENCRYPT_TO={RECIPIENT}"])]
    protected: Annotated[bool, Field(description="Whether a passphrase protects it.")]
    file: Annotated[str | None, Field(description="Where it is kept; null = in `identity` alone.")]
    identity: Annotated[
        str | None, Field(description="The file itself, which is secret, where none was named.")
    ]


class SignerFacts(Document):
    """Somebody whose signatures are taken."""

    signer_id: Annotated[str, Field(description="32 hexadecimal digits.")]
    key: Annotated[str, Field(description="The public key, base64.")]
    is_own: bool


class IdentityPlaceFacts(Document):
    """Where identities come from."""

    variable: Annotated[str, Field(examples=["BACKSTAY_IDENTITY_FILE"])]
    what: str


class KeysShown(Document):
    """The keys of this installation, without any secret but on a sheet that was asked for with them."""

    success: Success
    recipients: tuple[RecipientText, ...]
    signers: Annotated[tuple[SignerFacts, ...], Field(description="This installation first.")]
    identities: tuple[IdentityPlaceFacts, ...]
    sheet: Annotated[str | None, Field(description="To be printed; null = not asked for.")]

    @classmethod
    def of(
        cls,
        recipients: Iterable[str],
        signers: Iterable[Signer],
        places: Iterable[IdentityPlace],
        sheet: str | None,
    ) -> Self:
        """Show the keys, and the sheet where it was asked for."""
        return cls(
            success=True,
            recipients=tuple(recipients),
            signers=tuple(map(SignerFacts.taken, signers)),
            identities=tuple(map(IdentityPlaceFacts.taken, places)),
            sheet=sheet,
        )


class ProvenRecipient(Document):
    """Whether what is encrypted for a recipient can be read here."""

    recipient: RecipientText
    opened_by: Annotated[str | None, Field(description="The setting; null = nothing here.")]


class HeldKey(Document):
    """An identity that is here, and opens older backups only."""

    recipient: RecipientText
    variable: str


class KeysProven(Document):
    """What a test of all keys has shown."""

    success: Annotated[bool, Field(description="Whether anything here opens new backups.")]
    recipients: tuple[ProvenRecipient, ...]
    others: tuple[HeldKey, ...]

    @classmethod
    def of(cls, proof: KeyProof) -> Self:
        """Describe a test after which new backups can be read here."""
        return cls._of(proof, success=True)

    @classmethod
    def _of(cls, proof: KeyProof, **others: object) -> Self:
        return cls.model_validate({
            "recipients": [
                {"recipient": tried.recipient, "opened_by": tried.opened_by or None}
                for tried in proof.recipients
            ],
            "others": [
                {"recipient": tried.recipient, "variable": tried.opened_by}
                for tried in proof.others
            ],
            **others,
        })


class KeysFailed(KeysProven):
    """What a test has shown after which nothing new could be read here."""

    error: FailureFacts

    @classmethod
    def failed(cls, proof: KeyProof, error: AppError) -> Self:
        """Describe it with what is wrong."""
        return cls._of(proof, success=False, error=FailureFacts.of(error))
