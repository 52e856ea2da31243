"""Notes: when a check that failed is disproved, and that they survive the disk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.backups.check_notes import (
    Check,
    Notes,
    Pin,
    SizeCheck,
    VerifyLevel,
    decode_notes,
    decode_size_checks,
    depth_of,
    encode_notes,
    encode_size_checks,
    with_size,
)
from app.domain.ids import BackupId


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


def test_what_was_noted_before_was_found_before_whatever_the_clock_said():
    """A success of a clock that was ahead by years excuses no failure, and such a failure stands for none."""
    years = check(24 * 400)
    noted = Notes(Pin(NOON, "ann"), {"content": years, "size": check(-1)})

    found = noted.with_check("hashes", check(1, success=False))

    assert not noted.is_damaged
    assert found.is_damaged
    assert found.checks["size"] == check(-1)
    assert found.checks["content"] == replace(years, at=check(1).at - timedelta(microseconds=1))
    assert found.pin == noted.pin
    wrong = Notes(checks={"hashes": check(24 * 400, success=False)})
    assert not wrong.with_check("content", check(1)).is_damaged
    assert wrong.with_check("size", check(1)).is_damaged


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


def test_a_file_was_read_back_by_checks_that_read_it_and_succeeded():
    """A size says nothing of bytes, a check that failed neither; the newest of the others counts."""
    checks = {
        "size": check(4),
        "content": check(3, success=False),
        "hashes": check(1),
        "inflate": check(2),
    }

    assert Notes(checks=checks).read_back_at == check(2).at
    assert Notes(checks={"size": check(4)}).read_back_at is None


FOUND = SizeCheck(NOON, 0.25, 1234, "ab" * 32)
CHECKS = {BackupId("backup_65ba1f2f3d4e5"): FOUND}


def test_they_are_read_as_they_were_written():
    """And a byte that was changed makes all of them unknown."""
    data = encode_size_checks(CHECKS)
    assert decode_size_checks(data) == CHECKS
    assert decode_size_checks(data.replace(b"1234", b"1235")) == {}
    assert decode_size_checks(b"") == decode_size_checks(b"[]") == {}
    assert decode_size_checks(encode_size_checks({})) == {}


def test_the_later_look_counts():
    """What is noted beside a backup stays, unless the common file has a later look at its size."""
    hashes = {"hashes": Check(NOON, success=False, seconds=1.0, error="checksum-mismatch")}
    failed = Check(NOON - timedelta(hours=1), success=False, seconds=0.1, error="truncated-file")
    right = Check(NOON, success=True, seconds=0.25)

    assert with_size(Notes(), None) == Notes()
    assert with_size(Notes(), FOUND) == Notes(checks={"size": right})
    assert with_size(Notes(checks={**hashes, "size": failed}), FOUND).checks == {
        **hashes,
        "size": right,
    }
    for at in (NOON, NOON + timedelta(seconds=1)):
        noted = Notes(checks={"size": replace(failed, at=at)})
        assert with_size(noted, FOUND) == noted
