"""Passwords: compared at one cost, whoever asks."""

import asyncio
import threading
from statistics import median
from time import process_time

import pytest

from app.security.passwords import Cost, Passwords


PASSWORD = "correct horse battery"
CHEAP = Cost(passes=1, memory_kib=256, lanes=1)


async def test_a_password_is_recognised_by_its_hash():
    """And no other is."""
    passwords = Passwords(CHEAP)
    kept = await passwords.hash(PASSWORD)

    assert (await passwords.verify(PASSWORD, kept)).good
    for wrong in ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD + "\0", "\0"):
        assert not (await passwords.verify(wrong, kept)).good


async def test_every_hash_has_its_own_salt():
    """Equal passwords do not look equal."""
    passwords = Passwords(CHEAP)

    assert await passwords.hash(PASSWORD) != await passwords.hash(PASSWORD)


async def test_the_cost_is_that_of_rfc_9106():
    """64 MiB, three passes, four lanes: as the second recommended option says."""
    assert (await Passwords().hash(PASSWORD)).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_a_hash_of_another_cost_is_made_again():
    """When the password is there, because only then it can be."""
    kept = await Passwords(CHEAP).hash(PASSWORD)
    dearer = Passwords(Cost(passes=2, memory_kib=512, lanes=1))

    verdict = await dearer.verify(PASSWORD, kept)

    assert verdict.good
    assert verdict.new_hash is not None
    assert verdict.new_hash.startswith("$argon2id$v=19$m=512,t=2,p=1$")
    assert (await dearer.verify(PASSWORD, verdict.new_hash)).new_hash is None
    assert (await dearer.verify("wrong", kept)).new_hash is None


@pytest.mark.parametrize(
    "kept",
    [None, "", "plain", "$2b$12$abc", "$argon2id$", "$argon2id$v=19$m=256,t=1,p=1$c2FsdA$!", "\0"],
)
async def test_no_password_fits_a_hash_that_is_none(kept):
    """A user without one, or with a damaged one, cannot be logged in to."""
    assert not (await Passwords(CHEAP).verify(PASSWORD, kept)).good


@pytest.mark.parametrize("password", ["\ud800" * 20, "é" * 1024, "日本語" * 10, "\0" * 20])
async def test_any_text_can_be_a_password(password):
    """Halves of characters too: nothing but a verdict comes of it."""
    passwords = Passwords(CHEAP)

    assert (await passwords.verify(password, await passwords.hash(password))).good


async def test_accents_may_be_composed_in_either_way():
    """One keyboard sends é as one character, another as two."""
    passwords = Passwords(CHEAP)

    assert (
        await passwords.verify("Ame\u0301lie Poulain", await passwords.hash("Am\u00e9lie Poulain"))
    ).good


async def test_a_password_that_nobody_could_have_set_is_not_hashed_in_full():
    """Megabytes cost no more than a thousand characters, and are never right."""
    passwords = Passwords(CHEAP)
    long = "x" * (1 << 20)

    assert not (await passwords.verify(long, await passwords.hash(long))).good


async def test_an_unknown_user_takes_as_long_as_a_wrong_password():
    """At the cost that the service has."""
    passwords = Passwords()
    kept = await passwords.hash(PASSWORD)
    seconds: dict[str | None, list[float]] = {kept: [], None: []}
    for _ in range(5):
        for hashed, taken in seconds.items():
            began = process_time()
            assert not (await passwords.verify("wrong", hashed)).good
            taken.append(process_time() - began)

    known, unknown = (median(taken) for taken in seconds.values())
    assert 0.5 < known / unknown < 2


async def test_at_most_two_are_hashed_at_once():
    """Also when the callers of the first ones were cancelled."""
    passwords = Passwords(CHEAP)
    most, lock, running = 0, threading.Lock(), 0

    def work() -> None:
        nonlocal most, running
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1

    tasks = [asyncio.create_task(passwords._run(work)) for _ in range(12)]
    await asyncio.sleep(0.01)
    for task in tasks[:4]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == 2
