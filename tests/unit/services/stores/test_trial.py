"""A trial of a store: what each defect is told as, and that nothing is left."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.monitoring import CheckState
from app.domain.store_trial import StoreFacts
from app.errors import ObjectLockedError, StorageDeniedError, StorageError
from app.services.stores import trial as trials
from app.services.stores.trial import PREFIX, Trial
from app.storage.remote.local import LocalStore
from tests.fixtures.clocks import SystemClock


def tried(store, **facts):
    """Try a store, and return its trial and what each check was."""
    given = {"append_only": False, "object_lock_days": 0, **facts}
    trial = Trial(store, StoreFacts("tried", "local", "here", **given), SystemClock()).run()
    return trial, {check.name: check for check in trial.checks}


def test_a_good_store_passes_and_is_empty_again(tmp_path):
    """Each check is told, and the clock by its seconds."""
    (tmp_path / "backup.sql.gz").write_bytes(b"of somebody")
    trial, checks = tried(LocalStore(tmp_path))

    assert trial.is_fit
    assert list(checks) == [
        "list", "write", "write once", "read", "find", "space", "clock", "send in parts", "abort", "delete",
    ]  # fmt: skip
    assert {check.state for check in checks.values()} == {CheckState.OK}
    assert abs(trial.clock_skew_seconds) < 5
    assert [path.name for path in tmp_path.iterdir()] == ["backup.sql.gz"]


def test_a_store_that_cannot_be_listed_is_tried_no_further(tmp_path):
    """What follows would fail for the same reason."""
    trial, checks = tried(LocalStore(tmp_path / "missing"))

    assert not trial.is_fit
    assert list(checks) == ["list"]
    assert checks["list"].error.code == "storage-unavailable"
    assert "Mount" in checks["list"].remedy


class Overwriting(LocalStore):
    """A store that takes no conditional requests."""

    def put(self, name, data, *, create=False, retain_until=None):
        super().put(name, data, retain_until=retain_until)


class Forgetful(LocalStore):
    """A store whose lists come late."""

    def list(self, prefix=""):
        return iter(())


class Undeleting(LocalStore):
    """A store whose key may not delete."""

    def delete(self, name):
        if self.stat(name) is None:
            return False
        raise StorageDeniedError(f"{name}: the store refuses to delete", hint="Give the right.")


class Late(LocalStore):
    """A store whose clock is two minutes behind."""

    def stat(self, name):
        found = super().stat(name)
        return found and replace(found, modified_at=found.modified_at - timedelta(minutes=2))


class Keeping(LocalStore):
    """A store that says that it keeps, and does not."""

    keeps_objects = True

    def put(self, name, data, *, create=False, retain_until=None):
        super().put(name, data, create=create)

    def retain(self, name, until):
        pass


class Held(Keeping):
    """A store that keeps everything called so, for good."""

    def delete(self, name):
        if name.endswith("-kept"):
            raise ObjectLockedError(f"{name}: the store keeps it")
        return super().delete(name)


@pytest.mark.parametrize(
    ("kind", "check", "words"),
    [
        (Overwriting, "write once", "If-None-Match"),
        (Forgetful, "find", "consistent"),
        (Undeleting, "delete", "Give the right."),
    ],
)
def test_each_defect_fails_its_check_and_says_what_to_do(tmp_path, kind, check, words):
    """The others are made all the same."""
    trial, checks = tried(kind(tmp_path))

    assert not trial.is_fit
    assert {name for name, found in checks.items() if found.error} == {check}
    assert isinstance(checks[check].error, StorageError)
    assert words in checks[check].remedy


def test_what_is_left_is_named(tmp_path):
    """Where the key may not delete, and the store is not meant to be so."""
    _, checks = tried(Undeleting(tmp_path))

    assert checks["clean up"].state is CheckState.WARN
    left = [path.name for path in tmp_path.iterdir()]
    assert len(left) == 2
    assert all(name in checks["clean up"].detail for name in left)
    assert all(name.startswith(PREFIX) for name in left)


def test_an_append_only_store_must_refuse_deletions(tmp_path):
    """That it does is good; that it does not is a warning, and still nothing is left."""
    trial, checks = tried(Undeleting(tmp_path), append_only=True)
    assert trial.is_fit
    assert checks["delete"].state is CheckState.OK

    other = tmp_path / "other"
    other.mkdir()
    trial, checks = tried(LocalStore(other), append_only=True)
    assert trial.is_fit
    assert checks["delete"].state is CheckState.WARN
    assert list(other.iterdir()) == []


def test_a_clock_that_is_minutes_off_is_a_warning(tmp_path):
    """With its seconds, and in which direction."""
    trial, checks = tried(Late(tmp_path))

    assert trial.is_fit
    assert checks["clock"].state is CheckState.WARN
    assert "0:02:00 behind" in checks["clock"].detail
    assert -121 < trial.clock_skew_seconds < -119


def test_a_store_that_is_spoken_with_in_the_clear_is_a_warning(tmp_path):
    """Told first; backups can be kept there all the same."""
    trial, checks = tried(LocalStore(tmp_path), is_in_clear=True)

    assert trial.is_fit
    assert next(iter(checks)) == "encryption"
    assert checks["encryption"].state is CheckState.WARN


def test_a_store_that_shall_keep_objects_and_does_not_fails(tmp_path, monkeypatch):
    """Found out before a backup relies on it."""
    monkeypatch.setattr(trials, "_KEPT_SECONDS", 0.1)
    monkeypatch.setattr(trials, "_KEPT_LONGER_SECONDS", 0.1)
    trial, checks = tried(Keeping(tmp_path), object_lock_days=30)
    assert not trial.is_fit
    assert "object lock" in checks["object lock"].detail or checks["object lock"].error

    trial, checks = tried(Held(tmp_path), object_lock_days=30)
    assert checks["object lock"].state is CheckState.OK
    assert "-kept" in checks["clean up"].detail
