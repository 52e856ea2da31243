"""Which bases a window needs: whatever else goes, no point of it is lost."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from app.domain.restores.log_window import LogBase, needed_bases
from app.domain.restores.points import Place


BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = st.integers(0, 40)
SHOP, LOG = "shop", "log"


@st.composite
def bases(draw):
    """Draw a base of one of two streams, limited or not, and whether it is one at all."""
    done = draw(HOURS)
    until = draw(st.none() | st.integers(done, 41))
    base = LogBase(
        backup_id=f"backup_{draw(st.integers(0, 10**9)):09}",
        stream=draw(st.sampled_from("ab")),
        place=Place(1, done),
        done=BEGIN + timedelta(hours=done),
        until=None if until is None else BEGIN + timedelta(hours=until),
        databases=frozenset(draw(st.sampled_from([(), (SHOP,), (LOG,), (SHOP, LOG)]))),
        is_good=draw(st.booleans()),
    )
    return base, draw(st.booleans())


def reached(those, *, good):
    """Say by hand what can be recovered: stream, hour and databases."""
    return {
        (base.stream, hour, databases)
        for base in those
        for hour in range(42)
        for databases in (frozenset(), frozenset([SHOP]), frozenset([LOG]), frozenset([SHOP, LOG]))
        if base.is_good or not good
        if base.done <= BEGIN + timedelta(hours=hour)
        if base.until is None or BEGIN + timedelta(hours=hour) < base.until
        if not base.databases or (databases and databases <= base.databases)
    }


@given(st.lists(bases(), max_size=12, unique_by=lambda drawn: drawn[0].backup_id), HOURS)
def test_no_point_of_the_window_is_lost_and_what_was_chosen_is_chosen_again(drawn, start):
    """Also none of only good ones; and a second prune has nothing to add."""
    proven = dict(drawn)
    moment = BEGIN + timedelta(hours=start)
    needed = needed_bases(list(proven), moment, proven.__getitem__)
    kept = [base for base in proven if base.backup_id in needed]

    standing = [base for base in proven if proven[base]]
    assert all(proven[base] for base in kept)
    for good in (False, True):
        window = {found for found in reached(standing, good=good) if found[1] >= start}
        assert window <= reached(kept, good=good)
    assert needed_bases(kept, moment, proven.__getitem__) == needed


def base_of(day):
    """Make a good base of everything."""
    done = BEGIN + timedelta(days=day)
    return LogBase(f"backup_{day:02}", "a", Place(1, day), done, None, frozenset(), True)


def test_few_are_needed():
    """Of many backups of everything the newest before the window serves all of it; the next takes its place."""
    asked = set()

    def stands(base):
        asked.add(base.backup_id)
        return True

    needed = needed_bases(list(map(base_of, range(9))), BEGIN + timedelta(days=5.5), stands)
    assert needed == {"backup_05", "backup_06"}
    assert asked == needed


@pytest.mark.parametrize("days", [1, 3, 7.5, 20])
@pytest.mark.parametrize("newest", [1, 2, 5])
def test_the_window_takes_its_bases_along(days, newest):
    """However few backups stay by other rules, none is its base for ever, nor the log kept from there on."""
    kept = []
    for day in range(90):
        kept.append(base_of(day))
        needed = needed_bases(kept, kept[-1].done - timedelta(days=days, seconds=1), lambda _: True)
        kept = [base for base in kept if base.backup_id in needed or base in kept[-newest:]]

        assert kept[0].place.position >= day - 2 * days - 2
        assert len(kept) <= newest + 2
