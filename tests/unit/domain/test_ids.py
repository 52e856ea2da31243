"""Backup ids as users type them."""

import pytest

from app.domain.ids import parse_backup_id
from app.errors import BackupNotFoundError


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "/etc/passwd",
        "../backup_65ba1f2f3d4e5",
        "backup_65ba1f2f3d4e5/../x",
        "backup_65ba1f2f3d4e5\0",
        "backup_65ba1f2f3d4e5\n",
        "backup_65BA1F2F3D4E5",
        "backup_65ba1f2ffffff",
        "backup_65ba1f2f3d4e",
        "%2e%2e%2f",
        "x" * 1_000_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_is_not_an_id_names_nothing(text):
    """Hazard 116: paths, NUL, other cases and lengths are all the same: not found, in a short message."""
    with pytest.raises(BackupNotFoundError) as caught:
        parse_backup_id(text)

    assert len(str(caught.value)) < 120


def test_an_id_is_taken_as_it_is():
    """No trimming, no folding."""
    assert parse_backup_id("backup_65ba1f2f3d4e5") == "backup_65ba1f2f3d4e5"
