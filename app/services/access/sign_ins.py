"""
Logins: a password becomes a session, a session becomes access tokens, one refresh at a time.

A refresh token is `session.secret` and good once. One that comes again, or a wrong one for a
session that is there, ends the session: either the thief or the owner has used it before.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from app.domain.access.user import (
    Grant,
    Identity,
    LoginSession,
    SessionKind,
    User,
    require_name,
)
from app.domain.ports import Clock
from app.domain.stores import UserStore
from app.errors import InvalidRequestError, NotAuthenticatedError
from app.security.attempts import Attempts
from app.security.passwords import Passwords
from app.security.tokens import AccessTokens


SESSION_LIFETIME: Final = timedelta(days=30)
# Machines that share a control database need not agree to the second.
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
_ID_BYTES: Final = 16
SECRET_BYTES: Final = 32
SEPARATOR: Final = "."
# Ours have 76 characters.
_MAX_TOKEN: Final = 256
# One answer for whatever is wrong, so that nobody learns which names there are.
_WRONG: Final = "wrong user name or password"
_OVER: Final = "the login is over"
_HINT: Final = "Sign in again."


class SignInService:
    """Logs people in and out, and tells who makes a request."""

    def __init__(
        self,
        store: UserStore,
        tokens: AccessTokens,
        passwords: Passwords,
        attempts: Attempts,
        clock: Clock,
        session_lifetime: timedelta = SESSION_LIFETIME,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._session_lifetime = session_lifetime

    async def sign_in(self, name: str, password: str, address: str) -> Grant:
        """
        Log somebody in.

        Args:
            name: However it is written.
            password: As it was sent.
            address: Where the request comes from; failures are counted for it.

        Returns:
            The first grant of a new session.

        Raises:
            NotAuthenticatedError: Unknown, disabled, or another password; it takes the same time.
            TooManyAttemptsError: Too many have failed lately from there, for this user or for all.
        """
        user = await self.prove(name, password, address)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        session = new_session(user, secret, self._clock.now(), self._session_lifetime)
        user = await self.open(session, user)
        return self._grant(user, session.session_id, secret)

    async def prove(self, name: str, password: str, address: str) -> User:
        """
        Prove that somebody knows their password, as `sign_in` does; nothing is opened.

        Returns:
            The user.

        Raises:
            NotAuthenticatedError: As for `sign_in`.
            TooManyAttemptsError: As for `sign_in`.
        """
        name = name.lower()
        async with self._attempts.admit(address, name) as attempt:
            user = await self._find(name)
            known = None if user is None else user.password_hash
            verdict = await self._passwords.verify(password, known)
            if user is None or not verdict.good or user.disabled_at is not None:
                await attempt.fail()
                raise NotAuthenticatedError(_WRONG)
            self._attempts.remember(address, user.name)
        if verdict.new_hash is not None:
            user = await self._keep(user, verdict.new_hash)
        return user

    async def open(self, session: LoginSession, user: User) -> User:
        """
        Open a login of a user who was proven.

        Returns:
            The user as they are now.

        Raises:
            NotAuthenticatedError: The password was changed meanwhile, or the user disabled.
        """
        await self._store.open_session(session)
        # Hashing took its time: whoever changed the password or disabled the user meanwhile has
        # ended the sessions that they saw, and this one may not have been among them.
        found = await self._store.find_session(session.session_id)
        if found is None or found[1].password_hash != user.password_hash:
            await self._store.revoke(session.session_id, self._clock.now())
            raise NotAuthenticatedError(_WRONG)
        return require_good(*found, self._clock.now())

    async def refresh(
        self, refresh_token: str, address: str, ended: Callable[[str], None] = lambda _user: None
    ) -> Grant:
        """
        Exchange a refresh token for the next grant of its session, which lasts longer by that.

        Args:
            refresh_token: Of the newest grant.
            address: Where the request comes from; failures are counted for it.
            ended: Told whose login it has ended because it came again.

        Returns:
            A grant with another refresh token.

        Raises:
            NotAuthenticatedError: It is not good, or not any more.
            TooManyAttemptsError: It is not good, and too many have failed lately from there.
        """
        # Nobody guesses one: a good token is good whatever others have sent from there.
        try:
            user, grant = await self._rotate(refresh_token, ended)
        except NotAuthenticatedError:
            async with self._attempts.admit(address) as attempt:
                await attempt.fail()
            raise
        self._attempts.remember(address, user.name)
        return grant

    async def sign_out(self, who: Identity | str) -> str:
        """
        End a login; one that is over or unknown is fine.

        Args:
            who: Whoever asks, or a refresh token. A token of another application has no login.

        Returns:
            The name of its user; empty = there is no such login.
        """
        session_id = who.session_id if isinstance(who, Identity) else split_token(who)[0]
        found = await self._store.find_session(session_id) if session_id else None
        if found is None:
            return ""
        await self._store.revoke(session_id, self._clock.now())
        return found[1].name

    async def list_sessions(self, name: str) -> Sequence[LoginSession]:
        """Return the logins of a user that are good now, newest first."""
        now = self._clock.now()
        return [
            session
            for session in await self._store.list_sessions(name)
            if session.revoked_at is None and session.expires_at > now
        ]

    async def end_session(self, name: str, session_id: str) -> bool:
        """
        End a login of a user; one that is over, unknown or somebody else's is left alone.

        Returns:
            Whether there was one.
        """
        if all(session.session_id != session_id for session in await self.list_sessions(name)):
            return False
        await self._store.revoke(session_id, self._clock.now())
        return True

    async def identify(self, access_token: str) -> Identity:
        """
        Tell who makes a request.

        Returns:
            Who it is, with the role that they have now.

        Raises:
            NotAuthenticatedError: The token is not good, the login is over, or the user disabled.
        """
        return await self.confirm(self._tokens.verify(access_token))

    async def confirm(self, identity: Identity) -> Identity:
        """
        Tell whether somebody is still who they were, also after their token is over.

        Returns:
            Who it is, with the role that they have now.

        Raises:
            NotAuthenticatedError: The login is over, or the user disabled.
        """
        if not identity.session_id:
            user = await self._find(identity.name.lower())
            if user is not None and user.disabled_at is not None:
                raise NotAuthenticatedError(_OVER, hint=_HINT)
            return identity
        found = await self._store.find_session(identity.session_id)
        if found is None or found[0].user != identity.name:
            raise NotAuthenticatedError(_OVER, hint=_HINT)
        return replace(identity, role=require_good(*found, self._clock.now()).role)

    async def find_name(self, name: str) -> str:
        """Return the name of a user, however it is written; empty = nobody is called that."""
        user = await self._find(name.lower())
        return user.name if user else ""

    async def delete_expired(self) -> None:
        """Delete sessions that nobody can refresh any more."""
        await self._store.delete_sessions(self._clock.now())

    async def _find(self, name: str) -> User | None:
        try:
            return await self._store.find(require_name(name))
        except InvalidRequestError:
            # Nobody can be called that; databases need not see such text.
            return None

    async def _keep(self, user: User, new_hash: str) -> User:
        """Keep the hash of the same password at today's cost, unless the user was changed."""
        changed = replace(user, password_hash=new_hash)
        return changed if await self._store.replace(user, changed) else user

    async def _rotate(self, refresh_token: str, ended: Callable[[str], None]) -> tuple[User, Grant]:
        session_id, secret = split_token(refresh_token)
        found = await self._store.find_session(session_id) if session_id else None
        if found is None:
            raise NotAuthenticatedError(_OVER, hint=_HINT)
        user = require_good(*found, self._clock.now())
        new_secret = secrets.token_urlsafe(SECRET_BYTES)
        if not await self._store.rotate(
            session_id,
            old=secret_digest(secret),
            new=secret_digest(new_secret),
            expires_at=self._clock.now() + self._session_lifetime,
        ):
            await self._store.revoke(session_id, self._clock.now())
            ended(user.name)
            raise NotAuthenticatedError(_OVER, hint=_HINT)
        return user, self._grant(user, session_id, new_secret)

    def _grant(self, user: User, session_id: str, secret: str) -> Grant:
        return Grant(
            access_token=self._tokens.mint(Identity(user.name, user.role, session_id)),
            refresh_token=f"{session_id}{SEPARATOR}{secret}",
            expires_in=int(self._tokens.lifetime.total_seconds()),
            role=user.role,
            user=user.name,
        )


