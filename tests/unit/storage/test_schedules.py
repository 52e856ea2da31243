"""`schedule.json`: replaced as a whole, understood or left alone."""

import errno
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.errors import IntegrityError, StorageError
from app.storage.local import LocalDirectory
from app.storage.schedules import ScheduleFile, encode_schedules
from tests.fixtures.kernels import CountingKernel, FailingKernel


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
DAILY = Schedule("default", Frequency.DAILY, NOON)
FULL = Schedule(
    "odd '\u65e5\" name",
    Frequency.WEEKLY,
    NOON,
    enabled=False,
    options=ScheduleOptions(("a", "b"), ("t*",), ("x",), False, "words", True, False),
    last_run_at=NOON + timedelta(hours=1),
    last_success_at=NOON - timedelta(days=1),
    last_backup_id="backup_65ba1f2f3d4e5",
)


def file_in(path, kernel=None) -> ScheduleFile:
    """Make the file of a directory."""
    return ScheduleFile(LocalDirectory(path, kernel) if kernel else LocalDirectory(path))


def text(**changes: object) -> bytes:
    """Encode a file of one schedule, changed."""
    document = json.loads(encode_schedules((DAILY,)))
    document["schedules"][0].update(changes)
    return json.dumps(document).encode()


def test_what_is_written_is_read(tmp_path):
    """Every field, by this object and by another one; no file means no schedules."""
    file = file_in(tmp_path / "backups")
    assert file.read() == ()
    assert not (tmp_path / "backups").exists()

    assert file.change(lambda known: (*known, DAILY, FULL)) == (DAILY, FULL)

    assert file.read() == file_in(tmp_path / "backups").read() == (DAILY, FULL)
    document = json.loads((tmp_path / "backups" / "schedule.json").read_text())
    assert document["version"] == 1
    assert document["schedules"][0]["frequency"] == "daily"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 100,
        b"[]",
        b"{}",
        b'{"schedules": [{}]}',
        encode_schedules((DAILY,))[:-4],
        text(frequency="monthly"),
        text(frequency=None),
        text(updated_at="yesterday"),
        text(updated_at="2026-01-31T12:00:00"),
        text(last_success_at="2026-01-31T12:00:00"),
        text(options={"databases": "shop"}),
        text(enabled="perhaps"),
        b'{"schedules": [], "version": 2}',
        b'{"schedules": ' + b"[" * 100_000,
        b'{"schedules": [], "version": 1, "x": "' + b"x" * 1000,
    ],
    ids=lambda data: ascii(data[:30]),
)
def test_a_damaged_file_is_told_and_left_as_it_is(damage, tmp_path):
    """What somebody wrote by hand is theirs to correct: nothing of it is replaced or guessed."""
    path = tmp_path / "schedule.json"
    path.write_bytes(damage)
    file = file_in(tmp_path)

    for call in (file.read, lambda: file.change(lambda _: (DAILY,))):
        with pytest.raises(IntegrityError, match=r"^schedule\.json: ") as caught:
            call()
        assert caught.value.hint

    assert path.read_bytes() == damage
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_is_too_large_or_a_link_is_a_storage_error(tmp_path):
    """It is not ours, and is not read."""
    path = tmp_path / "schedule.json"
    path.write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(StorageError):
        file_in(tmp_path).read()
    path.unlink()
    (tmp_path / "other.json").write_bytes(encode_schedules((DAILY,)))
    path.symlink_to(tmp_path / "other.json")

    with pytest.raises(StorageError):
        file_in(tmp_path).change(lambda known: known)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_whichever_call_fails_the_old_or_the_new_file_is_there(tmp_path, error):
    """An error is told; the next change works."""
    newer = replace(DAILY, frequency=Frequency.HOURLY)
    file_in(tmp_path / "count").change(lambda _: (DAILY,))
    kernel = CountingKernel()
    file_in(tmp_path / "count", kernel).change(lambda _: (newer,))
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        file_in(path).change(lambda _: (DAILY,))
        failing = FailingKernel(at, error)
        try:
            file_in(path, failing).change(lambda _: (newer,))
        except StorageError:
            assert file_in(path).read() in ((DAILY,), (newer,))
        else:
            assert failing.failed in {"close", "drop_cache"}
        assert file_in(path).change(lambda _: (newer,)) == file_in(path).read() == (newer,)


def test_a_change_that_fails_changes_nothing(tmp_path):
    """Nor does it keep the lock."""
    file = file_in(tmp_path)
    file.change(lambda _: (DAILY,))

    def fails(_: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        file.change(fails)

    assert file.change(lambda known: known) == (DAILY,)
