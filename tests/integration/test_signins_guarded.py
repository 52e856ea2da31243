"""Logins against guessers, hashes that age, and the users that there must be."""

import asyncio
from dataclasses import replace

import pytest
import time_machine

from app.domain.access.user import Role
from app.errors import (
    ConflictError,
    InvalidRequestError,
    NotAuthenticatedError,
    TooManyAttemptsError,
    UserExistsError,
    UserNotFoundError,
)
from app.security.attempts import Attempts
from app.security.passwords import Cost, Passwords
from tests.fixtures.archives import NOON
from tests.fixtures.sign_ins import AWAY, HOME, OTHER, PASSWORD, open_sign_ins


async def test_too_many_failures_of_a_user_close_the_door_to_that_address(tmp_path):
    """With the right password too, until the window has moved on; elsewhere it stays open."""
    attempts = Attempts(by_user=3, by_address=100, window_seconds=2)
    with time_machine.travel(NOON, tick=False) as traveller:
        async with open_sign_ins(tmp_path, attempts=attempts) as here:
            await here.login()
            for number in range(3):
                await here.refused("ANN" if number else "ann", OTHER, AWAY)
            with pytest.raises(TooManyAttemptsError) as caught:
                await here.signins.sign_in("Ann", PASSWORD, AWAY)
            assert 1 <= caught.value.seconds <= 2
            assert (await here.login()).role is Role.OPERATOR
            traveller.shift(2.05)

            assert (await here.signins.sign_in("Ann", PASSWORD, AWAY)).role is Role.OPERATOR


async def test_nobody_locks_a_user_out_from_elsewhere(tmp_path):
    """Whoever fails from everywhere makes strangers slow; where the user was before, nothing is felt."""
    attempts = Attempts(everywhere=5, slow_seconds=0.3)
    async with open_sign_ins(tmp_path, attempts=attempts) as here:
        grant = await here.login()
        for number in range(8):
            await here.refused("ann", OTHER, f"198.51.100.{number}")

        attempts._slow_seconds = 60  # more than a busy machine takes
        async with asyncio.timeout(30):
            await here.login()
            await here.signins.refresh(grant.refresh_token, "203.0.113.5")
            await here.signins.sign_in("ann", PASSWORD, "203.0.113.5")
        attempts._slow_seconds = 0.3
        began = asyncio.get_running_loop().time()
        await here.signins.sign_in("ann", PASSWORD, "203.0.113.9")
        assert asyncio.get_running_loop().time() - began > 0.3


async def test_too_many_failures_from_an_address_close_the_door_to_it(tmp_path):
    """Whichever names are tried, unknown ones and refresh tokens too; others are let in."""
    async with open_sign_ins(tmp_path, attempts=Attempts(by_user=100, by_address=4)) as here:
        grant = await here.login()
        for name in ("ann", "nobody", "somebody"):
            await here.refused(name, OTHER)
        with pytest.raises(NotAuthenticatedError):
            await here.signins.refresh("x.y", HOME)

        with pytest.raises(TooManyAttemptsError):
            await here.login()
        with pytest.raises(TooManyAttemptsError):
            await here.signins.refresh("x.y", HOME)
        await here.signins.refresh(grant.refresh_token, HOME)
        assert (await here.signins.sign_in("ann", PASSWORD, AWAY)).role is Role.OPERATOR


async def test_many_guesses_at_once_are_no_more_than_allowed(tmp_path):
    """The rest is refused before it costs a hash."""
    async with open_sign_ins(tmp_path, attempts=Attempts()) as here:
        guesses = (here.signins.sign_in("ann", OTHER, f"192.0.2.{n}") for n in range(100))
        answers = await asyncio.gather(*guesses, return_exceptions=True)

    assert sum(isinstance(answer, NotAuthenticatedError) for answer in answers) == 10
    assert sum(isinstance(answer, TooManyAttemptsError) for answer in answers) == 90


async def test_successes_are_not_counted(tmp_path):
    """Twenty logins at once, and then some."""
    async with open_sign_ins(tmp_path, attempts=Attempts()) as here:
        grants = await asyncio.gather(*(here.login() for _ in range(20)))

        assert len({grant.refresh_token for grant in grants}) == 20
        assert (await here.login()).role is Role.OPERATOR


async def test_a_hash_of_an_older_cost_is_renewed_by_a_login(tmp_path):
    """Nothing else about the user changes, and the login goes on."""
    async with open_sign_ins(tmp_path) as here:
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
    async with (
        open_sign_ins(tmp_path, ann=False) as here,
        open_sign_ins(tmp_path, ann=False) as there,
    ):
        calls = [
            installation.users.ensure_first_admin(PASSWORD) for installation in (here, there) * 5
        ]

        assert sorted(await asyncio.gather(*calls)) == [False] * 9 + [True]
        assert [(user.name, user.role) for user in await here.users.list()] == [
            ("admin", Role.ADMIN)
        ]
        assert not await here.users.ensure_first_admin(OTHER)
        assert (await here.login("admin")).role is Role.ADMIN


async def test_there_is_no_first_admin_where_somebody_is(tmp_path):
    """Not even where nobody is an admin: that is for the command line."""
    async with open_sign_ins(tmp_path) as here:
        assert not await here.users.ensure_first_admin(PASSWORD)
        assert await here.users.count() == 1


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.OPERATOR}])
async def test_the_last_admin_stays(tmp_path, change):
    """A disabled one does not count; of two at once one stays."""
    async with open_sign_ins(tmp_path) as here:
        for name in ("eve", "kim", "zoe"):
            await here.users.create(name, PASSWORD, Role.ADMIN)
        await here.users.change("zoe", disabled=True)
        grant = await here.login("eve")

        changes = (here.users.change(name, **change) for name in ("kim", "eve"))
        answers = await asyncio.gather(*changes, return_exceptions=True)

        assert [type(answer) for answer in answers].count(ConflictError) == 1
        assert (await here.users.get("eve")).role is Role.ADMIN
        assert (await here.signins.identify(grant.access_token)).role is Role.ADMIN
        with pytest.raises(ConflictError, match="last admin"):
            await here.users.change("eve", **change)
        await here.users.change("eve", password=OTHER)
        await here.users.change("zoe", disabled=False)
        await here.users.change("eve", **change)


async def test_names_are_taken_however_they_are_written(tmp_path):
    """And kept in lower case."""
    async with open_sign_ins(tmp_path) as here:
        assert (await here.users.create("Bob", PASSWORD, Role.VIEWER)).name == "bob"
        with pytest.raises(UserExistsError):
            await here.users.create("BOB", PASSWORD, Role.VIEWER)
        assert [user.name for user in await here.users.list()] == ["ann", "bob"]


async def test_what_makes_no_sense_changes_nothing(tmp_path):
    """Short passwords, strange names, unknown users."""
    async with open_sign_ins(tmp_path) as here:
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
