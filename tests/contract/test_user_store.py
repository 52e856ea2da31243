"""Users and logins in the control database: one suite, run on SQLite and on MariaDB."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from app.control.database import ControlDatabase
from app.control.tables import users as table_of_users
from app.control.users import UserRecords
from app.domain.access.user import LoginSession, Role, SessionKind
from app.domain.stores import EndedLogins, UserStore
from app.errors import ConflictError, UserExistsError, UserNotFoundError
from tests.fixtures.records import NOON, second, user


FIRST = {"name": "first", "role": "admin", "password_hash": "", "created_at": NOON}


def session(number: int = 1, **changes) -> LoginSession:
    """Make the n-th login of alice."""
    made = LoginSession(f"session{number}", "alice", "0" * 64, NOON, NOON + timedelta(days=1))
    return replace(made, **changes)


@pytest.fixture
def users(control) -> UserStore:
    """An empty store of users."""
    return UserRecords(control)


async def test_of_many_first_users_one_is_added(control_address, users, tmp_path):
    """By two processes, and by several tasks of each, all at once; and none when there is one."""
    other = ControlDatabase(control_address, tmp_path / "state")
    stores = (users, UserRecords(other))
    names = [f"admin{number}" for number in range(10)]
    added = await asyncio.gather(
        *(stores[number % 2].add_first(user(name)) for number, name in enumerate(names))
    )
    assert added.count(True) == 1
    assert await users.list() == [user(names[added.index(True)])]

    assert not await users.add_first(user("late"))
    assert len(await users.list()) == 1
    await other.close()


async def test_a_first_user_waits_for_one_that_is_being_added(control, users):
    """What another transaction has not committed yet counts when it is."""
    async with control.writing() as connection:
        await connection.execute(insert(table_of_users).values(**FIRST))
        waiting = asyncio.create_task(users.add_first(user("second")))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert await waiting is False
    assert [known.name for known in await users.list()] == ["first"]


async def test_users_are_kept(users):
    """Added once, changed by name, listed by name, and found only by exactly that name."""
    for name in ("bob", "alice", "a.b@c-d_e"):
        await users.add(user(name))
    with pytest.raises(UserExistsError, match="bob"):
        await users.add(user("bob", role=Role.VIEWER))
    changed = user("bob", role=Role.OPERATOR, password_hash="$x", disabled_at=second(1))
    assert await users.replace(await users.get("bob"), changed)
    assert await users.replace(changed, changed)

    assert await users.get("bob") == changed
    assert await users.list() == [user("a.b@c-d_e"), user("alice"), changed]
    for name in ("BOB", "bob ", "b\u00f6b", "", "\U0001f600", "x" * 5000, "bob\x00"):
        assert await users.find(name) is None
        with pytest.raises(UserNotFoundError):
            await users.get(name)
    assert not await users.replace(user("nobody"), user("nobody"))


@pytest.mark.parametrize(
    "meanwhile",
    [{"role": Role.OPERATOR}, {"password_hash": "$other"}, {"disabled_at": second(5)}],
    ids=["role", "password", "disabled"],
)
async def test_a_user_who_was_changed_meanwhile_is_not_overwritten(users, meanwhile):
    """Whoever has read them before tries again; no login ends by what was not done."""
    before, now = user(role=Role.VIEWER), user(**{"role": Role.VIEWER, **meanwhile})
    await users.add(before)
    await users.open_session(session(1))
    assert await users.replace(before, now)

    changed = user(role=Role.VIEWER, password_hash="$mine")
    assert not await users.replace(before, changed, EndedLogins(second(9)))
    assert await users.get("alice") == now
    assert [known.revoked_at for known in await users.list_sessions("alice")] == [None]


@pytest.mark.parametrize("change", [{"role": Role.VIEWER}, {"disabled_at": second(1)}], ids=str)
async def test_of_the_last_admins_one_stays(control_address, users, tmp_path, change):
    """Also where two processes take the role from each of them at the same moment; a disabled one is none."""
    other = ControlDatabase(control_address, tmp_path / "state")
    stores = (users, UserRecords(other))
    admins = [user(f"admin{number}", role=Role.ADMIN) for number in range(8)]
    for admin in (*admins, user("disabled", role=Role.ADMIN, disabled_at=NOON)):
        await users.add(admin)

    answers = await asyncio.gather(
        *(
            stores[number % 2].replace(admin, replace(admin, **change))
            for number, admin in enumerate(admins)
        ),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if answer is not True]
    assert [(type(answer), str(answer)) for answer in refused] == [
        (ConflictError, f"{admins[answers.index(refused[0])].name} is the last admin")
    ]
    assert [known.is_admin for known in await users.list()].count(True) == 1
    await other.close()


async def test_a_login_is_found_with_its_user(users):
    """In one query; a login of nobody cannot be made."""
    await users.add(user())
    await users.open_session(session())

    assert await users.find_session("session1") == (session(), user())
    assert await users.find_session("session2") is None
    with pytest.raises(UserNotFoundError):
        await users.open_session(session(2, user="nobody"))


async def test_the_logins_of_a_user_are_listed(users):
    """All that are kept, newest first, and nobody else's."""
    await users.add(user())
    await users.add(user("bob"))
    for number in (1, 2):
        await users.open_session(session(number, created_at=NOON + timedelta(hours=number)))
    await users.open_session(session(3, user="bob"))
    await users.revoke("session1", second(1))

    found = await users.list_sessions("alice")

    assert [known.session_id for known in found] == ["session2", "session1"]
    assert found[1] == session(created_at=NOON + timedelta(hours=1), revoked_at=second(1))
    assert await users.list_sessions("nobody") == []


