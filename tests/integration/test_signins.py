"""Logins, from the password to the logout, on the records that the service has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from app.control.database import ControlDatabase
from app.control.users import UserRecords
from app.domain.user import Identity, Role
from app.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthenticatedError,
    TooManyAttemptsError,
    UserExistsError,
    UserNotFoundError,
)
from app.security.attempts import Attempts
from app.security.keys import KeyRing
from app.security.passwords import Cost, Passwords
from app.security.tokens import AccessTokens
from app.services.signins import Grant, SignInService
from app.services.users import UserService


PASSWORD, OTHER = "correct horse battery", "staple of another kind"
HOME, AWAY = "192.0.2.1", "198.51.100.7"
CHEAP = Cost(passes=1, memory_kib=256, lanes=1)


class TravellingClock:
    """The machine's clock, moved forward by tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Return the instant of the test."""
        return datetime.now(UTC) + self.ahead  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now().timestamp()


class World:
    """A service on a database of its own, with the user ann, an operator."""

    def __init__(self, database: ControlDatabase, cost: Cost, attempts: Attempts) -> None:
        self.store = UserRecords(database)
        self.clock = TravellingClock()
        self.passwords = Passwords(cost)
        self.tokens = AccessTokens(
            KeyRing(b"s" * 32), "backstay", "backstay", self.clock, timedelta(minutes=15)
        )
        self.users = UserService(self.store, self.passwords, self.clock)
        self.signins = self.signins_at(self.passwords, attempts)

    def signins_at(self, passwords: Passwords, attempts: Attempts) -> SignInService:
        """Make another service on the same records."""
        return SignInService(self.store, self.tokens, passwords, attempts, self.clock)

    async def login(self, name: str = "ann", password: str = PASSWORD) -> Grant:
        """Log in from home."""
        return await self.signins.sign_in(name, password, HOME)

    async def refused(self, name: str, password: str, address: str = HOME) -> str:
        """Fail to log in, and return what is told."""
        with pytest.raises(NotAuthenticatedError) as caught:
            await self.signins.sign_in(name, password, address)
        return str(caught.value)

    async def is_over(self, grant: Grant) -> bool:
        """Tell whether neither token of a grant is good any more; spends the refresh token."""
        with pytest.raises(NotAuthenticatedError):
            await self.signins.refresh(grant.refresh_token, HOME)
        with pytest.raises(NotAuthenticatedError):
            await self.signins.identify(grant.access_token)
        return True


