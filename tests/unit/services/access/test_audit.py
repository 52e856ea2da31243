"""The audit: what `verify` finds, on SQLite in a file and with the head outside of it."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.control.audit import AuditRecords
from app.control.database import ControlDatabase
from app.domain.access.audit import GENESIS, AuditEvent, seal
from app.domain.stores import AuditFilter, Page
from app.errors import AuditBrokenError, ControlUnavailableError
from app.services.access.audit import AuditService
from app.storage.audit_heads import AuditHeads
from tests.fixtures.kernels import FailingKernel


EVENT = AuditEvent(
    datetime(2026, 1, 31, 12, tzinfo=UTC), "ann", "admin", "192.0.2.1", "create", "/x", 202, "ok"
)
ENTRIES = 1005  # more than is read at once


class World:
    """An audit, and somebody who can write to its database."""

    def __init__(self, home: Path, database: ControlDatabase) -> None:
        self.home = home
        self.records = AuditRecords(database)
        self.audit = AuditService(self.records, AuditHeads(home))
        self.head = home / "audit" / "head.json"

    def tamper(self, *statements: str) -> None:
        """Write to the database past the program."""
        with closing(sqlite3.connect(self.home / "control.db")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    async def broken(self) -> str:
        """Say what is wrong with it."""
        with pytest.raises(AuditBrokenError) as caught:
            await self.audit.verify()
        assert caught.value.hint or "head" in str(caught.value)
        return str(caught.value)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An audit of five entries."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path / 'control.db'}", tmp_path)
    await database.prepare()
    made = World(tmp_path, database)
    for number in range(5):
        await made.audit.record(replace(EVENT, target=f"/{number}"))
    yield made
    await database.close()


async def test_an_audit_that_nobody_touched_is_whole(world):
    """Verifying counts its entries and changes nothing."""
    assert await world.audit.verify() == 5
    assert await world.audit.verify() == 5
    listed, total = await world.audit.list(AuditFilter(), Page(sort="number"))
    assert [entry.event.target for entry in listed] == ["/0", "/1", "/2", "/3", "/4"]
    assert total == 5
    assert json.loads(world.head.read_text()) == {"number": 5, "digest": listed[-1].digest}


async def test_an_audit_without_entries_is_whole(tmp_path):
    """There is nothing to prove."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path / 'control.db'}", tmp_path)
    await database.prepare()

    assert await World(tmp_path, database).audit.verify() == 0
    await database.close()


@pytest.mark.parametrize("number", [1, 3, 5])
@pytest.mark.parametrize(
    "change",
    [
        "actor = 'bob'",
        "role = 'viewer'",
        "address = ''",
        "action = 'delete'",
        "target = '/9'",
        "status = 403",
        "result = 'refused'",
        "run_id = 'run_1'",
        "at = '2026-01-31 12:00:00.000001'",
        "digest = '" + "0" * 64 + "'",
    ],
)
async def test_an_entry_that_was_changed_is_found(change, number, world):
    """Whichever field of whichever entry."""
    world.tamper(f"UPDATE audit SET {change} WHERE number = {number}")

    assert await world.broken() == f"entry {number} was changed"


async def test_entries_that_are_missing_are_found(world):
    """In the middle, at the beginning, at the end, all of them."""
    world.tamper("DELETE FROM audit WHERE number = 5")
    assert await world.broken() == "everything after entry 4 is missing, up to 5"
    world.tamper("DELETE FROM audit WHERE number = 3")
    assert await world.broken() == "entry 3 is missing"
    world.tamper("DELETE FROM audit WHERE number = 1")
    assert await world.broken() == "entry 1 is missing"
    world.tamper("DELETE FROM audit")
    assert await world.broken() == "everything after entry 0 is missing, up to 5"


