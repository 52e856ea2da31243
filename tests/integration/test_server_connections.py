"""Connections to the server: so many in sum over all runs, and a clear error beyond."""

import asyncio

import pytest

from app.concurrency import Bound
from app.domain.restores.restore import RestoreRequest
from app.engine.server.server import Server
from app.errors import ConnectionFailedError, NoConnectionLeftError
from app.services.doctor.service import DoctorService
from tests.fixtures.backstay import Backstay
from tests.fixtures.restored_shop import scratch


async def test_what_is_beyond_waits_and_is_refused(server):
    """With the setting; a connection that is closed makes room, and closing twice makes no more."""
    places = Bound("max_server_connections", 2)
    target = Server(server.url, places=places)
    first, second = await target.open(), await target.open()

    target.timeout_seconds, patience = 0.2, target.timeout_seconds
    with pytest.raises(NoConnectionLeftError, match="2 connections") as caught:
        await target.open()
    target.timeout_seconds = patience
    assert "BACKSTAY_MAX_SERVER_CONNECTIONS" in caught.value.hint
    waiting = asyncio.create_task(target.open())
    await asyncio.sleep(0.05)
    await first.close()
    await first.close()
    third = await waiting

    assert places.used == 2
    for session in (second, third):
        await session.close()
    assert places.used == 0
    await target.close()


async def test_a_connection_that_fails_takes_no_place():
    """Nobody answers there."""
    places = Bound("max_server_connections", 2)
    target = Server("mysql://nobody@127.0.0.1:1/", places=places)
    for _ in range(3):
        with pytest.raises(ConnectionFailedError):
            await target.open()

    assert places.used == 0
    await target.close()


async def test_a_statement_is_killed_without_a_place(server):
    """Whoever is cancelled leaves no query behind, also when all connections are taken."""
    target = Server(server.url, places=Bound("max_server_connections", 1))
    session = await target.open()
    sleeping = asyncio.create_task(session.query("SELECT SLEEP(60)"))
    await asyncio.sleep(0.1)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    await session.close()

    async with target.session() as other:
        mine = await other.texts(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(60)%'"
        )
    assert mine == []
    await target.close()


async def test_every_run_gives_all_its_places_back(server, tmp_path, sql, shop):
    """A backup, a dry run, a drill, a restore and an undo, within the smallest limit, side by side."""
    places = Bound("max_server_connections", 16)
    backstay = Backstay(server.url, tmp_path / "backups", places=places)
    manifest = await backstay.backup(shop)
    drill = backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))

    restored, _, _ = await asyncio.gather(
        backstay.restore(manifest),
        backstay.recoveries.drill(await drill),
        backstay.recoveries.dry_run(
            await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))
        ),
    )
    await backstay.recoveries.undo(restored.restore_id)

    assert places.used == 0
    assert places.hits == 0
    assert not [name for name in scratch(sql, shop) if "__bk_new_" in name]
    await backstay.close()


async def test_whoever_examines_the_server_leaves_connections_to_all_else(server, tmp_path):
    """Twenty at once wait for one look, which has begun when they had asked; the next one is a new one."""
    places = Bound("max_server_connections", 3)
    target = Server(server.url, places=places)
    backstay = Backstay(server.url, tmp_path)
    doctor = DoctorService(target, backstay.catalogue, backstay.journals)
    first = asyncio.create_task(doctor.examine())
    await asyncio.sleep(0)
    many = await asyncio.gather(*(doctor.examine() for _ in range(20)))
    later = await doctor.examine()

    assert places.hits == 0
    assert len({id(found) for found in many}) == 1
    assert len({id(found) for found in (await first, many[0], later)}) == 3
    await target.close()