@asynccontextmanager
async def world(
    path: Path, cost: Cost = CHEAP, *, attempts: Attempts | None = None, ann: bool = True
) -> AsyncIterator[World]:
    """Make a world; without attempts of its own nobody is ever refused for too many."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{path / 'control.db'}", path)
    await database.prepare()
    made = World(database, cost, attempts or Attempts(by_user=1000, by_address=1000))
    if ann:
        await made.users.create("ann", PASSWORD, Role.OPERATOR)
    try:
        yield made
    finally:
        await database.close()


async def test_a_password_becomes_tokens_that_tell_who_it_is(tmp_path):
    """However the name is written."""
    async with world(tmp_path) as here:
        grant = await here.login("Ann")

        assert (grant.role, grant.expires_in) == (Role.OPERATOR, 900)
        found = await here.signins.identify(grant.access_token)
        assert (found.name, found.role) == ("ann", Role.OPERATOR)
        assert found.session_id == grant.refresh_token.split(".")[0]


async def test_the_database_holds_no_token_and_no_password(tmp_path):
    """Whoever reads it cannot log in."""
    async with world(tmp_path) as here:
        grant = await here.login()

    held = b"".join(file.read_bytes() for file in tmp_path.glob("control.db*"))
    assert grant.refresh_token.split(".")[0].encode() in held
    assert grant.refresh_token.split(".")[1].encode() not in held
    assert PASSWORD.encode() not in held


async def test_nobody_learns_which_names_there_are(tmp_path):
    """Unknown, disabled and wrong are told the same words."""
    async with world(tmp_path) as here:
        await here.users.create("bob", PASSWORD, Role.VIEWER)
        await here.users.change("bob", disabled=True)

        names = ("ann", "nobody", "bob", "", "\0", "\ud800", "x" * 100_000, "' or 1=1 --")
        told = {await here.refused(name, OTHER) for name in names}
        told |= {await here.refused("bob", PASSWORD), await here.refused("ann", "")}

    assert told == {"wrong user name or password"}


async def test_nobody_learns_from_the_time_which_names_there_are(tmp_path):
    """Unknown, disabled and wrong take about as long, at the cost that the service has."""
    async with world(tmp_path, Cost()) as here:
        await here.users.create("bob", PASSWORD, Role.VIEWER)
        await here.users.change("bob", disabled=True)
        seconds: dict[str, list[float]] = {"ann": [], "nobody": [], "bob": [], "no name!": []}
        for _ in range(5):
            for name, taken in seconds.items():
                began = perf_counter()
                await here.refused(name, OTHER)
                taken.append(perf_counter() - began)

    medians = [median(taken) for taken in seconds.values()]
    assert max(medians) < 2 * min(medians)


async def test_a_refresh_token_is_good_once(tmp_path):
    """The next grant is of the same login, with other tokens."""
    async with world(tmp_path) as here:
        first = await here.login()
        second = await here.signins.refresh(first.refresh_token, AWAY)

        assert second.refresh_token != first.refresh_token
        assert second.access_token != first.access_token
        one, two = [await here.signins.identify(g.access_token) for g in (first, second)]
        assert one == two
        assert (await here.signins.refresh(second.refresh_token, HOME)).role is Role.OPERATOR


async def test_a_refresh_token_that_comes_again_ends_the_login(tmp_path):
    """Somebody else has it; other logins of the user go on."""
    async with world(tmp_path) as here:
        first, other = await here.login(), await here.login()
        second = await here.signins.refresh(first.refresh_token, HOME)

        assert await here.is_over(first)
        assert await here.is_over(second)
        assert (await here.signins.identify(other.access_token)).role is Role.OPERATOR
        assert (await here.signins.refresh(other.refresh_token, HOME)).role is Role.OPERATOR


async def test_of_many_at_once_one_refresh_token_serves_one(tmp_path):
    """And the login ends, as with any token that comes again."""
    async with world(tmp_path) as here:
        first = await here.login()
        refreshes = (here.signins.refresh(first.refresh_token, HOME) for _ in range(10))
        answers = await asyncio.gather(*refreshes, return_exceptions=True)

        grants = [answer for answer in answers if isinstance(answer, Grant)]
        assert len(grants) == 1
        assert sum(isinstance(one, NotAuthenticatedError) for one in answers) == 9
        assert await here.is_over(grants[0])


@pytest.mark.parametrize(
    "token", ["", ".", "x", "x.y", ".y", "x.", "\0.\0", "\ud800.x", "x." + "y" * 5000, "é.é"]
)
async def test_a_refresh_token_of_nobody_is_refused(tmp_path, token):
    """Whatever it is made of; logging out with it is fine and does nothing."""
    async with world(tmp_path) as here:
        grant = await here.login()
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh(token, HOME)
        await here.signins.sign_out(token)

        assert (await here.signins.identify(grant.access_token)).role is Role.OPERATOR


async def test_a_wrong_secret_for_a_login_ends_it(tmp_path):
    """Nobody can guess at a login that they know the id of."""
    async with world(tmp_path) as here:
        grant = await here.login()
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh(grant.refresh_token[:-1] + "~", HOME)

        assert await here.is_over(grant)


async def test_logging_out_ends_the_login_at_once(tmp_path):
    """By the access token or by the refresh token; twice is fine."""
    async with world(tmp_path) as here:
        one, two, three = [await here.login() for _ in range(3)]
        who = await here.signins.identify(one.access_token)
        for _ in range(2):
            await here.signins.sign_out(who)
            await here.signins.sign_out(two.refresh_token)
        await here.signins.sign_out(Identity("jane", Role.ADMIN))

        assert await here.is_over(one)
        assert await here.is_over(two)
        assert (await here.signins.identify(three.access_token)).role is Role.OPERATOR


async def test_a_new_role_counts_at_once(tmp_path):
    """For tokens that were made before, too."""
    async with world(tmp_path) as here:
        grant = await here.login()
        await here.users.change("ann", role=Role.VIEWER)

        assert (await here.signins.identify(grant.access_token)).role is Role.VIEWER
        assert (await here.signins.refresh(grant.refresh_token, HOME)).role is Role.VIEWER


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": OTHER}])
async def test_a_new_password_or_being_disabled_ends_all_logins(tmp_path, change):
    """At once; the old password is then a wrong one."""
    async with world(tmp_path) as here:
        grants = [await here.login() for _ in range(2)]
        await here.users.change("ANN", **change)

        for grant in grants:
            assert await here.is_over(grant)
        await here.refused("ann", PASSWORD)


async def test_a_password_that_changes_while_somebody_logs_in_lets_nobody_in(tmp_path):
    """Whichever of the two is first, no login by the old password is left."""
    async with world(tmp_path, Cost(passes=2, memory_kib=4096, lanes=1)) as here:
        for number in range(10):
            old, new = (PASSWORD, OTHER) if number % 2 == 0 else (OTHER, PASSWORD)
            logins = [asyncio.create_task(here.login(password=old)) for _ in range(6)]
            await asyncio.sleep(0.005 * number)
            await here.users.change("ann", password=new)
            for answer in await asyncio.gather(*logins, return_exceptions=True):
                if isinstance(answer, Grant):
                    assert await here.is_over(answer)
                else:
                    assert isinstance(answer, NotAuthenticatedError)


async def test_an_enabled_user_logs_in_again(tmp_path):
    """With the password of before; logins of before stay over."""
    async with world(tmp_path) as here:
        before = await here.login()
        await here.users.change("ann", disabled=True)
        since = (await here.users.get("ann")).disabled_at
        await here.users.change("ann", disabled=True)
        assert (await here.users.get("ann")).disabled_at == since
        await here.users.change("ann", disabled=False)

        assert await here.is_over(before)
        assert (await here.login()).role is Role.OPERATOR


async def test_a_login_ends_when_nobody_refreshes_it(tmp_path):
    """After 30 days from the last refresh; its record can then be forgotten."""
    async with world(tmp_path) as here:
        grant = await here.login()
        here.clock.ahead += timedelta(days=29)
        grant = await here.signins.refresh(grant.refresh_token, HOME)
        here.clock.ahead += timedelta(days=29)
        await here.signins.forget_expired()
        grant = await here.signins.refresh(grant.refresh_token, HOME)
        here.clock.ahead += timedelta(days=31)

        assert await here.is_over(grant)
        await here.signins.forget_expired()
        assert await here.store.find_session(grant.refresh_token.split(".")[0]) is None


async def test_an_access_token_is_good_for_15_minutes(tmp_path):
    """The login lasts longer."""
    async with world(tmp_path) as here:
        grant = await here.login()
        here.clock.ahead += timedelta(minutes=16)

        with pytest.raises(NotAuthenticatedError, match="expired"):
            await here.signins.identify(grant.access_token)
        assert (await here.signins.refresh(grant.refresh_token, HOME)).role is Role.OPERATOR


async def test_a_token_of_another_application_needs_no_user_here(tmp_path):
    """But a user here of the same name who is disabled is that one."""
    async with world(tmp_path) as here:
        jane, ann = (here.tokens.mint(Identity(name, Role.ADMIN)) for name in ("Jané", "Ann"))

        assert await here.signins.identify(jane) == Identity("Jané", Role.ADMIN)
        assert await here.signins.identify(ann) == Identity("Ann", Role.ADMIN)
        await here.users.change("ann", disabled=True)
        with pytest.raises(NotAuthenticatedError):
            await here.signins.identify(ann)


async def test_a_login_serves_no_other_name(tmp_path):
    """A token that combines one name with the login of another is nobody's."""
    async with world(tmp_path) as here:
        grant = await here.login()
        who = await here.signins.identify(grant.access_token)
        forged = (replace(who, name="bob"), replace(who, session_id="0" * 32))

        for one in forged:
            with pytest.raises(NotAuthenticatedError):
                await here.signins.identify(here.tokens.mint(one))


