"""Logins, from the password to the logout, on the records that the service has."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from time import process_time

import pytest

from app.domain.access.user import Grant, Identity, Role
from app.errors import (
    NotAuthenticatedError,
)
from app.security.passwords import Cost
from app.services.access.browser_logins import BrowserLogins
from tests.fixtures.sign_ins import AWAY, HOME, OTHER, PASSWORD, open_sign_ins


async def test_a_password_becomes_tokens_that_tell_who_it_is(tmp_path):
    """However the name is written."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login("Ann")

        assert (grant.role, grant.expires_in) == (Role.OPERATOR, 900)
        found = await here.signins.identify(grant.access_token)
        assert (found.name, found.role) == ("ann", Role.OPERATOR)
        assert found.session_id == grant.refresh_token.split(".")[0]


async def test_the_database_holds_no_token_and_no_password(tmp_path):
    """Whoever reads it cannot log in."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()

    held = b"".join(file.read_bytes() for file in tmp_path.glob("control.db*"))
    assert grant.refresh_token.split(".")[0].encode() in held
    assert grant.refresh_token.split(".")[1].encode() not in held
    assert PASSWORD.encode() not in held


async def test_nobody_learns_which_names_there_are(tmp_path):
    """Unknown, disabled and wrong are told the same words."""
    async with open_sign_ins(tmp_path) as here:
        await here.users.create("bob", PASSWORD, Role.VIEWER)
        await here.users.change("bob", disabled=True)

        names = ("ann", "nobody", "bob", "", "\0", "\ud800", "x" * 100_000, "' or 1=1 --")
        told = {await here.refused(name, OTHER) for name in names}
        told |= {await here.refused("bob", PASSWORD), await here.refused("ann", "")}

    assert told == {"wrong user name or password"}


async def test_nobody_learns_from_the_time_which_names_there_are(tmp_path):
    """Unknown, disabled and wrong take about as long, at the cost that the service has."""
    async with open_sign_ins(tmp_path, Cost()) as here:
        await here.users.create("bob", PASSWORD, Role.VIEWER)
        await here.users.change("bob", disabled=True)
        seconds: dict[str, list[float]] = {"ann": [], "nobody": [], "bob": [], "no name!": []}
        for _ in range(3):
            for name, taken in seconds.items():
                began = process_time()
                await here.refused(name, OTHER)
                taken.append(process_time() - began)

    # Of the processor, which others on the machine take less from; the fastest of each shows what is done.
    fastest = [min(taken) for taken in seconds.values()]
    assert max(fastest) < 2 * min(fastest)


async def test_a_refresh_token_is_good_once(tmp_path):
    """The next grant is of the same login, with other tokens."""
    async with open_sign_ins(tmp_path) as here:
        first = await here.login()
        second = await here.signins.refresh(first.refresh_token, AWAY)

        assert second.refresh_token != first.refresh_token
        assert second.access_token != first.access_token
        before, after = [
            await here.signins.identify(grant.access_token) for grant in (first, second)
        ]
        assert before == after
        assert (await here.signins.refresh(second.refresh_token, HOME)).role is Role.OPERATOR


async def test_a_refresh_token_that_comes_again_ends_the_login(tmp_path):
    """Somebody else has it; other logins of the user go on."""
    async with open_sign_ins(tmp_path) as here:
        first, other = await here.login(), await here.login()
        second = await here.signins.refresh(first.refresh_token, HOME)

        assert await here.is_over(first)
        assert await here.is_over(second)
        assert (await here.signins.identify(other.access_token)).role is Role.OPERATOR
        assert (await here.signins.refresh(other.refresh_token, HOME)).role is Role.OPERATOR


async def test_of_many_at_once_one_refresh_token_serves_one(tmp_path):
    """And the login ends, as with any token that comes again."""
    async with open_sign_ins(tmp_path) as here:
        first = await here.login()
        refreshes = (here.signins.refresh(first.refresh_token, HOME) for _ in range(10))
        answers = await asyncio.gather(*refreshes, return_exceptions=True)

        grants = [answer for answer in answers if isinstance(answer, Grant)]
        assert len(grants) == 1
        assert sum(isinstance(answer, NotAuthenticatedError) for answer in answers) == 9
        assert await here.is_over(grants[0])


@pytest.mark.parametrize(
    "token", ["", ".", "x", "x.y", ".y", "x.", "\0.\0", "\ud800.x", "x." + "y" * 5000, "é.é"]
)
async def test_a_refresh_token_of_nobody_is_refused(tmp_path, token):
    """Whatever it is made of; logging out with it is fine and does nothing."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh(token, HOME)
        await here.signins.sign_out(token)

        assert (await here.signins.identify(grant.access_token)).role is Role.OPERATOR


