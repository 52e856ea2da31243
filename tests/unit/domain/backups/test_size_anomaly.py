"""What is usual: a backup is compared with its like, and with nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.backups.backup import BackupRequest, CatalogueEntry
from app.domain.backups.manifest import Codec
from app.domain.backups.size_anomaly import find_size_anomaly, is_wanted_again
from tests.fixtures.archives import NOON, backup_id_of, draft_of


def entry(number: int, raw_size: int = 1000, rows: int = 100, **facts) -> CatalogueEntry:
    """Describe the n-th backup of a schedule."""
    manifest = draft_of(backup_id_of(number), Codec.GZIP, {})
    plain = CatalogueEntry.of(manifest, "/nowhere")
    at = NOON + timedelta(seconds=number)
    return replace(
        plain, created_at=at, raw_size=raw_size, rows_count=rows, schedule="nightly", **facts
    )


USUAL = [entry(number) for number in range(3)]


@pytest.mark.parametrize(
    ("raw_size", "rows", "found"),
    [
        (1000, 100, ""),
        (1500, 150, ""),
        (500, 50, ""),
        (1501, 100, "1501 bytes of SQL instead of about 1000"),
        (1000, 49, "49 rows instead of about 100"),
        (1, 0, "1 bytes of SQL instead of about 1000 and 0 rows instead of about 100"),
    ],
)
def test_a_backup_far_from_those_before_it_is_unusual(raw_size, rows, found):
    """By more than so many percent of the median, up or down."""
    assert find_size_anomaly(entry(3, raw_size, rows), USUAL, 50) == found
    assert find_size_anomaly(entry(3, raw_size, rows), USUAL, 0) == ""


def test_a_backup_is_compared_with_its_like_only():
    """Same schedule, same request, made before; with less than three of those, with nothing."""
    new = entry(9, 9)

    assert find_size_anomaly(new, USUAL, 50)
    assert find_size_anomaly(new, USUAL[:2], 50) == ""
    for facts in (
        {"schedule": ""},
        {"recovery_point": True},
        {"tables": ("a*",)},
        {"exclude_tables": ("a*",)},
        {"include_data": False},
        {"requested": ("other",)},
        {"backup_id": backup_id_of(10)},
    ):
        assert find_size_anomaly(new, [*USUAL[:2], replace(USUAL[2], **facts)], 50) == ""


def test_the_last_ten_say_what_is_usual():
    """What was usual long ago does not count any more, nor one that stands out."""
    before = [entry(number, 10) for number in range(30)]
    before += [entry(number, 1000) for number in range(30, 39)] + [entry(39, 99_999)]

    assert find_size_anomaly(entry(40, 1000), before, 50) == ""
    assert find_size_anomaly(entry(40, 10), before, 50)


def test_a_table_that_was_empty_may_get_its_first_rows():
    """No percentage says how far that is."""
    before = [entry(number, 1000, 0) for number in range(3)]

    assert find_size_anomaly(entry(3, 1000, 50), before, 50) == ""


def test_a_request_is_known_again_by_what_is_asked_not_by_how():
    """Job of the databases, compression and schedule do not matter."""
    known = replace(entry(1), requested=("a", "b"), tables=("t*",))
    request = BackupRequest(databases=("b", "a"), tables=("t*",), codec=Codec.NONE)

    assert is_wanted_again(known, request)
    assert not is_wanted_again(known, replace(request, tables=()))
    assert not is_wanted_again(known, replace(request, include_data=False))
    assert not is_wanted_again(replace(known, requested=None), replace(request, databases=()))