async def test_too_many_failures_of_a_user_close_the_door_for_everybody(tmp_path):
    """From all addresses and with the right password too, until the window has moved on."""
    attempts = Attempts(by_user=3, by_address=100, window_seconds=2)
    async with world(tmp_path, attempts=attempts) as here:
        await here.login()
        for number in range(3):
            await here.refused("ANN" if number else "ann", OTHER, f"192.0.2.{number}")
        with pytest.raises(TooManyAttemptsError) as caught:
            await here.signins.sign_in("Ann", PASSWORD, AWAY)
        assert 1 <= caught.value.seconds <= 2
        await asyncio.sleep(2.05)

        assert (await here.login()).role is Role.OPERATOR


async def test_too_many_failures_from_an_address_close_the_door_to_it(tmp_path):
    """Whichever names are tried, unknown ones and refresh tokens too; others are let in."""
    async with world(tmp_path, attempts=Attempts(by_user=100, by_address=4)) as here:
        grant = await here.login()
        for name in ("ann", "nobody", "somebody"):
            await here.refused(name, OTHER)
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh("x.y", HOME)

        with pytest.raises(TooManyAttemptsError):
            await here.login()
        with pytest.raises(TooManyAttemptsError):
            await here.signins.refresh(grant.refresh_token, HOME)
        assert (await here.signins.sign_in("ann", PASSWORD, AWAY)).role is Role.OPERATOR