async def test_one_of_many_rotations_wins(users):
    """Of twenty refreshes at once with one token, one is answered; the login has that one's digest."""
    await users.add(user())
    await users.open_session(session())

    won = await asyncio.gather(
        *(
            users.rotate("session1", old="0" * 64, new=f"{number:064x}", expires_at=second(number))
            for number in range(1, 21)
        )
    )

    assert won.count(True) == 1
    winner = won.index(True) + 1
    found = await users.find_session("session1")
    assert found is not None
    assert found[0] == session(refresh_digest=f"{winner:064x}", expires_at=second(winner))


async def test_a_revoked_login_is_over(users):
    """It is not refreshed any more, and the time of its end stays."""
    await users.add(user())
    await users.add(user("bob"))
    for number in (1, 2):
        await users.open_session(session(number))
    await users.open_session(session(3, user="bob"))
    await users.revoke("session1", second(1))
    await users.revoke("session1", second(2))
    await users.revoke("unknown", second(2))
    assert await users.replace(user(), user(), EndedLogins(second(3)))

    ends = []
    for number in (1, 2, 3):
        found = await users.find_session(f"session{number}")
        assert found is not None
        ends.append(found[0].revoked_at)
    assert ends == [second(1), second(3), None]
    assert not await users.rotate("session1", old="0" * 64, new="1" * 64, expires_at=NOON)
    assert await users.rotate("session3", old="0" * 64, new="1" * 64, expires_at=NOON)


async def test_logins_of_one_kind_are_revoked(users):
    """Those of programs go on where only those of browsers end."""
    await users.add(user())
    await users.open_session(session(1))
    await users.open_session(session(2, kind=SessionKind.BROWSER))
    assert await users.replace(user(), user(), EndedLogins(second(3), SessionKind.BROWSER))

    found = await users.list_sessions("alice")
    assert {known.session_id: known.revoked_at for known in found} == {
        "session1": None,
        "session2": second(3),
    }


async def test_a_browsers_login_is_prolonged_and_never_rotated(users):
    """Its cookie is no refresh token; when the password was given is kept."""
    await users.add(user())
    await users.open_session(session(kind=SessionKind.BROWSER, proven_at=second(1)))
    await users.prolong("session1", expires_at=second(9), proven_at=second(2))

    assert not await users.rotate("session1", old="0" * 64, new="1" * 64, expires_at=NOON)
    found = await users.find_session("session1")
    assert found is not None
    assert found[0] == session(kind=SessionKind.BROWSER, proven_at=second(2), expires_at=second(9))
    await users.revoke("session1", second(3))
    await users.prolong("session1", expires_at=second(99), proven_at=second(99))
    found = await users.find_session("session1")
    assert found is not None
    assert found[0].expires_at == second(9)


async def test_expired_logins_are_deleted(users):
    """Those before the instant, not the one at it."""
    await users.add(user())
    for number in (1, 2, 3):
        await users.open_session(session(number, expires_at=second(number)))

    await users.delete_sessions(second(2))

    found = [await users.find_session(f"session{number}") is None for number in (1, 2, 3)]
    assert found == [True, False, False]
