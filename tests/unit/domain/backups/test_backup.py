"""A line of the catalogue: what a backup stands for."""

from dataclasses import replace

import pytest

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.manifest import Codec
from app.domain.ids import BackupId
from tests.fixtures.archives import TABLES, draft_of


@pytest.mark.parametrize(
    ("options", "recovered_from", "is_current"),
    [
        ({}, "", True),
        ({"recovery_point": True}, "", False),
        ({}, "backup_65ba1f2f3d4e5", False),
        ({"schedule": "nightly"}, "backup_65ba1f2f3d4e5", True),
    ],
    ids=["of the server", "recovery point", "of a chosen moment", "synthetic"],
)
def test_the_newest_backup_is_one_of_now(options, recovered_from, is_current):
    """Whoever asks how old it is wants to know what would be lost."""
    draft = draft_of(BackupId("backup_65ba1f2f3d4e6"), Codec.GZIP, TABLES)
    made = replace(draft, options=replace(draft.options, **options), recovered_from=recovered_from)
    entry = CatalogueEntry.of(made, "")

    assert (entry.is_current, entry.is_first_choice) == (is_current, is_current)