async def test_many_guesses_at_once_are_no_more_than_allowed(tmp_path):
    """The rest is refused before it costs a hash."""
    async with world(tmp_path, attempts=Attempts()) as here:
        guesses = (here.signins.sign_in("ann", OTHER, f"192.0.2.{n}") for n in range(100))
        answers = await asyncio.gather(*guesses, return_exceptions=True)

    assert sum(isinstance(one, NotAuthenticatedError) for one in answers) == 5
    assert sum(isinstance(one, TooManyAttemptsError) for one in answers) == 95


async def test_successes_are_not_counted(tmp_path):
    """Twenty logins at once, and then some."""
    async with world(tmp_path, attempts=Attempts()) as here:
        grants = await asyncio.gather(*(here.login() for _ in range(20)))

        assert len({grant.refresh_token for grant in grants}) == 20
        assert (await here.login()).role is Role.OPERATOR


async def test_a_hash_of_an_older_cost_is_renewed_by_a_login(tmp_path):
    """Nothing else about the user changes, and the login goes on."""
    async with world(tmp_path) as here:
        before = await here.users.get("ann")
        dearer = Passwords(Cost(passes=2, memory_kib=512, lanes=1))
        signins = here.signins_at(dearer, Attempts())
        await here.refused("ann", OTHER)
        assert await here.users.get("ann") == before

        grant = await signins.sign_in("ann", PASSWORD, HOME)

        after = await here.users.get("ann")
        assert after.password_hash.startswith("$argon2id$v=19$m=512,")
        assert replace(after, password_hash=before.password_hash) == before
        assert (await signins.identify(grant.access_token)).role is Role.OPERATOR
        assert (await signins.sign_in("ann", PASSWORD, HOME)).role is Role.OPERATOR


async def test_the_first_admin_is_made_once(tmp_path):
    """Of ten at once one tells that it was made, also with two services on one database."""
    async with world(tmp_path, ann=False) as here, world(tmp_path, ann=False) as there:
        calls = [one.users.ensure_first_admin(PASSWORD) for one in (here, there) * 5]

        assert sorted(await asyncio.gather(*calls)) == [False] * 9 + [True]
        assert [(one.name, one.role) for one in await here.users.list()] == [("admin", Role.ADMIN)]
        assert not await here.users.ensure_first_admin(OTHER)
        assert (await here.login("admin")).role is Role.ADMIN


async def test_there_is_no_first_admin_where_somebody_is(tmp_path):
    """Not even where nobody is an admin: that is for the command line."""
    async with world(tmp_path) as here:
        assert not await here.users.ensure_first_admin(PASSWORD)
        assert await here.users.count() == 1


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.OPERATOR}])
async def test_the_last_admin_stays(tmp_path, change):
    """A disabled one does not count; of two at once one stays."""
    async with world(tmp_path) as here:
        for name in ("eve", "kim", "zoe"):
            await here.users.create(name, PASSWORD, Role.ADMIN)
        await here.users.change("zoe", disabled=True)
        grant = await here.login("eve")

        changes = (here.users.change(name, **change) for name in ("kim", "eve"))
        answers = await asyncio.gather(*changes, return_exceptions=True)

        assert [type(one) for one in answers].count(ConflictError) == 1
        assert (await here.users.get("eve")).role is Role.ADMIN
        assert (await here.signins.identify(grant.access_token)).role is Role.ADMIN
        with pytest.raises(ConflictError, match="last admin"):
            await here.users.change("eve", **change)
        await here.users.change("eve", password=OTHER)
        await here.users.change("zoe", disabled=False)
        await here.users.change("eve", **change)


async def test_names_are_taken_however_they_are_written(tmp_path):
    """And kept in lower case."""
    async with world(tmp_path) as here:
        assert (await here.users.create("Bob", PASSWORD, Role.VIEWER)).name == "bob"
        with pytest.raises(UserExistsError):
            await here.users.create("BOB", PASSWORD, Role.VIEWER)
        assert [one.name for one in await here.users.list()] == ["ann", "bob"]


async def test_what_makes_no_sense_changes_nothing(tmp_path):
    """Short passwords, strange names, unknown users."""
    async with world(tmp_path) as here:
        before = await here.users.list()
        for name, password in (
            ("bob", "short"),
            ("b ob", PASSWORD),
            ("", PASSWORD),
            ("b\0", OTHER),
        ):
            with pytest.raises(InvalidRequestError):
                await here.users.create(name, password, Role.ADMIN)
        with pytest.raises(InvalidRequestError):
            await here.users.change("ann", password="short", role=Role.ADMIN)
        for change in ({"password": OTHER}, {"role": Role.ADMIN}, {"disabled": True}):
            with pytest.raises(UserNotFoundError):
                await here.users.change("nobody", **change)

        assert await here.users.list() == before
