"""What the doctor says of files and directories that are to be the owner's alone, by their real modes."""

import shlex
import stat
import subprocess

import pytest

from app.domain.monitoring import CheckState
from app.services.doctor.directory import PrivatePlaces, mode_checks


@pytest.fixture
def places(tmp_path):
    """A state directory, a control database elsewhere, and files that people made; all as they should be."""
    state = tmp_path / "the state"
    state.mkdir(mode=0o700)
    (state / "audit").mkdir(mode=0o700)
    found = PrivatePlaces(
        state,
        tmp_path / "control.db",
        named=(tmp_path / ".env", tmp_path / "identity"),
        public=(state / "stores.toml",),
    )
    for file in (state / "signing.key", found.control, tmp_path / "control.db-wal", *found.named):
        file.touch(mode=0o600)
    found.public[0].touch(mode=0o644)
    return found


@pytest.mark.parametrize(
    ("name", "mode", "verbs"),
    [
        ("the state", 0o750, "read and enter"),
        ("the state", 0o777, "read, write and enter"),
        ("the state", 0o711, "enter"),
        ("the state/audit", 0o705, "read and enter"),
        ("the state/signing.key", 0o640, "read"),
        ("the state/signing.key", 0o602, "write"),
        ("the state/stores.toml", 0o664, "write"),
        ("control.db", 0o644, "read"),
        ("control.db-wal", 0o660, "read and write"),
        (".env", 0o604, "read"),
        (".env", 0o660, "write"),
        ("identity", 0o646, "read and write"),
    ],
)
def test_what_others_may_read_or_write_is_told_with_what_ends_it(
    places, tmp_path, name, mode, verbs
):
    """One warning; the command that it names, run by a shell, leaves nothing to warn of."""
    (tmp_path / name).chmod(mode)
    (found,) = mode_checks(places)
    subprocess.run(["sh", "-c", found.remedy], check=True)
    (after,) = mode_checks(places)

    assert (found.name, found.state) == ("private files", CheckState.WARN)
    assert found.detail == f"{tmp_path / name} has mode {mode:04o}: others may {verbs} it"
    assert shlex.split(found.remedy)[::2] == ["chmod", str(tmp_path / name)]
    assert after.state is CheckState.OK
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o700 == mode & 0o700


def test_what_a_group_was_given_to_read_is_no_warning(places):
    """As root does it with a file of secrets: 0640, of the group of the service."""
    for file in places.named:
        file.chmod(0o640)

    (found,) = mode_checks(places)

    assert (found.state, found.detail) == (CheckState.OK, "8 looked at, none open to others")


def test_what_is_not_there_yet_or_leads_nowhere_is_nothing_to_warn_of(places, tmp_path):
    """Before the first backup; and a link whose other end is gone has the mode of nothing."""
    (places.state / "dangling").symlink_to(tmp_path / "nothing")
    (found,) = mode_checks(places)

    assert found.state is CheckState.OK
    assert mode_checks(PrivatePlaces(tmp_path / "none", named=(tmp_path / "neither",))) == []
