"""
Logins of browsers: a password becomes a cookie, good while it is used.

A cookie is `session.secret`, like a refresh token; only the digest of the secret is kept. It is not
rotated, for parallel tabs send the same one. The API never reads it.
"""

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.domain.access.user import Identity, LoginSession, SessionKind, User
from app.domain.ports import Clock
from app.domain.stores import UserStore
from app.errors import NotAuthenticatedError
from app.services.access.sign_ins import (
    SECRET_BYTES,
    SEPARATOR,
    SignInService,
    new_session,
    require_good,
    secret_digest,
    split_token,
)


# How long a browser may stay unused.
IDLE_LIFETIME: Final = timedelta(hours=12)
# Use is written down at most that often.
_NOTED_EVERY: Final = timedelta(minutes=5)
# What changes a database wants a password that was given in this time.
PROOF_LIFETIME: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """
    One browser that is logged in.

    Attributes:
        identity: Who it is, with the role that they have now.
        secret: That of the cookie, of which form tokens are made.
        proven_at: When the password was last given, aware UTC.
    """

    identity: Identity
    secret: str
    proven_at: datetime | None

    @property
    def cookie(self) -> str:
        """What the browser keeps."""
        return f"{self.identity.session_id}{SEPARATOR}{self.secret}"


class BrowserLogins:
    """Logs browsers in and out, and tells who uses one."""

    def __init__(self, store: UserStore, sign_ins: SignInService, clock: Clock) -> None:
        self._store = store
        self._sign_ins = sign_ins
        self._clock = clock

    async def open(self, name: str, password: str, address: str) -> BrowserLogin:
        """
        Log a browser in, always as a new session.

        Returns:
            It, with the cookie.

        Raises:
            NotAuthenticatedError: Unknown, disabled, or another password; it takes the same time.
            TooManyAttemptsError: Too many have failed lately from there, for this user or for all.
        """
        user = await self._sign_ins.prove(name, password, address)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        session = new_session(user, secret, self._clock.now(), IDLE_LIFETIME, SessionKind.BROWSER)
        user = await self._sign_ins.open(session, user)
        return _login(session, user, secret)

    async def identify(self, cookie: str) -> BrowserLogin:
        """
        Tell who uses a browser, and let the login last from now.

        Returns:
            The login of the cookie.

        Raises:
            NotAuthenticatedError: The cookie is not good, the login is over, or the user disabled.
        """
        session_id, secret = split_token(cookie)
        found = await self._store.find_session(session_id) if session_id else None
        if found is None or not _is_of(found[0], secret):
            raise NotAuthenticatedError("the login is over", hint="Log in again.")
        session, now = found[0], self._clock.now()
        user = require_good(session, found[1], now)
        if session.expires_at < now + IDLE_LIFETIME - _NOTED_EVERY:
            await self._store.prolong(
                session_id, expires_at=now + IDLE_LIFETIME, proven_at=session.proven_at
            )
        return _login(session, user, secret)

    async def prove(self, login: BrowserLogin, password: str, address: str) -> BrowserLogin:
        """
        Take the password of somebody who is logged in once more.

        Returns:
            The login, proven now.

        Raises:
            NotAuthenticatedError: It is another one; the login stays as it was.
            TooManyAttemptsError: As for `open`.
        """
        await self._sign_ins.prove(login.identity.name, password, address)
        now = self._clock.now()
        await self._store.prolong(
            login.identity.session_id, expires_at=now + IDLE_LIFETIME, proven_at=now
        )
        return replace(login, proven_at=now)

    def is_proven(self, login: BrowserLogin) -> bool:
        """Tell whether the password was given lately."""
        if login.proven_at is None:
            return False
        # A clock that was set back since makes no proof of a moment one that lasts.
        return abs(self._clock.now() - login.proven_at) < PROOF_LIFETIME

    async def close(self, login: BrowserLogin) -> None:
        """Log a browser out."""
        await self._store.revoke(login.identity.session_id, self._clock.now())


def _is_of(session: LoginSession, secret: str) -> bool:
    is_browser = session.kind is SessionKind.BROWSER
    return is_browser and hmac.compare_digest(session.refresh_digest, secret_digest(secret))


def _login(session: LoginSession, user: User, secret: str) -> BrowserLogin:
    identity = Identity(user.name, user.role, session.session_id)
    return BrowserLogin(identity, secret, session.proven_at)
