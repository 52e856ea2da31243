"""Users and their logins, in the control database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import RowMapping, Update, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.control.database import ControlDatabase
from app.control.tables import sessions, users
from app.domain.access.user import LoginSession, Role, SessionKind, User
from app.domain.stores import EndedLogins
from app.errors import ConflictError, UserExistsError, UserNotFoundError


# Both tables have a `created_at`.
_PREFIX: Final = "session_"
_IS_ADMIN: Final = and_(users.c.role == Role.ADMIN.value, users.c.disabled_at.is_(None))
# Made once: every request asks one of them.
_BY_NAME: Final = select(users).where(users.c.name == bindparam("name"))
_OF_SESSION: Final = tuple(column.label(_PREFIX + column.name) for column in sessions.c)
_BY_SESSION: Final = (
    select(users, *_OF_SESSION)
    .join(sessions, sessions.c.user_name == users.c.name)
    .where(sessions.c.session_id == bindparam("session_id"))
)


class UserRecords:
    """A UserStore."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    async def add(self, user: User) -> None:
        """
        Add a user.

        Raises:
            UserExistsError: The name is taken.
        """
        try:
            await self._database.execute(insert(users).values(_values(user)))
        except IntegrityError as exc:
            raise UserExistsError(f"a user {user.name!r} exists") from exc

    async def add_first(self, user: User) -> bool:
        """
        Add a user unless there is one, whoever else does the same at this moment.

        Returns:
            Whether it was added.
        """

        async def work(connection: AsyncConnection) -> bool:
            # Servers lock the gap that a first row would go into: of two that hold it neither can insert,
            # one is told so and tries again. SQLite has one writer at a time.
            # https://dev.mysql.com/doc/refman/8.4/en/innodb-locking.html#innodb-gap-locks
            known = await connection.execute(select(users.c.name).limit(1).with_for_update())
            if known.first() is not None:
                return False
            await connection.execute(insert(users).values(_values(user)))
            return True

        return await self._database.write(work)

    async def get(self, name: str) -> User:
        """
        Read one user.

        Returns:
            It, as it was saved last.

        Raises:
            UserNotFoundError: There is none of this name.
        """
        found = await self.find(name)
        if found is None:
            raise UserNotFoundError(f"no user {name[:80]!r}")
        return found

    async def find(self, name: str) -> User | None:
        """Return one user, None when there is none."""
        found = await self._database.rows(_BY_NAME, {"name": name})
        return _user(found[0]) if found else None

    async def list(self) -> Sequence[User]:
        """Return all users by name."""
        return [
            _user(row) for row in await self._database.rows(select(users).order_by(users.c.name))
        ]

    async def replace(self, before: User, after: User, ended: EndedLogins | None = None) -> bool:
        """
        Write role, hash and `disabled_at` of a user, and end logins by that, in one transaction.

        Returns:
            Whether the user still was as `before`; otherwise nothing was changed.

        Raises:
            ConflictError: No admin would be left, also of those that others change at this moment.
        """
        known = (
            users.c.name == before.name,
            users.c.role == before.role.value,
            users.c.password_hash == before.password_hash,
            users.c.disabled_at == before.disabled_at,  # IS NULL where it is None
        )
        change = update(users).where(*known).values(_changeable(after))

        # Locked: the last two admins must not take the role from each other. Servers have one of them wait, and
        # look again, or tell one that it is a deadlock, which is tried again. SQLite has one writer at a time.
        others = (
            select(users.c.name).where(_IS_ADMIN, users.c.name != before.name).with_for_update()
        )

        async def work(connection: AsyncConnection) -> bool:
            is_last = (
                before.is_admin and not after.is_admin
                and (await connection.execute(others)).first() is None
            )  # fmt: skip
            if not (await connection.execute(change)).rowcount:
                return False
            if is_last:
                raise ConflictError(
                    f"{before.name} is the last admin", hint="Make another user an admin first."
                )
            if ended is not None:
                await connection.execute(_end_of(after.name, ended))
            return True

        return await self._database.write(work)

    async def open_session(self, session: LoginSession) -> None:
        """
        Add a login.

        Raises:
            UserNotFoundError: Its user does not exist.
        """
        values = {
            "session_id": session.session_id,
            "user_name": session.user,
            "refresh_digest": session.refresh_digest,
            "created_at": session.created_at,
            "expires_at": session.expires_at,
            "revoked_at": session.revoked_at,
            "kind": session.kind.value,
            "proven_at": session.proven_at,
        }
        try:
            await self._database.execute(insert(sessions).values(values))
        except IntegrityError as exc:  # ids are random; what is left is the foreign key
            raise UserNotFoundError(f"no user {session.user!r}") from exc

    async def find_session(self, session_id: str) -> tuple[LoginSession, User] | None:
        """Return a login and its user in one query."""
        found = await self._database.rows(_BY_SESSION, {"session_id": session_id})
        return (_session(found[0]), _user(found[0])) if found else None

    async def list_sessions(self, user: str) -> Sequence[LoginSession]:
        """Return all logins of a user that are kept, also those that are over, newest first."""
        wanted = (
            select(*_OF_SESSION)
            .where(sessions.c.user_name == user)
            .order_by(sessions.c.created_at.desc(), sessions.c.session_id)
        )
        return [_session(row) for row in await self._database.rows(wanted)]

    async def rotate(self, session_id: str, *, old: str, new: str, expires_at: datetime) -> bool:
        """
        Replace the digest of a refresh token, in one statement.

        Returns:
            Whether `old` was the good one and the login not revoked; otherwise nothing was changed.
            That of a browser is never rotated: its cookie is no refresh token.
        """
        statement = (
            update(sessions)
            .where(
                sessions.c.session_id == session_id,
                sessions.c.refresh_digest == old,
                sessions.c.revoked_at.is_(None),
                sessions.c.kind == SessionKind.TOKEN.value,
            )
            .values(refresh_digest=new, expires_at=expires_at)
        )
        return await self._database.execute(statement) == 1

    async def prolong(
        self, session_id: str, *, expires_at: datetime, proven_at: datetime | None
    ) -> None:
        """Let a login last longer, and note when its password was last given."""
        await self._database.execute(
            update(sessions)
            .where(sessions.c.session_id == session_id, sessions.c.revoked_at.is_(None))
            .values(expires_at=expires_at, proven_at=proven_at)
        )

    async def revoke(self, session_id: str, at: datetime) -> None:
        """End a login; one that is over or unknown is fine."""
        await self._database.execute(
            update(sessions)
            .where(sessions.c.session_id == session_id, sessions.c.revoked_at.is_(None))
            .values(revoked_at=at)
        )

    async def delete_sessions(self, before: datetime) -> None:
        """Delete logins that expired before an instant."""
        await self._database.execute(delete(sessions).where(sessions.c.expires_at < before))


def _values(user: User) -> dict[str, object]:
    return {"name": user.name, "created_at": user.created_at, **_changeable(user)}


def _changeable(user: User) -> dict[str, object]:
    return {
        "role": user.role.value,
        "password_hash": user.password_hash,
        "disabled_at": user.disabled_at,
    }


def _end_of(user: str, ended: EndedLogins) -> Update:
    """Make the statement that ends logins; those that are over keep their time."""
    wanted = [sessions.c.user_name == user, sessions.c.revoked_at.is_(None)]
    if ended.kind is not None:
        wanted.append(sessions.c.kind == ended.kind.value)
    return update(sessions).where(*wanted).values(revoked_at=ended.at)


def _user(row: RowMapping) -> User:
    return User(
        name=row["name"],
        role=Role(row["role"]),
        password_hash=row["password_hash"],
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


def _session(row: RowMapping) -> LoginSession:
    return LoginSession(
        session_id=row["session_session_id"],
        user=row["session_user_name"],
        refresh_digest=row["session_refresh_digest"],
        created_at=row["session_created_at"],
        expires_at=row["session_expires_at"],
        revoked_at=row["session_revoked_at"],
        kind=SessionKind(row["session_kind"]),
        proven_at=row["session_proven_at"],
    )
