"""Files that settings name: what is read, and what is refused with a reason."""

import os
from pathlib import Path

import pytest

from app.named_files import UnusableFileError, read_named, require_named


def test_a_file_is_read_through_links(tmp_path):
    """With who may read it, as a mounted secret is reached."""
    (tmp_path / "data").write_bytes(b"secret")
    (tmp_path / "data").chmod(0o640)
    (tmp_path / "link").symlink_to("data")

    assert read_named(tmp_path / "link") == (b"secret", 0o640)
    require_named(tmp_path / "link")


def test_a_file_of_the_kernel_tells_no_size_and_is_read():
    """Such as one of the processes."""
    assert read_named(Path("/proc/self/status")).data.startswith(b"Name:")
    with pytest.raises(UnusableFileError, match="larger than 3 bytes"):
        read_named(Path("/proc/self/status"), 3)


@pytest.mark.parametrize("limit", [5, 6])
def test_it_has_so_many_bytes_at_most(tmp_path, limit):
    """As many as that are not too many."""
    (tmp_path / "data").write_bytes(b"secret")
    if limit == 6:
        assert read_named(tmp_path / "data", limit).data == b"secret"
        return
    for refuse in (read_named, require_named):
        with pytest.raises(UnusableFileError) as told:
            refuse(tmp_path / "data", limit)
        assert told.value.strerror == "larger than 5 bytes"


def test_what_is_no_file_is_refused_and_nothing_stays_open(tmp_path):
    """A pipe that nobody writes to, a directory, a device, a name that cannot be."""
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - of descriptors
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("a\0b")):
        for refuse in (read_named, require_named):
            with pytest.raises(UnusableFileError):
                refuse(path)
    with pytest.raises(FileNotFoundError):
        read_named(tmp_path / "nowhere")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - of descriptors