async def test_a_chain_that_was_written_anew_is_found(world):
    """Each link fits the one before it, but the head outside remembers another one."""
    digest = GENESIS
    for entry in await world.records.read(0, 10):
        event = replace(entry.event, actor="nobody")
        digest = seal(entry.number, event, digest).digest
        world.tamper(
            f"UPDATE audit SET actor = 'nobody', digest = '{digest}' WHERE number = {entry.number}"
        )

    assert await world.broken() == "entry 5 was written anew"


async def test_a_tail_that_was_cut_is_found_after_new_entries_too(world):
    """Those take the numbers of the old ones, and are not what the head remembers."""
    world.tamper("DELETE FROM audit WHERE number > 3")
    await world.audit.record(EVENT)
    assert await world.broken() == "everything after entry 4 is missing, up to 5"
    await world.audit.record(EVENT)

    assert await world.broken() == "entry 5 was written anew"


async def test_without_a_head_the_chain_is_proven_all_the_same(world):
    """A new state directory has none; the next entry makes one."""
    world.head.unlink()
    assert await world.audit.verify() == 5
    world.tamper("UPDATE audit SET actor = 'bob' WHERE number = 2")
    assert await world.broken() == "entry 2 was changed"
    await world.audit.record(EVENT)

    assert json.loads(world.head.read_text())["number"] == 6


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[]", b"null", b'{"number": "x", "digest": ""}', b"[" * 1000, b"\xff"],
    ids=lambda data: ascii(data[:20]),
)
async def test_a_damaged_head_is_found_and_kept(damage, world):
    """Somebody may want to look at it; entries are added all the same."""
    world.head.write_bytes(damage)

    assert await world.broken() == "head.json: not the head of an audit"
    await world.audit.record(EVENT)
    assert world.head.read_bytes() == damage
    assert len(await world.records.read(0, 10)) == 6


async def test_a_head_that_cannot_be_written_stops_nobody(world, caplog):
    """The entry is there, the log tells, and a later head covers it too."""
    failing = AuditHeads(world.home, FailingKernel(3, 28))
    await AuditService(world.records, failing).record(EVENT)

    assert "Audit head could not be stored" in caplog.text
    assert json.loads(world.head.read_text())["number"] == 5
    assert await world.audit.verify() == 6
    await world.audit.record(EVENT)
    assert json.loads(world.head.read_text())["number"] == 7


async def test_an_entry_that_cannot_be_written_is_an_error(world):
    """Nobody may do something that is not in the audit without being told."""
    world.tamper("DROP TABLE audit")

    with pytest.raises(ControlUnavailableError):
        await world.audit.record(EVENT)
    with pytest.raises(ControlUnavailableError):
        await world.audit.verify()
    assert json.loads(world.head.read_text())["number"] == 5


async def test_entries_at_once_are_one_chain(world):
    """From several processes' worth of services; the head is the newest, whoever comes last."""
    others = [AuditService(world.records, AuditHeads(world.home)) for _ in range(4)]

    await asyncio.gather(*(others[number % 4].record(EVENT) for number in range(40)))

    assert await world.audit.verify() == 45
    assert json.loads(world.head.read_text())["number"] == 45


async def test_a_long_chain_is_read_in_parts(world):
    """And what is wrong behind the first part is found."""
    entries = await world.records.read(0, 10)
    digest = entries[-1].digest
    rows = []
    for number in range(6, ENTRIES + 1):
        digest = seal(number, EVENT, digest).digest
        rows.append(f"({number}, '{digest}')")
    world.tamper(
        "INSERT INTO audit (number, digest, at, actor, role, address, action, target, status, result,"
        f" run_id) SELECT v.column1, v.column2, '2026-01-31 12:00:00.000000', '{EVENT.actor}', '{EVENT.role}',"
        f" '{EVENT.address}', '{EVENT.action}', '{EVENT.target}', {EVENT.status}, '{EVENT.result}', ''"
        f" FROM (VALUES {', '.join(rows)}) AS v"
    )
    assert await world.audit.verify() == ENTRIES
    world.tamper("UPDATE audit SET status = 1 WHERE number = 1003")

    assert await world.broken() == "entry 1003 was changed"
