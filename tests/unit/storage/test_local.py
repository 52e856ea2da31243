"""Durable writes, ranged reads and locks."""

import errno
import os
from typing import ClassVar

import pytest

from app.errors import (
    BackupInUseError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage import local
from app.storage.failures import translated
from app.storage.files import ReadFile
from app.storage.kernel import KERNEL
from app.storage.local import LocalDirectory
from tests.fixtures.kernels import CountingKernel, FailingKernel


def test_a_kept_file_stays_and_a_closed_one_goes(tmp_path):
    """A file of ours is garbage until somebody says otherwise."""
    directory = LocalDirectory(tmp_path)
    with directory.create("a") as file:
        file.write(b"one")
        file.keep()
    with directory.create("b") as file:
        file.write(b"two")
    directory.create("c").close()

    assert directory.names() == ["a"]
    assert directory.read("a", 10) == b"one"


def test_a_file_that_is_gone_already_is_discarded_and_frees_its_name(tmp_path):
    """Cleaning up twice is no error."""
    file = LocalDirectory(tmp_path).create("a")
    (tmp_path / "a").unlink()

    file.discard()
    file.discard()

    LocalDirectory(tmp_path).create("a").discard()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_removed_says_so(tmp_path):
    """Its lock is free all the same, so a sweep finds it."""
    directory = LocalDirectory(tmp_path, FailingKernel(3, errno.EIO))
    with pytest.raises(StorageUnavailableError, match="input/output"):
        directory.create("a").discard()

    LocalDirectory(tmp_path).open("a", exclusive=True).close()


def test_the_first_owner_of_a_name_survives(tmp_path):
    """Two writers of one name leave each other alone."""
    directory = LocalDirectory(tmp_path)
    first = directory.create("a")
    with pytest.raises(StorageError, match="a: file exists"):
        directory.create("a")

    first.write(b"one")
    first.keep()
    assert directory.read("a", 10) == b"one"


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EFBIG, StorageFullError),
        (errno.EACCES, StorageDeniedError),
        (errno.EPERM, StorageDeniedError),
        (errno.EROFS, StorageDeniedError),
        (errno.ELOOP, StorageDeniedError),
        (errno.ENOENT, StorageUnavailableError),
        (errno.ENOTDIR, StorageUnavailableError),
        (errno.EIO, StorageUnavailableError),
        (errno.ESTALE, StorageUnavailableError),
        (errno.EEXIST, StorageError),
    ],
)
def test_os_errors_become_ours(number, error):
    """The file is named and the cause is kept."""
    with pytest.raises(StorageError, match=r"^x: ") as caught, translated("x"):
        raise OSError(number, os.strerror(number))

    assert type(caught.value) is error
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.hint or number in {errno.EIO, errno.ESTALE, errno.EEXIST}


def test_a_read_beyond_the_end_is_truncation(tmp_path):
    """Less than was asked for is never returned."""
    (tmp_path / "a").write_bytes(b"12345")
    with LocalDirectory(tmp_path).open("a") as file:
        assert file.read(1, 4) == b"2345"
        assert file.read(5, 0) == b""
        with pytest.raises(TruncatedFileError, match="ends 2 bytes before byte 7"):
            file.read(3, 4)


def test_a_large_file_is_not_read_whole(tmp_path):
    """The limit is told before a byte is read."""
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(StorageUnavailableError, match="too large"):
        LocalDirectory(tmp_path).read("a", 4)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo])
def test_only_regular_files_are_read(tmp_path, make):
    """A directory or a pipe under a file's name neither hangs nor crashes."""
    make(tmp_path / "a")
    directory = LocalDirectory(tmp_path)
    for use in (lambda: directory.open("a"), lambda: directory.read("a", 10)):
        with pytest.raises(StorageUnavailableError, match="not a regular file"):
            use()


def test_a_replaced_file_holds_the_new_bytes_and_leaves_no_other(tmp_path):
    """Also when an earlier try was killed half-way."""
    directory = LocalDirectory(tmp_path)
    (tmp_path / "a.partial").write_bytes(b"half")
    directory.replace("a", b"one")
    directory.replace("a", b"two")

    assert directory.names() == ["a"]
    assert directory.read("a", 10) == b"two"


def test_a_failed_replacement_keeps_the_old_bytes(tmp_path):
    """Nothing is lost by trying."""
    LocalDirectory(tmp_path).replace("a", b"old")
    kernel = CountingKernel()
    LocalDirectory(tmp_path, kernel).replace("a", b"new")
    for at in range(1, kernel.count):
        LocalDirectory(tmp_path).replace("a", b"old")
        failing = FailingKernel(at, errno.ENOSPC)
        try:
            LocalDirectory(tmp_path, failing).replace("a", b"new")
        except StorageFullError:
            assert (tmp_path / "a").read_bytes() in {b"old", b"new"}
    assert LocalDirectory(tmp_path).names() == ["a"]


