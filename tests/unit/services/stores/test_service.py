"""Stores by their names, as they are defined at the moment."""

import pytest

from app.errors import InvalidRequestError, StoreNotFoundError
from app.services.stores.service import StoreService
from tests.fixtures.clocks import SystemClock


def stores(directory, addresses=""):
    """The service, with its state in a directory."""
    return StoreService(directory, addresses, {"SECRET": "hush"}.get, SystemClock())


async def test_a_change_of_the_file_counts_at_once(tmp_path):
    """Nobody needs to start the service again."""
    service = stores(tmp_path)
    assert await service.list() == ()
    (tmp_path / "stores.toml").write_text('[disk]\nkind = "local"\npath = "/mnt/backups"\n')
    (found,) = await service.list()
    assert (found.name, found.kind, found.place) == ("disk", "local", "/mnt/backups")
    (tmp_path / "stores.toml").write_text("[disk]\n")
    with pytest.raises(InvalidRequestError):
        await service.list()


@pytest.mark.parametrize(
    ("endpoint", "is_in_clear"),
    [
        ("", False),
        ("https://s3.example.com", False),
        ("http://s3.example.com", True),
        ("http://10.0.0.1:9000", True),
        ("http://127.0.0.1:9000", False),
        ("http://[::1]:9000", False),
        ("http://localhost:9000", False),
    ],
)
async def test_a_store_without_encryption_is_known(tmp_path, endpoint, is_in_clear):
    """On this machine nobody is on the way."""
    query = f"?endpoint={endpoint}" if endpoint else ""
    (found,) = await stores(tmp_path, f"x=s3://bucket{query}").list()

    assert found.is_in_clear is is_in_clear


async def test_stores_are_opened_and_tested_by_name(tmp_path):
    """One that is not there is none of them."""
    (tmp_path / "kept").mkdir()
    service = stores(tmp_path, f"disk=local://{tmp_path / 'kept'}")
    store = service.open("disk")
    store.put("x", b"1")
    trial = await service.test("disk")

    assert trial.is_fit
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["x"]
    with pytest.raises(StoreNotFoundError):
        service.open("other")
    with pytest.raises(StoreNotFoundError):
        await service.test("other")
