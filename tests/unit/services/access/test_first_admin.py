"""The token of the first admin: how long it is good, and what ends it."""

from datetime import timedelta

import pytest

from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.domain.access.audit import ChangeNote
from app.errors import NotAuthenticatedError, NotFoundError, TooManyAttemptsError
from app.security.attempts import Attempts
from app.security.keys import KeyRing
from app.security.passwords import Cost, Passwords
from app.security.tokens import AccessTokens
from app.services.access.browser_logins import BrowserLogins
from app.services.access.first_admin import FirstAdminService
from app.services.access.sign_ins import SignInService
from app.services.access.users import UserService
from tests.fixtures.clocks import SetClock
from tests.fixtures.control import furnish


PASSWORD = "correct horse battery staple"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def clock():
    """A clock that tests set."""
    return SetClock()


@pytest.fixture
def told():
    """The tokens that were told, oldest first."""
    return []


@pytest.fixture
async def first_admin(tmp_path, clock, told):
    """The service, on an empty control database."""
    furnish(tmp_path)
    control = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path}/control.db", tmp_path)
    await control.prepare()
    store, passwords = UserRecords(control), Passwords(Cost(1, 8, 1))
    keys = KeyRing(b"a secret of these tests, long enough")
    tokens = AccessTokens(keys, "backstay", "backstay", clock, timedelta(minutes=15))
    attempts = Attempts(slow_seconds=0.01)
    sign_ins = SignInService(store, tokens, passwords, attempts, clock)
    users = UserService(store, passwords, clock)
    logins = BrowserLogins(store, sign_ins, clock)
    yield FirstAdminService(users, logins, attempts, clock, told.append)
    await control.close()


async def test_a_token_is_good_for_an_hour(first_admin, clock, told):
    """Whoever comes later is refused, and another one is told; asking for it before changes nothing."""
    await first_admin.invite()
    clock.at += timedelta(minutes=59)
    await first_admin.invite()
    await first_admin.prove(told[0], HOME)
    clock.at += timedelta(minutes=1)
    with pytest.raises(NotAuthenticatedError):
        await first_admin.prove(told[0], HOME)

    assert len(told) == 2
    await first_admin.prove(told[1], HOME)


async def test_wrong_tokens_from_many_addresses_end_a_token_together(first_admin, told):
    """Four do not, the fifth does; the new one is good at once from where nobody has guessed."""
    await first_admin.invite()
    for number in range(5):
        assert len(told) == 1
        with pytest.raises(NotAuthenticatedError):
            await first_admin.prove("\ud800wrong", f"203.0.113.{number}")

    assert len(told) == 2
    with pytest.raises(NotAuthenticatedError):
        await first_admin.prove(told[0], HOME)
    await first_admin.prove(told[1], HOME)


async def test_whoever_guesses_waits(first_admin, told):
    """Also with the right token; others do not."""
    await first_admin.invite()
    for _ in range(5):
        with pytest.raises(NotAuthenticatedError):
            await first_admin.prove("wrong", HOME)
    with pytest.raises(TooManyAttemptsError):
        await first_admin.prove(told[-1], HOME)
    await first_admin.prove(told[-1], ELSEWHERE)


async def test_with_an_admin_it_is_over(first_admin, clock, told):
    """No token is good or told any more, however long it takes."""
    await first_admin.invite()
    login = await first_admin.create("Alice", PASSWORD, HOME, ChangeNote())
    assert login.identity.name == "alice"
    assert not await first_admin.is_needed()

    clock.at += timedelta(hours=2)
    await first_admin.invite()
    for work in (
        first_admin.prove(told[0], HOME),
        first_admin.prove("", HOME),
        first_admin.create("mallory", PASSWORD, HOME, ChangeNote()),
    ):
        with pytest.raises(NotFoundError):
            await work
    assert len(told) == 1
