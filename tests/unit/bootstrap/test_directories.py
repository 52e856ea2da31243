"""Catalogues of stores: opened once, and anew when what they were opened with is another."""

import gc
import weakref

import pytest

from app.archive.file.keys import NO_KEYS
from app.bootstrap.directories import StoreCatalogues
from app.config import Settings


@pytest.fixture
def secret(tmp_path):
    """The file of a secret."""
    path = tmp_path / "secret"
    path.write_text("first")
    path.chmod(0o600)
    return path


def test_a_store_is_opened_anew_with_another_secret(tmp_path, secret):
    """Whoever rotates it need not start the service again; an unchanged one stays open."""
    address = f"offsite=s3://backups?access_key=AKIAEXAMPLE&secret_file={secret}"
    catalogues = StoreCatalogues(Settings(state_dir=tmp_path / "state", stores=address), NO_KEYS)
    first = catalogues.get("offsite")
    assert catalogues.get("offsite") is first
    fresh = secret.with_name("fresh")
    fresh.write_text("second")
    fresh.chmod(0o600)
    fresh.replace(secret)

    second = catalogues.get("offsite")
    assert second is not first
    assert catalogues.get("offsite") is second
    catalogues.close()


def test_secrets_that_are_new_every_hour_leave_no_store_open_for_ever(tmp_path, monkeypatch):
    """Each has connections, and ten megabytes; those of a day stay open for whoever reads there."""
    address = "offsite=s3://backups?access_key=AKIAEXAMPLE&secret_env=OFFSITE_SECRET"
    catalogues = StoreCatalogues(Settings(state_dir=tmp_path / "state", stores=address), NO_KEYS)
    opened = []
    for number in range(30):
        monkeypatch.setenv("OFFSITE_SECRET", f"secret {number}")
        opened.append(weakref.ref(catalogues.get("offsite")))
    gc.collect()

    assert [found() is not None for found in opened] == [False] * 5 + [True] * 25
    catalogues.close()


def test_a_variable_with_a_secret_counts_like_a_file(tmp_path, monkeypatch):
    """As it is in the environment, or in `.env`."""
    monkeypatch.setenv("OFFSITE_SECRET", "first")
    address = "offsite=s3://backups?access_key=AKIAEXAMPLE&secret_env=OFFSITE_SECRET"
    catalogues = StoreCatalogues(Settings(state_dir=tmp_path / "state", stores=address), NO_KEYS)
    first = catalogues.get("offsite")
    monkeypatch.setenv("OFFSITE_SECRET", "second")

    assert catalogues.get("offsite") is not first
    catalogues.close()
