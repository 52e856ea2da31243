"""
The first admin, made in a browser by whoever started the service.

Nobody can log in yet, so the service tells whoever started it a token, which is kept in memory only, good
for an hour and until there is a user. After five wrong ones another is made, so that nobody guesses on.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Final

from app.domain.access.audit import ChangeNote
from app.domain.ports import Clock
from app.errors import NotAuthenticatedError, NotFoundError
from app.security.attempts import Attempts
from app.services.access.browser_logins import BrowserLogin, BrowserLogins
from app.services.access.users import UserService


_TOKEN_BYTES: Final = 32
_LIFETIME_SECONDS: Final = 3600.0
_MOST_WRONG: Final = 5
# Attempts are limited like those of logins, and by a name that no user can have.
_NOBODY: Final = "(first admin)"
_OVER: Final = "the first admin is made already"
_LOG_IN: Final = "Log in, or ask an admin for a user."


class FirstAdminService:
    """Makes the first admin, once."""

    def __init__(
        self,
        users: UserService,
        logins: BrowserLogins,
        attempts: Attempts,
        clock: Clock,
        announce: Callable[[str], None],
    ) -> None:
        self._users = users
        self._logins = logins
        self._attempts = attempts
        self._clock = clock
        self._announce = announce
        self._is_over = False
        self._token = ""
        self._good_until = 0.0
        self._wrong = 0

    async def is_needed(self) -> bool:
        """Tell whether there is no user; raises ControlUnavailableError."""
        # Users are disabled, never deleted: once there is one, there always is.
        self._is_over = self._is_over or bool(await self._users.count())
        return not self._is_over

    async def invite(self) -> None:
        """
        Tell whoever started the service the token, unless there is a user or a token that is good.

        Raises:
            ControlUnavailableError: Nobody knows whether there is a user.
        """
        if await self.is_needed() and self._clock.monotonic() >= self._good_until:
            self._renew()

    async def prove(self, token: str, address: str) -> None:
        """
        Prove that somebody was told the token.

        Args:
            token: As it was sent, or the link that ends with it.
            address: Where the request comes from; failures are counted for it.

        Raises:
            NotAuthenticatedError: It is another one, or too old; then a new one was told.
            NotFoundError: There is a user.
            TooManyAttemptsError: Too many have failed lately from there.
        """
        await self.require_needed()
        await self.invite()
        async with self._attempts.admit(address, _NOBODY) as attempt:
            sent = token.strip().rpartition("#")[2].encode(errors="surrogatepass")
            if hmac.compare_digest(sent, self._token.encode()):
                return
            await attempt.fail()
            self._wrong += 1
            if self._wrong >= _MOST_WRONG:
                self._renew()
        raise NotAuthenticatedError(
            "this is not the token that the service has printed last",
            hint="Copy it from there; after an hour or five wrong ones it prints another.",
        )

    async def create(
        self, name: str, password: str, address: str, note: ChangeNote
    ) -> BrowserLogin:
        """
        Make the first admin and log their browser in; only after `prove`.

        Args:
            name: However it is written.
            password: For this and later logins.
            address: Where the request comes from.
            note: Gets what was made.

        Returns:
            The login.

        Raises:
            InvalidRequestError: Such names or passwords are not allowed.
            NotFoundError: There is a user, made by somebody else meanwhile perhaps.
        """
        admin = await self._users.create_first(name, password, note)
        if admin is None:
            raise NotFoundError(_OVER, hint=_LOG_IN)
        self._is_over, self._token = True, ""
        return await self._logins.open(admin.name, password, address)

    async def require_needed(self) -> None:
        """Refuse when there is a user; raises NotFoundError."""
        if not await self.is_needed():
            raise NotFoundError(_OVER, hint=_LOG_IN)

    def _renew(self) -> None:
        self._token, self._wrong = secrets.token_urlsafe(_TOKEN_BYTES), 0
        self._good_until = self._clock.monotonic() + _LIFETIME_SECONDS
        self._announce(self._token)