def test_readers_share_and_a_deleter_does_not(tmp_path, monkeypatch):
    """Shared locks hold off the exclusive one, and the other way round."""
    monkeypatch.setattr(local, "READER_SECONDS", 0.05)
    (tmp_path / "a").write_bytes(b"")
    directory = LocalDirectory(tmp_path)
    with directory.open("a"), directory.open("a"), pytest.raises(BackupInUseError):
        directory.open("a", exclusive=True)
    with directory.open("a", exclusive=True), pytest.raises(BackupInUseError):
        directory.open("a")


def test_a_stuck_lock_of_the_directory_is_an_error_in_time(tmp_path, monkeypatch):
    """Not a hang."""
    monkeypatch.setattr(local, "LOCK_SECONDS", 0.05)
    directory = LocalDirectory(tmp_path)

    def lock_again() -> None:
        with directory.locked():
            pass

    with directory.locked(), pytest.raises(StorageUnavailableError, match="lock"):
        lock_again()
    lock_again()


def test_a_file_knows_whether_its_name_still_names_it(tmp_path):
    """Removed, or replaced by another of the same name."""
    (tmp_path / "a").write_bytes(b"1")
    with LocalDirectory(tmp_path).open("a") as file:
        assert file.is_current()
        (tmp_path / "a").rename(tmp_path / "b")
        assert not file.is_current()
        (tmp_path / "a").write_bytes(b"1")
        assert not file.is_current()


def test_a_long_file_goes_to_the_medium_while_it_grows(tmp_path):
    """A sync at its end finds little left to write; where the system takes no advice, it finds all."""

    class Noting(CountingKernel):
        """Notes which calls came, and takes no advice."""

        names: ClassVar[list[str]] = []

        def decide(self, number, name, call, args):
            self.names.append(name)
            if name == "drop_cache":
                raise OSError(errno.EOPNOTSUPP, "not supported")
            return call(*args)

    piece = bytes(3 << 20)
    with LocalDirectory(tmp_path, Noting()).create("a") as file:
        for _ in range(7):
            file.write(piece)
        grown = [name for name in Noting.names if name in {"write", "drop_cache"}]
        file.sync()

    assert grown == [*["write"] * 3, "drop_cache", *["write"] * 3, "drop_cache", "write"]
    assert file.size == 7 * len(piece)


def test_a_file_that_somebody_else_changed_is_noticed_at_the_sync(tmp_path):
    """What is on disk is what was written, or an error."""
    with LocalDirectory(tmp_path).create("a") as file:
        file.write(b"12345")
        os.truncate(tmp_path / "a", 3)
        with pytest.raises(TruncatedFileError):
            file.sync()


def test_preparing_twice_changes_nothing(tmp_path):
    """An existing .htaccess is the administrator's."""
    directory = LocalDirectory(tmp_path / "a" / "b")
    directory.prepare()
    (tmp_path / "a" / "b" / ".htaccess").write_text("mine")
    directory.prepare()

    assert (tmp_path / "a" / "b" / ".htaccess").read_text() == "mine"


def test_a_web_server_is_told_to_deny_everything_in_its_own_words(tmp_path):
    """Directives of Apache 2.4, and those of 2.2: an unknown one would be an error of every page."""
    LocalDirectory(tmp_path / "a").prepare()

    lines = (tmp_path / "a" / ".htaccess").read_text().splitlines()
    directives = {line.strip() for line in lines if line.startswith("    ")}
    assert directives == {"Require all denied", "Order deny,allow", "Deny from all"}


def test_what_is_not_there_is_not_found(tmp_path):
    """Neither the file nor its directory need exist; what cannot be read is an error all the same."""
    (tmp_path / "a").write_bytes(b"12345")
    directory = LocalDirectory(tmp_path)

    assert LocalDirectory(tmp_path / "none").find("a", 10) is None
    assert directory.find("b", 10) is None
    assert directory.find("a", 10) == b"12345"
    with pytest.raises(StorageUnavailableError, match="too large"):
        directory.find("a", 4)


def test_a_directory_cannot_be_made_inside_a_file(tmp_path):
    """The error is a sentence."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailableError, match="not a directory"):
        LocalDirectory(tmp_path / "file" / "sub").prepare()


def test_free_space_is_what_this_user_may_use(tmp_path):
    """Bytes, not blocks."""
    facts = os.statvfs(tmp_path)

    free = LocalDirectory(tmp_path).free_bytes()

    assert abs(free - facts.f_bavail * facts.f_frsize) < 1 << 28


def test_removing_nothing_is_told(tmp_path):
    """Not an error."""
    assert LocalDirectory(tmp_path).remove("absent") is False


def test_closing_twice_is_harmless(tmp_path):
    """The descriptor of somebody else is not closed."""
    (tmp_path / "a").write_bytes(b"")
    file = LocalDirectory(tmp_path).open("a")
    file.close()
    file.close()

    assert isinstance(file, ReadFile)
    assert KERNEL is not None
