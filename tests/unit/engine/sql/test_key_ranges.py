"""Ranges: their conditions, evaluated by brute force, share out all keys."""

import itertools
import re

import pytest
from hypothesis import given, strategies as st

from app.engine.sql.key_ranges import Range
from app.errors import ManifestError


KEY = ("a", "b", "c")
VALUES = range(4)
KEYS = list(itertools.product(VALUES, repeat=3))
BOUNDS = st.lists(st.sampled_from(VALUES), max_size=3).map(tuple)


def texts(bound):
    """Write a bound as literals."""
    return tuple(map(str, bound))


def holds(part, row):
    """Evaluate a condition for one key, in Python, whose operators mean the same for integers."""
    condition = part.where(KEY).removeprefix(" WHERE ") or "True"
    chained = re.sub(r"(`\w`) BETWEEN (-?\d+) AND (-?\d+)", r"\2 <= \1 <= \3", condition)
    python = re.sub(r"`(\w)`", r"row['\1']", chained)
    python = re.sub(r" = ", " == ", python).replace(" AND ", " and ").replace(" OR ", " or ")
    return bool(eval(python, {"row": dict(zip(KEY, row, strict=True))}))  # noqa: S307 - our own text


@given(st.lists(BOUNDS.filter(bool), max_size=5))
def test_ranges_between_bounds_share_out_all_keys(bounds):
    """Whatever the bounds, each key is in exactly one of the ranges between neighbours."""
    # A shorter bound is one before all keys that begin with it.
    ordered = sorted({(*bound, *[-1] * (3 - len(bound))): bound for bound in bounds}.items())
    edges = [(), *(texts(bound) for _, bound in ordered), ()]
    parts = [Range(lower, upper) for lower, upper in itertools.pairwise(edges)]

    assert all(sum(holds(part, row) for part in parts) == 1 for row in KEYS)


@given(BOUNDS, BOUNDS)
def test_a_range_is_half_open(lower, upper):
    """A range holds the keys from its lower bound on and before its upper one, prefix by prefix."""
    part = Range(texts(lower), texts(upper))

    for row in KEYS:
        above = not lower or row[: len(lower)] >= lower
        below = not upper or row[: len(upper)] < upper
        assert holds(part, row) is (above and below)


def test_an_open_range_has_no_condition():
    """The whole table is read without a WHERE."""
    assert not Range().where(KEY)


def test_names_are_quoted():
    """A column may have any name."""
    assert Range(("1",)).where(["a`b OR 1=1"]) == " WHERE `a``b OR 1=1` >= 1"


@pytest.mark.parametrize(
    "bound",
    [
        "1",
        "-9223372036854775808",
        "0.10",
        "X''",
        "X'00FF'",
        "_utf8mb4 X'C3A9'",
        "'2020-01-01 00:00:00.5'",
        "'-838:59:59'",
        "'fe80::1'",
        "'123e4567-e89b-12d3-a456-426655440000'",
    ],
)
def test_a_literal_of_the_server_is_a_bound(bound):
    """What the server prints as a literal is taken."""
    assert bound in Range((bound,), (bound,)).where(["k"])


@pytest.mark.parametrize(
    "bound",
    [
        "",
        "1 OR 1=1",
        "SLEEP(9)",
        "'a' OR 'a'",
        "1;",
        "X'0' ",
        "x",
        "'it''s'",
        "1\n",
        "--1",
        "_x X'zz'",
    ],
)
def test_what_is_no_literal_is_refused_as_a_bound(bound):
    """A manifest cannot bring SQL into a query through a bound."""
    with pytest.raises(ManifestError):
        Range((bound,)).where(["k"])
    with pytest.raises(ManifestError):
        Range((), (bound,)).where(["k"])
