"""Which values settings take, and which are refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import load_settings
from app.env_file import read_env_file
from app.errors import InvalidRequestError


@pytest.fixture
def another_users(monkeypatch) -> Callable[[Path], None]:
    """Makes another user the owner of something."""

    def give(path: Path) -> None:
        if os.geteuid():
            monkeypatch.setattr(os, "geteuid", lambda: 4242)
        else:
            os.chown(path, 4242, -1)

    return give


def test_settings_that_others_may_have_written_are_refused(monkeypatch, tmp_path, another_users):
    """As in a directory of everybody, where root looks for its own: settings name commands."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".env"
    file.write_text("BACKSTAY_CODEC=zstd\n")
    file.chmod(0o666)
    with pytest.raises(InvalidRequestError, match=r"\.env: everybody may write to it"):
        load_settings()
    assert read_env_file() == {}

    file.chmod(0o600)
    tmp_path.chmod(0o1777)
    assert load_settings().codec == "zstd"
    another_users(file)
    with pytest.raises(InvalidRequestError, match="another user's"):
        load_settings()
    tmp_path.chmod(0o700)
    assert load_settings().codec == "zstd"


@pytest.mark.parametrize("name", ["state", "backups"])
def test_directories_that_another_user_has_put_there_are_refused(
    monkeypatch, tmp_path, another_users, name
):
    """Where everybody may put one; keys, addresses and backups would be theirs."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o1777)
    (tmp_path / name).mkdir()
    load_settings()
    another_users(tmp_path / name)
    with pytest.raises(InvalidRequestError, match=f"/{name}: it is another user's"):
        load_settings()
    tmp_path.chmod(0o700)
    load_settings()


@pytest.mark.parametrize("name", ["ENCRYPT_TO", "SIGNERS"])
def test_a_private_key_is_refused_where_public_ones_belong(monkeypatch, name):
    """Such a setting is shown in pages and kept where everybody may read it."""
    for text in ("age1x AGE-SECRET-KEY-1HUNTER2", "-----BEGIN PRIVATE KEY-----hunter2"):
        monkeypatch.setenv(f"BACKSTAY_{name}", text)
        with pytest.raises(
            InvalidRequestError, match=f"BACKSTAY_{name}: holds a private"
        ) as caught:
            load_settings()
        assert "hunter2" not in (str(caught.value) + caught.value.hint).lower()


def test_an_identity_file_is_a_path_or_none(monkeypatch, tmp_path):
    """Empty is none, as compose files have it; `~` is the home of whoever runs the program."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for text, path in (("", None), ("~/key", tmp_path / "key"), ("/a/key", Path("/a/key"))):
        monkeypatch.setenv("BACKSTAY_IDENTITY_FILE", text)
        assert load_settings().identity_file == path


@pytest.mark.parametrize("name", ["IDENTITY_FILE", "SCRATCH_BIN", "LOG_FILE"])
def test_an_empty_path_that_need_not_be_is_none(monkeypatch, name):
    """It would be the directory that the program happens to be started in."""
    monkeypatch.setenv(f"BACKSTAY_{name}", "")
    assert getattr(load_settings(), name.lower()) is None
