"""What is said of settings: each of them, and no secret."""

from pydantic import SecretStr

from app.config import Settings, load_settings
from app.setting_facts import SettingSource, describe_settings


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
