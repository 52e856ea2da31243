"""How often somebody may guess."""

import asyncio
from datetime import timedelta

import pytest
import time_machine
from limits.aio.storage import MemoryStorage

from app.errors import TooManyAttemptsError
from app.security.attempts import Attempts
from tests.fixtures.virtual_time import virtually


async def attempt(attempts: Attempts, address: str = "192.0.2.1", user: str | None = "ann") -> bool:
    """Fail once; tell whether the attempt was let in."""
    try:
        async with attempts.admit(address, user) as admitted:
            await asyncio.sleep(0)
            await admitted.fail()
    except TooManyAttemptsError:
        return False
    return True


async def test_failures_of_a_user_are_counted_by_address():
    """From another address the user gets in: nobody can lock them out from elsewhere."""
    attempts = Attempts(by_user=3, by_address=100)

    assert [await attempt(attempts) for _ in range(5)] == [True] * 3 + [False] * 2
    assert await attempt(attempts, "192.0.2.2")
    assert await attempt(attempts, user="bob")


@virtually
async def test_failures_from_everywhere_make_a_user_slow_and_never_lock_them_out():
    """From where they have logged in before it is as fast as ever."""
    attempts = Attempts(everywhere=5, slow_seconds=0.2)
    attempts.remember("198.51.100.7", "ann")
    clock = asyncio.get_running_loop()
    began = clock.time()
    assert all([await attempt(attempts, f"192.0.2.{n}") for n in range(5)])
    assert clock.time() - began < 0.15

    for address, is_slow in (("192.0.2.99", True), ("198.51.100.7", False), ("192.0.2.98", True)):
        began = clock.time()
        assert await attempt(attempts, address)
        assert (clock.time() - began >= 0.2) is is_slow
    began = clock.time()
    assert await attempt(attempts, "192.0.2.97", "bob")
    assert clock.time() - began < 0.15


async def test_a_crowd_does_not_wait_without_an_end():
    """Ten stand in line; whoever comes behind them is told to come again."""
    attempts = Attempts(everywhere=1000, slow_seconds=0.01)

    let_in = await asyncio.gather(*(attempt(attempts, f"a{n}") for n in range(200)))

    assert sum(let_in) == 10
    assert await attempt(attempts, "a500")


async def test_what_is_remembered_is_bounded():
    """What was used last stays."""
    attempts = Attempts()
    for number in range(10_001):
        attempts.remember("192.0.2.1", f"u{number}")
        attempts.remember("192.0.2.1", "u0")

    assert len(attempts._known) == 10_000
    assert ("192.0.2.1", "u0") in attempts._known


async def test_failures_from_an_address_are_counted_for_all_users():
    """Another name gains nothing; other addresses are not touched."""
    attempts = Attempts(by_user=100, by_address=3)

    assert [await attempt(attempts, user=f"u{n}") for n in range(5)] == [True] * 3 + [False] * 2
    assert not await attempt(attempts, user=None)
    assert await attempt(attempts, "192.0.2.2")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
        ("testclient", "unix", False),
    ],
)
async def test_an_address_is_what_one_person_has(first, second, same):
    """Of IPv6 everybody has 2 to the power of 64, which are one here."""
    attempts = Attempts(by_user=100, by_address=1)

    assert await attempt(attempts, first)
    assert await attempt(attempts, second) is not same


async def test_many_at_once_are_not_let_in_before_the_first_has_failed():
    """They wait for each other, and are then refused."""
    attempts = Attempts(by_user=5, by_address=1000)

    let_in = await asyncio.gather(*(attempt(attempts) for _ in range(200)))

    assert sum(let_in) == 5


async def test_successes_are_not_counted():
    """However many there are, at once or not."""
    attempts = Attempts(by_user=2, by_address=2)

    async def succeed() -> None:
        async with attempts.admit("192.0.2.1", "ann"):
            await asyncio.sleep(0)

    await asyncio.gather(*(succeed() for _ in range(50)))

    assert await attempt(attempts)


@virtually
async def test_the_window_moves():
    """After the time that the error tells, the next one is let in."""
    attempts = Attempts(by_user=2, by_address=100, window_seconds=1)
    assert [await attempt(attempts) for _ in range(3)] == [True, True, False]

    with pytest.raises(TooManyAttemptsError) as caught:
        async with attempts.admit("192.0.2.1", "ann"):
            pass
    assert caught.value.seconds == 1
    await asyncio.sleep(1.05)

    assert await attempt(attempts)


@virtually
async def test_nothing_is_kept_of_attempts_that_are_over():
    """But the failures of the window: long names and many of them fill no memory."""
    attempts = Attempts(window_seconds=1)
    await asyncio.gather(*(attempt(attempts, f"a{n}", "x" * 9999) for n in range(50)))
    await attempt(attempts, "\ud800", "\ud800")

    assert attempts._locks == {}
    assert not attempts._waiting
    await asyncio.sleep(1.05)
    await attempt(attempts)
    await asyncio.sleep(0.2)
    storage = attempts._window.storage
    assert isinstance(storage, MemoryStorage)
    assert len(storage.events) <= 3


@pytest.mark.parametrize("hours", [-24 * 365, -1])
async def test_a_clock_that_is_set_back_keeps_nobody_out(hours):
    """What was counted ahead of it is forgotten, and the next failures count as ever."""
    attempts = Attempts(by_user=2, by_address=100, window_seconds=60)
    with time_machine.travel(timedelta(), tick=True):
        assert [await attempt(attempts) for _ in range(3)] == [True, True, False]

    with time_machine.travel(timedelta(hours=hours), tick=True):
        assert [await attempt(attempts) for _ in range(3)] == [True, True, False]
