"""The audit: what is written, proven, pruned and accepted; on SQLite, with key and head outside of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.access.audit import AuditHead, CutKind
from app.domain.alerts.alert import AlertKind
from app.domain.stores import AuditFilter, Page
from app.errors import (
    AuditBrokenError,
    ClockJumpedError,
    ControlUnavailableError,
    InvalidRequestError,
)
from app.services.access.audit_upkeep import AuditUpkeep
from app.services.access.refusals import Refusal
from app.storage.audit_heads import AuditHeads
from app.storage.clock_witness import BootClock, ClockWitness
from tests.fixtures.clocks import SetClock
from tests.fixtures.kernels import FailingKernel
from tests.fixtures.monitored_installation import RaisedAlerts
from tests.fixtures.tampered_audit import DAY, EVENT, NOON, TamperedAudit, open_audit


ENTRIES = 1005  # more than is read at once


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[TamperedAudit]:
    """An audit of five entries."""
    made = await open_audit(tmp_path)
    await made.write(5)
    yield made
    await made.database.close()


async def test_an_audit_that_nobody_touched_is_whole(audit):
    """Verifying counts its entries and changes nothing."""
    proofs = [await audit.verify() for _ in range(2)]
    listed, total = await audit.service.list(AuditFilter(), Page(sort="number"))
    assert [entry.event.target for entry in listed] == ["/0", "/1", "/2", "/3", "/4"]
    assert total == 5
    head = json.loads(audit.head.read_text())
    assert (head["number"], head["digest"], head["cut"]) == (5, listed[-1].digest, 0)
    for proof in proofs:
        assert (proof.entries, proof.first, proof.last, proof.unkeyed) == (5, 1, 5, 0)
        assert (proof.digest, proof.cut) == (listed[-1].digest, None)
    assert audit.key.stat().st_mode & 0o777 == 0o600


async def test_an_audit_without_entries_is_whole(tmp_path):
    """There is nothing to prove, and no key is made for that."""
    audit = await open_audit(tmp_path)

    assert (await audit.verify()).entries == 0
    assert not audit.key.exists()
    await audit.database.close()


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
        "changes = '{}'",
        "count = 2",
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


async def test_a_tail_that_was_cut_is_found_after_new_entries_too(audit):
    """Those take the numbers of the old ones, and are not what the head remembers."""
    audit.tamper("DELETE FROM audit WHERE number > 3")
    await audit.service.record(EVENT)
    assert await audit.broken() == "everything after entry 4 is missing, up to 5"
    await audit.service.record(EVENT)

    assert await audit.broken() == "entry 5 was written anew"


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
    await audit.another(failing).record(EVENT)

    assert "Audit head could not be stored" in caplog.text
    assert json.loads(audit.head.read_text())["number"] == 5
    assert (await audit.verify()).entries == 6
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
    others = [audit.another() for _ in range(4)]

    await asyncio.gather(*(others[number % 4].record(EVENT) for number in range(40)))

    assert (await audit.verify()).entries == 45
    assert json.loads(audit.head.read_text())["number"] == 45


async def test_a_long_chain_is_read_in_parts(tmp_path):
    """And what is wrong behind the first part is found."""
    audit = await open_audit(tmp_path)
    audit.write_old(ENTRIES)
    assert (await audit.verify()).entries == ENTRIES
    await audit.write(1)
    proof = await audit.verify()
    assert (proof.entries, proof.unkeyed) == (ENTRIES + 1, ENTRIES)
    audit.tamper("UPDATE audit SET status = 1 WHERE number = 1003")

    assert await audit.broken() == "entry 1003 was changed"
    await audit.database.close()


async def test_an_older_version_s_entries_are_covered_by_the_next(tmp_path):
    """They have no key; from the first entry with one on nobody can write them anew."""
    audit = await open_audit(tmp_path)
    audit.write_old(3)
    assert (await audit.verify()).unkeyed == 3
    await audit.write(2)

    proof = await audit.verify()
    assert (proof.entries, proof.unkeyed) == (5, 3)
    audit.tamper("DELETE FROM audit WHERE number > 3")
    assert await audit.broken() == "everything after entry 3 is missing, up to 5"
    await audit.database.close()


async def test_a_key_is_changed_without_a_gap(audit):
    """A new one in the first line seals, the older ones below it prove what they have sealed."""
    old = audit.key.read_text()
    audit.key.write_text("a" * 64 + "\n" + old)
    await audit.another().record(EVENT)

    assert (await audit.verify()).entries == 6
    assert len({entry.key_id for entry in await audit.entries()}) == 2
    audit.key.write_text("a" * 64)
    assert "its key" in await audit.broken()


async def test_a_head_from_elsewhere_must_be_there_as_well(audit):
    """Also one that is newer than everything here."""
    proof = await audit.verify()
    assert (await audit.verify(AuditHead(5, proof.digest))).entries == 5
    assert await audit.broken(AuditHead(5, "0" * 64)) == "entry 5 was written anew"
    assert await audit.broken(AuditHead(7, proof.digest)) == (
        "everything after entry 5 is missing, up to 7"
    )


# Removed by age


async def test_old_entries_are_removed_and_the_rest_stays_proven(audit):
    """Behind a sealed checkpoint; the removal itself is in the audit."""
    at = NOON + 11 * DAY
    await audit.write(3, at=at)
    assert (await audit.another().prune(at, at)).entries == 8

    proof = await audit.verify()
    assert (proof.first, proof.last, proof.entries) == (6, 9, 4)
    assert proof.cut is not None
    assert (proof.cut.number, proof.cut.kind, proof.cut.at) == (5, CutKind.REMOVED, at)
    last = (await audit.entries())[-1].event
    assert (last.action, last.target, last.actor) == ("prune_audit", "entries up to 5", "retention")
    await audit.another().prune(at, at)
    assert (await audit.verify()).entries == 4
    with pytest.raises(InvalidRequestError, match="begins after entry 5"):
        await audit.verify(AuditHead(3, "0" * 64))


async def test_all_entries_may_be_too_old(audit):
    """Only that of the removal stays; the next one follows it."""
    await audit.another().prune(NOON + 100 * DAY, NOON + 100 * DAY)
    await audit.write(1)

    proof = await audit.verify()
    assert (proof.first, proof.last) == (6, 7)


async def test_nothing_is_removed_from_an_audit_that_is_not_whole(audit):
    """A prune would hide what somebody has done."""
    audit.tamper("UPDATE audit SET actor = 'bob' WHERE number = 2")

    with pytest.raises(AuditBrokenError):
        await audit.another().prune(NOON + 11 * DAY, NOON + 11 * DAY)
    assert len(await audit.entries()) == 5


async def test_a_prune_that_was_killed_is_taken_up(audit):
    """What is behind the checkpoint may still be there."""
    at = NOON + 11 * DAY
    await audit.write(3, at=at)
    rows = await audit.entries()
    await audit.another().prune(at, at)
    for row in rows[2:5]:
        audit.insert(row)

    assert (await audit.verify()).first == 6
    await audit.another().prune(at, at)
    assert [entry.number for entry in await audit.entries()] == [6, 7, 8, 9]


async def test_a_proof_goes_on_when_entries_are_removed_meanwhile(audit):
    """It begins later then; it does not call them missing."""
    at = NOON + 11 * DAY
    await audit.write(3, at=at)
    read = audit.records.read
    prunes = [audit.another()]

    async def read_slowly(after: int, limit: int):
        while prunes:
            await prunes.pop().prune(at, at)
        return await read(after, limit)

    service = audit.another()
    service._prover._store = type("Slow", (), {"read": staticmethod(read_slowly),
                                               "find_cut": audit.records.find_cut})()  # fmt: skip
    assert (await service.verify()).first == 6


# Accepted


async def test_a_proof_begins_anew_where_somebody_accepts_what_is_there(audit):
    """A lost key, a lost head, a changed entry: it is said since when, and by whom."""
    audit.key.unlink()
    audit.head.unlink()
    assert "key" in await audit.broken()
    cut = await audit.another().accept(replace(EVENT, actor="os:ann", action="accept_audit"))
    await audit.another().record(EVENT)

    proof = await audit.verify()
    assert (cut.number, proof.first, proof.last) == (5, 6, 7)
    assert proof.cut is not None
    assert proof.cut.kind is CutKind.ACCEPTED
    assert [entry.number for entry in await audit.entries()] == list(range(1, 8))
    assert (await audit.entries())[5].event.actor == "os:ann"
    await audit.another().prune(NOON, NOON)
    assert len(await audit.entries()) == 7


# Refused requests


async def test_refused_requests_are_one_entry_a_kind_and_hour(audit):
    """The first at once, the others as a count when the hour is over, or the service ends."""
    refused = replace(EVENT, actor="", result="not-authenticated", status=401)
    for number in range(100):
        at = NOON + number * DAY / (24 * 60 * 60)
        await audit.service.refuse(Refusal(replace(refused, at=at), "192.0.2.1"))
    assert len(await audit.entries()) == 6
    await audit.service.flush(NOON + DAY / 48)
    assert len(await audit.entries()) == 6
    await audit.service.flush()

    assert [entry.event.count for entry in (await audit.entries())[5:]] == [1, 99]
    assert (await audit.verify()).entries == 7


async def test_a_refusal_that_cannot_be_written_is_in_the_log(audit, caplog):
    """It had no effect: nobody need be told more than that they are refused."""
    audit.tamper("DROP TABLE audit")
    await audit.service.refuse(Refusal(replace(EVENT, status=401), "192.0.2.1"))

    assert "Refused requests are not in the audit" in caplog.text


# Every day


async def test_the_audit_is_proven_every_day_and_its_head_is_told(audit, caplog):
    """Its head goes to the log and to who asks for it; an alert is raised while it is not whole."""
    caplog.set_level("INFO")
    clock, alarm = SetClock(NOON), RaisedAlerts()
    witness = ClockWitness(audit.home, clock.now, BootClock(lambda: "boot", lambda: 5.0))
    witness.record({})
    upkeep = AuditUpkeep(audit.another(), witness, clock, alarm)
    await upkeep.run_daily()
    assert "Audit is whole" in caplog.text
    proof = await audit.verify()
    assert caplog.records[-1].facts["digest"] == proof.digest
    assert [report.kind for report in alarm.reports] == [AlertKind.AUDIT_HEAD]
    assert f"{proof.last}:{proof.digest}" in alarm.reports[0].message

    audit.tamper("UPDATE audit SET actor = 'bob' WHERE number = 2")
    await upkeep.run_daily()
    assert alarm.about(AlertKind.FAILURE) == ["the audit"]
    assert len(alarm.reports) == 1
    audit.tamper("UPDATE audit SET actor = 'ann' WHERE number = 2")
    await upkeep.run_daily()
    assert alarm.raised == {}


async def test_nothing_is_removed_by_a_clock_that_has_jumped(audit):
    """Everything would be too old."""
    clock, alarm = SetClock(NOON), RaisedAlerts()
    witness = ClockWitness(audit.home, clock.now, BootClock(lambda: "boot", lambda: 5.0))
    witness.record({})
    clock.at += 365 * DAY
    await AuditUpkeep(audit.another(), witness, clock, alarm).run_daily()

    assert len(await audit.entries()) == 5
    assert alarm.about(AlertKind.FAILURE) == ["the audit"]
    with pytest.raises(ClockJumpedError):
        witness.check({})


async def test_nothing_is_removed_by_a_clock_that_is_far_ahead_after_a_start(audit):
    """It may be set right soon; what is done meanwhile has the time that the clock says."""
    clock, alarm, boots = SetClock(NOON), RaisedAlerts(), ["one", "two"]
    witness = ClockWitness(audit.home, clock.now, BootClock(lambda: boots[0], lambda: 5.0))
    witness.record({})
    boots.pop(0)
    clock.at += 365 * DAY
    await AuditUpkeep(audit.another(), witness, clock, alarm).run_daily()

    assert len(await audit.entries()) == 5
    assert alarm.raised == {}