def new_session(
    user: User,
    secret: str,
    now: datetime,
    lifetime: timedelta,
    kind: SessionKind = SessionKind.TOKEN,
) -> LoginSession:
    """Make a login whose password was given this moment."""
    return LoginSession(
        session_id=secrets.token_hex(_ID_BYTES),
        user=user.name,
        refresh_digest=secret_digest(secret),
        created_at=now,
        expires_at=now + lifetime,
        kind=kind,
        proven_at=now,
    )


def require_good(session: LoginSession, user: User, now: datetime) -> User:
    """
    Refuse a login that is over.

    Returns:
        Its user.

    Raises:
        NotAuthenticatedError: It is over, or the user disabled.
    """
    is_over = session.revoked_at is not None or session.expires_at <= now
    # No login lasts for longer; this one was used by a clock that was set back since.
    is_over = is_over or session.expires_at > now + SESSION_LIFETIME + _CLOCKS_DIFFER
    if is_over or user.disabled_at is not None:
        raise NotAuthenticatedError(_OVER, hint=_HINT)
    return user


def split_token(token: str) -> tuple[str, str]:
    """Take `session.secret` apart; two empty texts when it is none of ours."""
    session_id, _, secret = token.partition(SEPARATOR)
    plain = token.isascii() and token.isprintable()
    if not plain or len(token) > _MAX_TOKEN or not (session_id and secret):
        return "", ""
    return session_id, secret


def secret_digest(secret: str) -> str:
    """Return what is kept of a secret: its SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
