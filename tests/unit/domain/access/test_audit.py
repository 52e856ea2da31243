"""The links of the audit's chain, with a key and without."""

import hashlib
import hmac
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, strategies as st

from app.domain.access.audit import (
    GENESIS,
    AuditCut,
    AuditEvent,
    AuditHead,
    AuditKey,
    AuditSeals,
    ChangeNote,
    CutKind,
    seal,
)


EVENT = AuditEvent(
    at=datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC),
    actor="ann",
    role="admin",
    address="192.0.2.1",
    action="create_backup",
    target="/api/admin/backup/create",
    status=202,
    result="ok",
    run_id="run_0123456789abcdef",
)
EVENTS = st.builds(
    AuditEvent,
    st.datetimes(timezones=st.just(UTC)),
    *[st.text(max_size=10)] * 5,
    st.integers(0, 999),
    *[st.text(max_size=10)] * 2,
)


OLD, NEW = AuditKey(b"1" * 32), AuditKey(b"2" * 32)
SEALS = AuditSeals([NEW, OLD])
CUT = AuditCut(7, "a" * 64, EVENT.at, CutKind.REMOVED)
HEAD = AuditHead(9, "b" * 64, 7)


def _changed(field: str) -> AuditEvent:
    changes: dict[str, Any] = {field: "x"}
    return replace(EVENT, **changes)


def test_a_digest_without_a_key_can_be_computed_by_hand():
    """SHA-256 of the digest before, a line feed, and the fields as JSON with sorted keys."""
    text = (
        '{"action":"create_backup","actor":"ann","address":"192.0.2.1",'
        '"at":"2026-01-31T12:00:00.000005+00:00","number":7,"result":"ok","role":"admin",'
        '"run_id":"run_0123456789abcdef","status":202,"target":"/api/admin/backup/create"}'
    )
    by_hand = hashlib.sha256(f"{GENESIS}\n{text}".encode()).hexdigest()

    assert seal(7, EVENT, GENESIS).digest == by_hand


def test_a_digest_can_be_computed_by_hand():
    """HMAC-SHA256 of `entry`, the digest before, and all fields as JSON, a line each."""
    text = (
        '{"action":"create_backup","actor":"ann","address":"192.0.2.1",'
        '"at":"2026-01-31T12:00:00.000005+00:00","changes":"","count":1,'
        f'"key_id":"{NEW.key_id}","number":7,"result":"ok","role":"admin",'
        '"run_id":"run_0123456789abcdef","status":202,"target":"/api/admin/backup/create"}'
    )
    message = f"entry\n{GENESIS}\n{text}".encode()
    by_hand = hmac.new(NEW.secret, message, hashlib.sha256).hexdigest()

    assert SEALS.link(7, EVENT, GENESIS).digest == by_hand
    assert set(json.loads(text)) == {field.name for field in fields(AuditEvent)} | {
        "number",
        "key_id",
    }


def test_one_instant_has_one_digest():
    """Whatever zone it is written in."""
    elsewhere = replace(EVENT, at=EVENT.at.astimezone(timezone(timedelta(hours=5.5))))

    assert SEALS.link(1, elsewhere, GENESIS).digest == SEALS.link(1, EVENT, GENESIS).digest


@given(EVENTS, EVENTS)
def test_no_two_events_have_one_digest(event, other):
    """Every field counts, and where one ends and the next begins."""
    same = SEALS.link(1, event, GENESIS).digest == SEALS.link(1, other, GENESIS).digest

    assert same == (event == other)


def test_number_key_and_predecessor_count():
    """An entry cannot be moved, nor put after another one, nor sealed with another key."""
    digests = {
        SEALS.link(1, EVENT, GENESIS).digest,
        SEALS.link(2, EVENT, GENESIS).digest,
        SEALS.link(1, EVENT, "1" * 64).digest,
        AuditSeals([OLD]).link(1, EVENT, GENESIS).digest,
        *(
            SEALS.link(1, _changed(field.name), GENESIS).digest
            for field in fields(AuditEvent)
            if field.name not in {"at", "status", "count"}
        ),
        SEALS.link(1, replace(EVENT, status=200), GENESIS).digest,
        SEALS.link(1, replace(EVENT, count=2), GENESIS).digest,
        SEALS.link(1, replace(EVENT, at=EVENT.at + timedelta(microseconds=1)), GENESIS).digest,
    }

    assert len(digests) == 4 + len(fields(AuditEvent))


def test_the_newest_key_seals_and_older_ones_prove():
    """One that is not here proves nothing."""
    old = AuditSeals([OLD])
    for seals in (old, SEALS):
        entry = seals.link(1, EVENT, GENESIS)
        assert SEALS.is_whole(entry, GENESIS)
        assert not SEALS.is_whole(replace(entry, event=_changed("actor")), GENESIS)
        assert SEALS.is_cut(seals.cut(CUT))
        assert SEALS.is_head(seals.head(HEAD))
    assert SEALS.key_id == NEW.key_id
    assert not old.knows(NEW.key_id)
    assert not old.is_cut(SEALS.cut(CUT))
    assert not old.is_head(SEALS.head(HEAD))


def test_a_seal_is_good_for_what_it_was_made_for():
    """Neither for another checkpoint or head, nor one for the other."""
    cut, head = SEALS.cut(CUT), SEALS.head(HEAD)
    for change in ({"number": 8}, {"digest": "c" * 64}, {"kind": CutKind.ACCEPTED}, {"seal": ""}):
        changes: dict[str, Any] = change
        assert not SEALS.is_cut(replace(cut, **changes))
    for change in ({"number": 8}, {"digest": "c" * 64}, {"cut": 0}, {"seal": cut.seal}):
        changes = change
        assert not SEALS.is_head(replace(head, **changes))


def test_keys_are_not_shown():
    """Neither in a log nor in an error; a fingerprint tells nothing without the key."""
    assert "1111" not in repr(OLD) + OLD.key_id
    assert SEALS.fingerprint("hunter2") == SEALS.fingerprint("hunter2") != OLD.key_id
    assert SEALS.fingerprint("hunter2") != AuditSeals([OLD]).fingerprint("hunter2")
    assert len(SEALS.fingerprint("\ud800")) == 12


def test_a_note_has_old_and_new_of_what_differs():
    """Also of what was made or deleted; nothing of what stayed."""
    note = ChangeNote()
    assert note.text == ""
    note.take({"role": "viewer", "disabled": False}, {"role": "admin", "disabled": False})
    assert json.loads(note.text) == {"role": ["viewer", "admin"]}
    note.take(None, {"role": "admin"})
    assert json.loads(note.text) == {"role": [None, "admin"]}
    note.take({"role": "admin"}, None)
    assert json.loads(note.text) == {"role": ["admin", None]}
    note.take({"role": "admin"}, {"role": "admin"})
    assert note.text == ""
    note.take({"tables": ["t" * 99] * 500}, {"tables": []})
    assert set(json.loads(note.text)) == {"too long, as SHA-256"}
