"""3-2-1: what counts as a copy, and what is missing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.places.report import CopiesReport, PlaceState
from app.errors import StorageUnavailableError
from tests.unit.domain.backups.test_size_anomaly import entry


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NEWEST = replace(entry(1), created_at=NOW)
HERE = PlaceState("", "local", "", is_offsite=False, looked_at=NOW, newest=NEWEST)
DISK = replace(HERE, name="disk", place="/mnt/backups")
CLOUD = replace(HERE, name="cloud", kind="s3", place="s3://b", is_offsite=True)


def test_a_directory_and_a_bucket_beside_the_live_data_are_three_two_one():
    """The live data is one copy, on a disk."""
    report = CopiesReport.of([HERE, CLOUD])

    assert report.is_met
    assert (report.copies, report.media, report.offsite) == (3, ("disk", "object store"), 1)


def test_another_disk_is_a_copy_and_nothing_else():
    """Directories of this machine are no other kind of place, nor off-site."""
    report = CopiesReport.of([HERE, DISK])

    assert report.copies == 3
    assert report.missing == ("2 kinds of places (only disk)", "a copy off-site")


@pytest.mark.parametrize(
    "place",
    [
        replace(CLOUD, newest=None),
        replace(CLOUD, looked_at=None, newest=None),
        replace(CLOUD, error=StorageUnavailableError("away")),
        replace(CLOUD, newest=replace(NEWEST, created_at=NOW - timedelta(days=1, seconds=1))),
    ],
)
def test_what_is_empty_unseen_away_or_late_is_no_copy(place):
    """Nobody knows, or it is not the data that somebody would miss."""
    report = CopiesReport.of([HERE, place])

    assert not report.is_met
    assert (report.copies, report.offsite) == (2, 0)


def test_two_stores_in_one_bucket_are_one_copy():
    """What is lost at once is no further copy, whatever prefix or name it has; the first that is well counts."""
    first = replace(CLOUD, site="s3:/b")
    second = replace(first, name="second", place="s3://b/second")
    report = CopiesReport.of([HERE, first, second])
    assert (report.copies, report.offsite) == (3, 1)
    assert report.doubles == ((second, first),)
    assert (report.counts(first), report.counts(second)) == (True, False)

    away = replace(first, error=StorageUnavailableError("away"))
    assert CopiesReport.of([HERE, away, second]).counts(second)
    other = replace(second, site="s3:/c")
    assert CopiesReport.of([HERE, first, other]).copies == 4


def test_the_lag_of_a_place_is_behind_the_newest_anywhere():
    """Also where the newest is in a store alone."""
    late = replace(HERE, newest=replace(NEWEST, created_at=NOW - timedelta(hours=3)))
    report = CopiesReport.of([late, CLOUD])

    assert report.lag(late) == timedelta(hours=3)
    assert report.lag(CLOUD) == timedelta()
    assert report.is_met
    assert CopiesReport.of([]).newest_at is None
