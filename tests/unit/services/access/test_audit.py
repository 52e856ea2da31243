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


class TamperedAudit:
    """An audit whose database somebody else can write to."""

    def __init__(self, home: Path, database: ControlDatabase) -> None:
        self.home = home
        self.records = AuditRecords(database)
        self.service = AuditService(self.records, AuditHeads(home))
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
            await self.service.verify()
        assert caught.value.hint or "head" in str(caught.value)
        return str(caught.value)


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[TamperedAudit]:
    """An audit of five entries."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path / 'control.db'}", tmp_path)
    await database.prepare()
    made = TamperedAudit(tmp_path, database)
    for number in range(5):
        await made.service.record(replace(EVENT, target=f"/{number}"))
    yield made
    await database.close()


async def test_an_audit_that_nobody_touched_is_whole(audit):
    """Verifying counts its entries and changes nothing."""
    assert await audit.service.verify() == 5
    assert await audit.service.verify() == 5
    listed, total = await audit.service.list(AuditFilter(), Page(sort="number"))
    assert [entry.event.target for entry in listed] == ["/0", "/1", "/2", "/3", "/4"]
    assert total == 5
    assert json.loads(audit.head.read_text()) == {"number": 5, "digest": listed[-1].digest}


async def test_an_audit_without_entries_is_whole(tmp_path):
    """There is nothing to prove."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path / 'control.db'}", tmp_path)
    await database.prepare()

    assert await TamperedAudit(tmp_path, database).service.verify() == 0
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
async def test_an_entry_that_was_changed_is_found(change, number, audit):
    """Whichever field of whichever entry."""
    audit.tamper(f"UPDATE audit SET {change} WHERE number = {number}")

    assert await audit.broken() == f"entry {number} was changed"


async def test_entries_that_are_missing_are_found(audit):
    """In the middle, at the beginning, at the end, all of them."""
    audit.tamper("DELETE FROM audit WHERE number = 5")
    assert await audit.broken() == "everything after entry 4 is missing, up to 5"
    audit.tamper("DELETE FROM audit WHERE number = 3")
    assert await audit.broken() == "entry 3 is missing"
    audit.tamper("DELETE FROM audit WHERE number = 1")
    assert await audit.broken() == "entry 1 is missing"
    audit.tamper("DELETE FROM audit")
    assert await audit.broken() == "everything after entry 0 is missing, up to 5"


async def test_a_chain_that_was_written_anew_is_found(audit):
    """Each link fits the one before it, but the head outside remembers another one."""
    digest = GENESIS
    for entry in await audit.records.read(0, 10):
        event = replace(entry.event, actor="nobody")
        digest = seal(entry.number, event, digest).digest
        audit.tamper(
            f"UPDATE audit SET actor = 'nobody', digest = '{digest}' WHERE number = {entry.number}"
        )

    assert await audit.broken() == "entry 5 was written anew"


async def test_a_tail_that_was_cut_is_found_after_new_entries_too(audit):
    """Those take the numbers of the old ones, and are not what the head remembers."""
    audit.tamper("DELETE FROM audit WHERE number > 3")
    await audit.service.record(EVENT)
    assert await audit.broken() == "everything after entry 4 is missing, up to 5"
    await audit.service.record(EVENT)

    assert await audit.broken() == "entry 5 was written anew"


async def test_without_a_head_the_chain_is_proven_all_the_same(audit):
    """A new state directory has none; the next entry makes one."""
    audit.head.unlink()
    assert await audit.service.verify() == 5
    audit.tamper("UPDATE audit SET actor = 'bob' WHERE number = 2")
    assert await audit.broken() == "entry 2 was changed"
    await audit.service.record(EVENT)

    assert json.loads(audit.head.read_text())["number"] == 6


@pytest.mark.parametrize(
    "damage",
    [b"", b"{}", b"[]", b"null", b'{"number": "x", "digest": ""}', b"[" * 1000, b"\xff"],
    ids=lambda data: ascii(data[:20]),
)
async def test_a_damaged_head_is_found_and_kept(damage, audit):
    """Somebody may want to look at it; entries are added all the same."""
    audit.head.write_bytes(damage)

    assert await audit.broken() == "head.json: not the head of an audit"
    await audit.service.record(EVENT)
    assert audit.head.read_bytes() == damage
    assert len(await audit.records.read(0, 10)) == 6


async def test_a_head_that_cannot_be_written_stops_nobody(audit, caplog):
    """The entry is there, the log tells, and a later head covers it too."""
    failing = AuditHeads(audit.home, FailingKernel(3, 28))
    await AuditService(audit.records, failing).record(EVENT)

    assert "Audit head could not be stored" in caplog.text
    assert json.loads(audit.head.read_text())["number"] == 5
    assert await audit.service.verify() == 6
    await audit.service.record(EVENT)
    assert json.loads(audit.head.read_text())["number"] == 7


async def test_an_entry_that_cannot_be_written_is_an_error(audit):
    """Nobody may do something that is not in the audit without being told."""
    audit.tamper("DROP TABLE audit")

    with pytest.raises(ControlUnavailableError):
        await audit.service.record(EVENT)
    with pytest.raises(ControlUnavailableError):
        await audit.service.verify()
    assert json.loads(audit.head.read_text())["number"] == 5


async def test_entries_at_once_are_one_chain(audit):
    """From several processes' worth of services; the head is the newest, whoever comes last."""
    others = [AuditService(audit.records, AuditHeads(audit.home)) for _ in range(4)]

    await asyncio.gather(*(others[number % 4].record(EVENT) for number in range(40)))

    assert await audit.service.verify() == 45
    assert json.loads(audit.head.read_text())["number"] == 45


async def test_a_long_chain_is_read_in_parts(audit):
    """And what is wrong behind the first part is found."""
    entries = await audit.records.read(0, 10)
    digest = entries[-1].digest
    rows = []
    for number in range(6, ENTRIES + 1):
        digest = seal(number, EVENT, digest).digest
        rows.append(f"({number}, '{digest}')")
    audit.tamper(
        "INSERT INTO audit (number, digest, at, actor, role, address, action, target, status, result,"
        f" run_id) SELECT v.column1, v.column2, '2026-01-31 12:00:00.000000', '{EVENT.actor}', '{EVENT.role}',"
        f" '{EVENT.address}', '{EVENT.action}', '{EVENT.target}', {EVENT.status}, '{EVENT.result}', ''"
        f" FROM (VALUES {', '.join(rows)}) AS v"
    )
    assert await audit.service.verify() == ENTRIES
    audit.tamper("UPDATE audit SET status = 1 WHERE number = 1003")

    assert await audit.broken() == "entry 1003 was changed"
