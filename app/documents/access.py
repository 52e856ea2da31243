"""Who may use the service, and what they did."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.base import Document, Moment, Success
from app.domain.access.audit import AuditEntry
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
    digest: str

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Describe a link by its event."""
        return cls.taken(
            entry.event,
            number=entry.number,
            run_id=entry.event.run_id or None,
            digest=entry.digest,
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
    """An audit that is whole."""

    success: Success
    entries: int

    @classmethod
    def of(cls, count: int) -> Self:
        """Say how many entries it has."""
        return cls(success=True, entries=count)
