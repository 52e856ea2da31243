"""What settings say of themselves."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import Settings, SettingSource, describe_settings, load_settings
from app.env_file import read_env_file
from app.errors import InvalidRequestError


def test_each_setting_says_its_value_and_where_that_is_from(monkeypatch, tmp_path):
    """The environment wins over the file; what the program sets itself is neither, nor a default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("BACKSTAY_CODEC=zstd\nBACKSTAY_KEEP_DAYS=3\n")
    monkeypatch.setenv("BACKSTAY_KEEP_DAYS", "7.5")

    settings = load_settings().model_copy(update={"timezone": "Europe/Berlin"})
    found = {setting.name: setting for setting in describe_settings(settings)}

    assert len(found) == len(Settings.model_fields)
    known = {
        name: (setting.value, setting.default, setting.source)
        for name, setting in found.items()
        if setting.source is not SettingSource.DEFAULT
    }
    assert known == {
        "BACKSTAY_CODEC": ("zstd", "gzip", SettingSource.FILE),
        "BACKSTAY_KEEP_DAYS": ("7.5", "0.0", SettingSource.ENVIRONMENT),
        "BACKSTAY_TIMEZONE": ("Europe/Berlin", "UTC", SettingSource.PROGRAM),
    }
    assert found["BACKSTAY_LOG_FILE"].value == ""
    assert found["BACKSTAY_COMPRESS"].value == "true"


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


def test_no_secret_is_shown():
    """Only whether it is set."""
    secrets = {
        name: SecretStr("hunter2")
        for name, info in Settings.model_fields.items()
        if info.annotation is SecretStr
    }
    found = describe_settings(Settings().model_copy(update=secrets))

    assert len(secrets) > 5
    assert "hunter2" not in str(found)
    shown = {setting.name for setting in found if setting.is_secret}
    assert shown == {f"BACKSTAY_{name}".upper() for name in secrets}
    assert {setting.value for setting in found if setting.is_secret} == {"set"}


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
