"""Names of files."""

import pytest
from hypothesis import given, strategies as st

from app.domain.backups.manifest import Codec
from app.domain.ids import BackupId
from app.storage import layout
from app.storage.layout import BackupName


IDS = st.builds(
    lambda seconds, micros: BackupId(f"backup_{seconds:08x}{micros:05x}"),
    st.integers(0, 2**32 - 1),
    st.integers(0, 999_999),
)


@given(backup_id=IDS, codec=st.sampled_from(Codec))
def test_a_name_is_taken_apart_as_it_was_made(backup_id, codec):
    """Id and codec to name and back."""
    name = BackupName(backup_id, codec)

    assert layout.parse(name.file) == name
    assert name in layout.candidates(backup_id)


def test_a_file_is_named_by_date_time_and_id():
    """And the extension says how it is compressed."""
    name = BackupName(BackupId("backup_65ba1f2f3d4e5"), Codec.GZIP)

    assert name.file == "backup_2024-01-31_10-21-35_backup_65ba1f2f3d4e5.sql.gz"
    assert name.manifest == f"{name.file}.manifest.json"


@pytest.mark.parametrize(
    "file",
    [
        "",
        ".sql.gz",
        "metadata.json",
        "backup_2024-01-31_10-21-36_backup_65ba1f2f3d4e5.sql.gz",
        "backup_2024-01-31_10-21-35_backup_65ba1f2f3d4e5.sql.bz2",
        "x/backup_2024-01-31_10-21-35_backup_65ba1f2f3d4e5.sql.gz",
        "backup_2024-01-31_10-21-35_backup_65BA1F2F3D4E5.sql.gz",
        "backup_2024-01-31_10-21-35_backup_65ba1f2fffff5.sql",
    ],
)
def test_a_name_we_would_not_give_is_not_ours(file):
    """One byte off, and it is a foreign file."""
    assert layout.parse(file) is None


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_path_is_never_joined(name):
    """A bug above does not become a hole below."""
    with pytest.raises(ValueError, match="not a file name"):
        layout.join("d", name)
