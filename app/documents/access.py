"""Who may use the service, and what they did."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.base import Document, Moment, Success
from app.domain.access.audit import AuditCut, AuditEntry, AuditProof, CutKind
from app.domain.access.user import Grant, Identity, Role, User


class GrantedTokens(Document):
    """What a login gives."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[900])]
    refresh_token: Annotated[str, Field(description="Good once, for POST /api/auth/refresh.")]
    role: Role

    @classmethod
    def of(cls, grant: Grant) -> Self:
        """Hand over what was granted."""
        return cls.taken(grant, token_type="bearer")  # noqa: S106 - the name of a scheme


class IdentityFacts(Document):
    """Who a token belongs to."""

    name: Annotated[str, Field(examples=["alice"])]
    role: Role

    @classmethod
    def of(cls, identity: Identity) -> Self:
        """Name who was proven."""
        return cls.taken(identity)


class UserFacts(Document):
    """Somebody who may log in."""

    name: Annotated[str, Field(examples=["alice"])]
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class UserDocument(Document):
    """One user."""

    success: Success
    user: UserFacts

    @classmethod
    def of(cls, user: User) -> Self:
        """Describe a user, without their password."""
        return cls.model_validate({"success": True, "user": user})


class UserList(Document):
    """All users, by name."""

    success: Success
    users: tuple[UserFacts, ...]

    @classmethod
    def of(cls, users: Iterable[User]) -> Self:
        """Describe them in their order, without their passwords."""
        return cls.model_validate({"success": True, "users": tuple(users)})


class PrintedUserFacts(UserFacts):
    """Somebody who may log in, as commands print it."""

    created_at: Moment
    disabled_at: Moment | None


class PrintedUser(UserDocument):
    """One user, as commands print it."""

    user: PrintedUserFacts


class PrintedUserList(UserList):
    """All users, as commands print them."""

    users: tuple[PrintedUserFacts, ...]


class AuditFacts(Document):
    """One link of the audit."""

    number: int
    at: datetime
    actor: str
    role: str
    address: str
    action: Annotated[str, Field(examples=["create_backup"])]
    target: Annotated[str, Field(examples=["POST /api/admin/backup/create"])]
    status: int
    result: Annotated[str, Field(description="`ok`, or the code of an error.")]
    run_id: str | None
    changes: Annotated[
        dict[str, list[object]] | None, Field(description="`{field: [old, new]}`; null = none.")
    ]
    count: Annotated[int, Field(description="For how many requests it stands.")]
    digest: str
    key_id: Annotated[str | None, Field(description="null: of a version without keys.")]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Describe a link by its event."""
        return cls.taken(
            entry.event,
            number=entry.number,
            run_id=entry.event.run_id or None,
            changes=_changes(entry.event.changes),
            digest=entry.digest,
            key_id=entry.key_id or None,
        )


class AuditList(Document):
    """A page of the audit."""

    success: Success
    entries: tuple[AuditFacts, ...]
    total: int
    limit: int
    offset: int

    @classmethod
    def of(cls, entries: Iterable[AuditEntry], *, total: int, limit: int, offset: int) -> Self:
        """Describe links in their order, with which part of how many they are."""
        facts = tuple(map(AuditFacts.of, entries))
        return cls(success=True, entries=facts, total=total, limit=limit, offset=offset)


class AuditVerified(Document):
    """What was proven of the audit, and nothing more."""

    success: Success
    entries: Annotated[int, Field(description="How many are proven.")]
    first: Annotated[int, Field(description="Number of the first one; 0 when there is none.")]
    last: int
    digest: Annotated[str, Field(description="Of the last one; with its number it is the head.")]
    unkeyed: Annotated[
        int, Field(description="How many are of a version without keys, covered by the next.")
    ]
    cut: Annotated[int, Field(description="Entry of the checkpoint before them; 0 = none.")]
    cut_kind: Annotated[CutKind | None, Field(description="Removed by age, or accepted.")]
    cut_at: datetime | None

    @classmethod
    def of(cls, proof: AuditProof) -> Self:
        """Say which entries are as they were written, and what is not proven."""
        cut = proof.cut
        return cls.taken(
            proof,
            success=True,
            cut=cut.number if cut else 0,
            cut_kind=cut.kind if cut else None,
            cut_at=cut.at if cut else None,
        )


class AuditAccepted(Document):
    """A checkpoint behind which the proof begins anew."""

    success: Success
    cut: int

    @classmethod
    def of(cls, cut: AuditCut) -> Self:
        """Name the last entry that is not proven any more."""
        return cls(success=True, cut=cut.number)


def _changes(text: str) -> dict[str, list[object]] | None:
    """Read what was changed; of a row that somebody else has written, say so."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {"unreadable": []}
    if found is None:
        return None
    if isinstance(found, dict) and all(isinstance(pair, list) for pair in found.values()):
        return found
    return {"unreadable": []}
