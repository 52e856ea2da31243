"""Notes: when a check that failed is disproved, and that they survive the disk."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.backups.check_notes import (
    Check,
    Notes,
    Pin,
    VerifyLevel,
    decode_notes,
    depth_of,
    encode_notes,
)


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def check(hours: float, *, success: bool = True) -> Check:
    """Look at something, some hours after noon."""
    error = "" if success else "checksum-mismatch"
    return Check(NOON + timedelta(hours=hours), success=success, seconds=1.5, error=error)


@pytest.mark.parametrize(
    ("checks", "damaged"),
    [
        ({}, False),
        ({"content": check(1)}, False),
        ({"hashes": check(1, success=False)}, True),
        ({"hashes": check(1, success=False), "size": check(2)}, True),
        ({"hashes": check(1, success=False), "inflate": check(2)}, False),
        ({"hashes": check(2, success=False), "content": check(1)}, True),
        ({"size": check(1, success=False), "hashes": check(2)}, False),
        ({"of a newer release": check(1, success=False), "size": check(2)}, False),
    ],
)
def test_a_failure_stands_until_a_look_as_deep_succeeds(checks, damaged):
    """A size that is right says nothing of bytes; what is deeper says everything."""
    notes = Notes(checks=checks)

    assert notes.is_damaged is damaged
    assert (notes.failure is not None) is damaged


def test_of_several_failures_the_newest_counts():
    """It is what people are told."""
    first, second = check(1, success=False), check(2, success=False)

    assert Notes(checks={"size": second, "content": first}).failure == second


def test_levels_include_those_before_them():
    """Each is deeper than the one before; a name that nobody knows is no deeper than the first."""
    assert [depth_of(level) for level in VerifyLevel] == [0, 1, 2, 3]
    assert [level.depth for level in VerifyLevel] == [0, 1, 2, 3]
    assert depth_of("of a newer release") == 0


def test_notes_come_back_as_they_were_and_damage_is_noticed():
    """Also the levels of a newer release; half a file is nothing."""
    notes = Notes(Pin(NOON, "ann", "before the move"), {"size": check(1), "newer": check(2)})

    data = encode_notes(notes)

    assert decode_notes(data) == notes
    assert decode_notes(data[: len(data) // 2]) is None
    assert notes.checked_at("size", "newer") == NOON + timedelta(hours=2)