async def test_a_wrong_secret_for_a_login_ends_it(tmp_path):
    """Nobody can guess at a login that they know the id of."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh(grant.refresh_token[:-1] + "~", HOME)

        assert await here.is_over(grant)


async def test_logging_out_ends_the_login_at_once(tmp_path):
    """By the access token or by the refresh token; twice is fine."""
    async with open_sign_ins(tmp_path) as here:
        first, second, third = [await here.login() for _ in range(3)]
        who = await here.signins.identify(first.access_token)
        for _ in range(2):
            await here.signins.sign_out(who)
            await here.signins.sign_out(second.refresh_token)
        await here.signins.sign_out(Identity("jane", Role.ADMIN))

        assert await here.is_over(first)
        assert await here.is_over(second)
        assert (await here.signins.identify(third.access_token)).role is Role.OPERATOR


async def test_a_new_role_counts_at_once(tmp_path):
    """For tokens that were made before, too."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        await here.users.change("ann", role=Role.VIEWER)

        assert (await here.signins.identify(grant.access_token)).role is Role.VIEWER
        assert (await here.signins.refresh(grant.refresh_token, HOME)).role is Role.VIEWER


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": OTHER}])
async def test_a_new_password_or_being_disabled_ends_all_logins(tmp_path, change):
    """At once; the old password is then a wrong one."""
    async with open_sign_ins(tmp_path) as here:
        grants = [await here.login() for _ in range(2)]
        await here.users.change("ANN", **change)

        for grant in grants:
            assert await here.is_over(grant)
        await here.refused("ann", PASSWORD)


async def test_a_password_that_changes_while_somebody_logs_in_lets_nobody_in(tmp_path):
    """Whichever of the two is first, no login by the old password is left."""
    async with open_sign_ins(tmp_path, Cost(passes=2, memory_kib=4096, lanes=1)) as here:
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
    async with open_sign_ins(tmp_path) as here:
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
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        here.clock.ahead += timedelta(days=29)
        grant = await here.signins.refresh(grant.refresh_token, HOME)
        here.clock.ahead += timedelta(days=29)
        await here.signins.delete_expired()
        grant = await here.signins.refresh(grant.refresh_token, HOME)
        here.clock.ahead += timedelta(days=31)

        assert await here.is_over(grant)
        await here.signins.delete_expired()
        assert await here.store.find_session(grant.refresh_token.split(".")[0]) is None


async def test_an_access_token_is_good_for_15_minutes(tmp_path):
    """The login lasts longer."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        here.clock.ahead += timedelta(minutes=16)

        with pytest.raises(NotAuthenticatedError, match="expired"):
            await here.signins.identify(grant.access_token)
        assert (await here.signins.refresh(grant.refresh_token, HOME)).role is Role.OPERATOR


async def test_a_token_of_another_application_needs_no_user_here(tmp_path):
    """But a user here of the same name who is disabled is that one."""
    async with open_sign_ins(tmp_path) as here:
        jane, ann = (here.tokens.mint(Identity(name, Role.ADMIN)) for name in ("Jané", "Ann"))

        assert await here.signins.identify(jane) == Identity("Jané", Role.ADMIN)
        assert await here.signins.identify(ann) == Identity("Ann", Role.ADMIN)
        await here.users.change("ann", disabled=True)
        with pytest.raises(NotAuthenticatedError):
            await here.signins.identify(ann)


async def test_a_login_serves_no_other_name(tmp_path):
    """A token that combines one name with the login of another is nobody's."""
    async with open_sign_ins(tmp_path) as here:
        grant = await here.login()
        who = await here.signins.identify(grant.access_token)
        forged = (replace(who, name="bob"), replace(who, session_id="0" * 32))

        for claims in forged:
            with pytest.raises(NotAuthenticatedError):
                await here.signins.identify(here.tokens.mint(claims))


async def test_somebody_sees_and_ends_their_own_logins(tmp_path):
    """Those that are good, newest first; what is somebody else's or unknown is left alone."""
    async with open_sign_ins(tmp_path) as here:
        await here.users.create("bob", PASSWORD, Role.VIEWER)
        first, second, other = await here.login(), await here.login(), await here.login("bob")
        ids = [grant.refresh_token.split(".")[0] for grant in (first, second, other)]

        found = await here.signins.list_sessions("ann")
        assert {session.session_id for session in found} == set(ids[:2])
        for name in (ids[2], "unknown", ""):
            await here.signins.end_session("ann", name)
        await here.signins.end_session("ann", ids[0])

        left = await here.signins.list_sessions("ann")
        assert [session.session_id for session in left] == [ids[1]]
        assert (await here.signins.identify(other.access_token)).name == "bob"
        assert await here.is_over(first)
        here.clock.ahead = timedelta(days=31)
        assert await here.signins.list_sessions("ann") == []


async def test_a_login_lasts_no_longer_when_the_clock_is_set_back(tmp_path):
    """What a clock that was a year ahead has opened is over; a correction of minutes ends nothing."""
    async with open_sign_ins(tmp_path) as here:
        here.clock.ahead = timedelta(minutes=5)
        good = await here.login()
        here.clock.ahead = timedelta(days=365)
        ahead = await here.login()
        here.clock.ahead = timedelta()

        assert await here.is_over(ahead)
        await here.signins.refresh(good.refresh_token, HOME)


async def test_a_password_given_lately_is_that_of_ten_minutes_whatever_the_clock_does(tmp_path):
    """Set back an hour, it is asked for again; not so by a minute."""
    async with open_sign_ins(tmp_path) as here:
        logins = BrowserLogins(here.store, here.signins, here.clock)
        login = await logins.open("ann", PASSWORD, HOME)
        proven = []
        for minutes in (0, 9, 11, -1, -60):
            here.clock.ahead = timedelta(minutes=minutes)
            proven.append(logins.is_proven(login))

    assert proven == [True, True, False, True, False]
