"""Names of objects, and the sizes of parts."""

import pytest

from app.errors import InvalidRequestError
from app.storage.remote.store import (
    LEAST_PART_BYTES,
    MOST_PARTS,
    is_name,
    part_bytes_for,
    require_name,
)


MIB = 1 << 20


@pytest.mark.parametrize(
    ("estimate", "wanted"),
    [
        (0, 8),
        (1, 8),
        (9000 * 8 * MIB, 8),
        (9000 * 8 * MIB + 1, 9),
        (1 << 40, 117),
        (1 << 60, 5120),
    ],
)
def test_parts_are_as_large_as_they_must_be(estimate, wanted):
    """A nine-thousandth of the estimate, in whole MiB, and never less than eight."""
    assert part_bytes_for(estimate) == wanted * MIB


@pytest.mark.parametrize("estimate", [0, 10**9, 10**12, 4 * 10**13])
def test_an_estimate_may_be_too_low_by_a_tenth(estimate):
    """Then there still are no more parts than stores take."""
    parts = estimate * 1.1 / part_bytes_for(estimate)

    assert parts <= MOST_PARTS
    assert part_bytes_for(estimate) >= LEAST_PART_BYTES


def test_names_of_backups_are_names():
    """With folders too; what could lead elsewhere is none, and is not told at length."""
    assert is_name("backup_2024-01-31_10-22-07_backup_65ba1f2f3d4e5.sql.gz.manifest.json")
    assert is_name("v1/backup.sql.zst")
    assert not is_name("v1/.upload-1")
    with pytest.raises(InvalidRequestError) as caught:
        require_name("/" * 1000)
    assert len(str(caught.value)) < 200
