"""What settings say of themselves."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import Settings, SettingSource, describe_settings, load_settings
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
