"""A directory as a store, where its file system fails or is another one than it should be."""

import errno

import pytest

from app.errors import (
    AlreadyThereError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from app.storage.kernel import Kernel
from app.storage.remote.local import LocalStore
from app.storage.remote.store import UnfinishedUpload


class Failing(Kernel):
    """A system of which one call fails."""

    def __init__(self, call, number):
        self.call = call
        self.number = number

    def _fail(self, call):
        if call == self.call:
            raise OSError(self.number, "it fails")

    def write(self, fd, data):
        self._fail("write")
        return super().write(fd, data)

    def fsync(self, fd):
        self._fail("fsync")
        super().fsync(fd)

    def link(self, source, target):
        self._fail("link")
        super().link(source, target)


@pytest.mark.parametrize(
    ("call", "number", "error"),
    [
        ("write", errno.ENOSPC, StorageFullError),
        ("write", errno.EIO, StorageError),
        ("fsync", errno.EIO, StorageError),
        ("link", errno.EIO, StorageError),
        ("link", errno.EPERM, StorageError),
        ("link", errno.ENOSPC, StorageFullError),
    ],
)
def test_what_fails_leaves_nothing(tmp_path, call, number, error):
    """Neither a file nor what would have become one."""
    store = LocalStore(tmp_path, Failing(call, number))
    with pytest.raises(error):
        store.put("x", b"data", create=True)

    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_hard_links_is_told_by_that(tmp_path):
    """What cannot be published once is refused."""
    store = LocalStore(tmp_path, Failing("link", errno.EPERM))
    with pytest.raises(StorageError, match="no hard links") as caught:
        store.put("x", b"data", create=True)
    assert "ext4" in caught.value.hint


def test_a_directory_that_is_missing_is_never_made(tmp_path):
    """It is a mount point without its file system."""
    store = LocalStore(tmp_path / "missing")
    for call in (
        lambda: list(store.list()),
        lambda: store.stat("x"),
        lambda: store.put("x", b"1"),
        lambda: store.begin("x", 1),
        store.now,
    ):
        with pytest.raises(StorageUnavailableError, match="missing"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_links_and_folders_are_no_objects(tmp_path):
    """Only regular files are; a symbolic link is never followed."""
    (tmp_path / "secret").write_text("hush")
    store = LocalStore(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()

    assert store.stat("link") is None
    assert store.stat("folder") is None
    assert [found.name for found in store.list()] == ["secret"]
    with pytest.raises(ObjectNotFoundError):
        store.read("link", 0, 1)


def test_of_two_uploads_to_one_name_the_first_stays(tmp_path):
    """Although both began when it was free."""
    store = LocalStore(tmp_path)
    with store.begin("x", 1) as first, store.begin("x", 1) as second:
        first.write(b"first")
        second.write(b"second")
        first.complete()
        with pytest.raises(AlreadyThereError):
            second.complete()

    assert (tmp_path / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_sweep_removes_nothing_but_uploads(tmp_path):
    """Whatever it is told."""
    store = LocalStore(tmp_path)
    store.put("x", b"1")
    with pytest.raises(ObjectNotFoundError):
        store.abort_unfinished(UnfinishedUpload("", "x", store.now()))

    assert store.stat("x") is not None
