"""How many streams a login may have open."""

from contextlib import ExitStack

from app.web.streams import MOST_STREAMS, Streams


def test_each_login_has_its_places_and_gets_them_back():
    """Also when a stream ends by an error; one without a place takes none."""
    streams = Streams()
    with ExitStack() as opened:
        first = [opened.enter_context(streams.place("mine")) for _ in range(MOST_STREAMS + 2)]
        assert first == [True] * MOST_STREAMS + [False] * 2
        with streams.place("another's") as has_place:
            assert has_place
    with streams.place("mine") as has_place:
        assert has_place
    assert vars(streams) == vars(Streams())
