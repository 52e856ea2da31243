"""The server's clock, read from ours."""

import time

from app.engine.server.clock import ServerClock


def test_the_second_is_known_from_both_sides():
    """The answer took half a second, so the server may be in one of two."""
    now = time.monotonic()

    clock = ServerClock(1000.7, now - 0.5, now)

    assert (clock.earliest(), clock.latest()) == (1000, 1001)


def test_it_goes_on_as_ours_does():
    """Ten seconds later it is ten seconds later there."""
    then = time.monotonic() - 10

    assert ServerClock(1000.5, then, then).earliest() == 1010
