"""Users: who may use the service, and what they may do."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.errors import InvalidRequestError


# Lower case, so that no database thinks two of them equal that another thinks different.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# Whom audit and history name when nobody has asked: what a user of that name does could be taken for it.
OF_THE_PROGRAM: Final = frozenset({
    "service",
    "retention",
    "checks",
    "copies",
    "binlog",
    "unknown",
})
MIN_PASSWORD: Final = 12
# Argon2 takes any length; reading and hashing megabytes is work for nothing.
MAX_PASSWORD: Final = 1024


class Role(StrEnum):
    """What somebody may do; each may also do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def allows(self, needed: "Role") -> bool:
        """Tell whether this role is enough where another is needed."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    """
    Somebody who logs in with a password.

    Attributes:
        password_hash: In the PHC string format.
        disabled_at: Since when they may not log in; None = they may.
    """

    name: str
    role: Role
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None = None

    @property
    def is_admin(self) -> bool:
        """Whether they may do everything, and log in."""
        return self.role is Role.ADMIN and self.disabled_at is None


class SessionKind(StrEnum):
    """What keeps a login going."""

    TOKEN = "token"  # noqa: S105 - a word, not a secret
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class LoginSession:
    """
    One login, from the password to the logout; lives on while it is refreshed or used.

    Attributes:
        session_id: Also in the tokens, or in the cookie.
        refresh_digest: SHA-256 of the one refresh token that is good now, or of the cookie's secret,
            hexadecimal.
        expires_at: When it is over unless it is refreshed or used before, aware UTC.
        revoked_at: Since when it is over; None = it is not.
        kind: Whether it is refreshed by tokens, or a browser's cookie.
        proven_at: When the password was last given in it, aware UTC; None = nobody knows.
    """

    session_id: str
    user: str
    refresh_digest: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    kind: SessionKind = SessionKind.TOKEN
    proven_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """
    Who makes a request, proven.

    Attributes:
        name: Of a user here, or the subject of another application's token.
        session_id: Their login here; empty for a token of another application.
    """

    name: str
    role: Role
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What somebody gets who has proven who they are.

    Attributes:
        access_token: Sent with every request.
        refresh_token: Good once, for the next grant.
        expires_in: Lifetime of the access token, in seconds.
        role: At this moment.
        user: Whose login it is.
    """

    access_token: str
    refresh_token: str
    expires_in: int
    role: Role
    user: str


def require_name(name: str) -> str:
    """
    Accept text as a user's name.

    Returns:
        The same.

    Raises:
        InvalidRequestError: It has other characters, or is too long.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequestError(
            "user name: 1 to 64 of a-z, 0-9, '.', '_', '@', '-', beginning with a letter or digit"
        )
    return name


def require_new_name(name: str) -> str:
    """
    Accept text as the name of a user who is made.

    Returns:
        The same.

    Raises:
        InvalidRequestError: It is none, or is what the program calls itself.
    """
    if name in OF_THE_PROGRAM:
        raise InvalidRequestError(f"user name: {name} is what the program calls itself")
    return require_name(name)


def require_password(password: str) -> str:
    """
    Accept text as a new password.

    Returns:
        The same.

    Raises:
        InvalidRequestError: It is too short or too long.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidRequestError(f"password: {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return password
