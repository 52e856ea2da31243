"""Users of the service: made, changed and listed by an admin or on the command line."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.domain.access.audit import ChangeNote
from app.domain.access.user import (
    Role,
    SessionKind,
    User,
    require_new_name,
    require_password,
)
from app.domain.ports import Clock
from app.domain.stores import EndedLogins, UserStore
from app.security.passwords import Passwords


FIRST_ADMIN: Final = "admin"


class UserService:
    """Names are lower case, however they are written."""

    def __init__(self, store: UserStore, passwords: Passwords, clock: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock

    async def create(
        self, name: str, password: str, role: Role, note: ChangeNote | None = None
    ) -> User:
        """
        Add somebody.

        Args:
            name: However it is written.
            password: For their first login.
            role: What they may do.
            note: Gets what was made.

        Returns:
            The new user.

        Raises:
            InvalidRequestError: Such names or passwords are not allowed.
            UserExistsError: The name is taken.
        """
        user = await self._make(name, password, role)
        if note is not None:
            note.take(None, _facts(user))
        await self._store.add(user)
        return user

    async def ensure_first_admin(self, password: str, note: ChangeNote | None = None) -> bool:
        """
        Add the user `admin` when there is no user at all; safe against other processes.

        Args:
            password: For their first login.
            note: Gets what was made.

        Returns:
            Whether it was added now.

        Raises:
            InvalidRequestError: Such passwords are not allowed.
        """
        return await self.create_first(FIRST_ADMIN, password, note) is not None

    async def create_first(
        self, name: str, password: str, note: ChangeNote | None = None
    ) -> User | None:
        """
        Add an admin when there is no user at all; of several who try at once one succeeds.

        Args:
            name: However it is written.
            password: For their first login.
            note: Gets what was made.

        Returns:
            The admin; None = there is a user.

        Raises:
            InvalidRequestError: Such names or passwords are not allowed.
        """
        if await self.count():
            return None
        admin = await self._make(name, password, Role.ADMIN)
        if not await self._store.add_first(admin):
            return None
        if note is not None:
            note.take(None, _facts(admin))
        return admin

    async def list(self) -> Sequence[User]:
        """Return all users by name."""
        return await self._store.list()

    async def count(self) -> int:
        """Count all users, disabled ones too."""
        return len(await self._store.list())

    async def get(self, name: str) -> User:
        """Return one user; raises UserNotFoundError."""
        return await self._store.get(name.lower())

    async def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        password: str | None = None,
        disabled: bool | None = None,
        note: ChangeNote | None = None,
    ) -> User:
        """
        Change what is given; a new password, or being disabled, ends all logins, another role browsers'.

        Args:
            name: Of the user.
            role: Another one; None = the same, as for the next two.
            password: A new one.
            disabled: Whether they may not log in.
            note: Gets how it was and how it is.

        Returns:
            The user as it is now.

        Raises:
            ConflictError: Nobody who may do everything would be left; nothing was changed.
            InvalidRequestError: Such passwords are not allowed.
            UserNotFoundError: There is no such user.
        """
        new_hash = None
        if password is not None:
            await self.get(name)
            new_hash = await self._passwords.hash(require_password(password))
        while True:
            before = await self.get(name)
            after = replace(
                before,
                role=role or before.role,
                password_hash=new_hash or before.password_hash,
                disabled_at=self._disabled_at(before, disabled=disabled),
            )
            if note is not None:
                made = {"password": "new"} if new_hash else {}
                note.take(_facts(before), _facts(after) | made)
            # A login that is being made meanwhile looks for the change itself.
            if await self._store.replace(before, after, self._ended(before, after)):
                return after
            # Somebody else has changed the user, and this is tried on top of it.

    def _disabled_at(self, before: User, *, disabled: bool | None) -> datetime | None:
        if disabled is None:
            return before.disabled_at
        return (before.disabled_at or self._clock.now()) if disabled else None

    def _ended(self, before: User, after: User) -> EndedLogins | None:
        """Tell which logins a user has no right to any more, or would rise with the user."""
        is_new = after.password_hash != before.password_hash
        if not (is_new or after.disabled_at or after.role is not before.role):
            return None
        kind = None if is_new or after.disabled_at else SessionKind.BROWSER
        return EndedLogins(self._clock.now(), kind)

    async def _make(self, name: str, password: str, role: Role) -> User:
        return User(
            name=require_new_name(name.lower()),
            role=role,
            password_hash=await self._passwords.hash(require_password(password)),
            created_at=self._clock.now(),
        )


def _facts(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role.value,
        "disabled": user.disabled_at is not None,
    }
