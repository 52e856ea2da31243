"""The links of the audit's chain."""

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, strategies as st

from app.domain.access.audit import GENESIS, AuditEvent, seal


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


def _changed(field: str) -> AuditEvent:
    changes: dict[str, Any] = {field: "x"}
    return replace(EVENT, **changes)


def test_a_digest_can_be_computed_by_hand():
    """SHA-256 of the digest before, a line feed, and the fields as JSON with sorted keys."""
    text = (
        '{"action":"create_backup","actor":"ann","address":"192.0.2.1",'
        '"at":"2026-01-31T12:00:00.000005+00:00","number":7,"result":"ok","role":"admin",'
        '"run_id":"run_0123456789abcdef","status":202,"target":"/api/admin/backup/create"}'
    )
    by_hand = hashlib.sha256(f"{GENESIS}\n{text}".encode()).hexdigest()

    assert seal(7, EVENT, GENESIS).digest == by_hand
    assert set(json.loads(text)) == {field.name for field in fields(AuditEvent)} | {"number"}


def test_one_instant_has_one_digest():
    """Whatever zone it is written in."""
    elsewhere = replace(EVENT, at=EVENT.at.astimezone(timezone(timedelta(hours=5.5))))

    assert seal(1, elsewhere, GENESIS).digest == seal(1, EVENT, GENESIS).digest


@given(EVENTS, EVENTS)
def test_no_two_events_have_one_digest(event, other):
    """Every field counts, and where one ends and the next begins."""
    same = seal(1, event, GENESIS).digest == seal(1, other, GENESIS).digest

    assert same == (event == other)


def test_number_and_predecessor_count():
    """An entry cannot be moved, nor put after another one."""
    digests = {
        seal(1, EVENT, GENESIS).digest,
        seal(2, EVENT, GENESIS).digest,
        seal(1, EVENT, "1" * 64).digest,
        *(
            seal(1, _changed(field.name), GENESIS).digest
            for field in fields(AuditEvent)
            if field.name not in {"at", "status"}
        ),
        seal(1, replace(EVENT, status=200), GENESIS).digest,
        seal(1, replace(EVENT, at=EVENT.at + timedelta(microseconds=1)), GENESIS).digest,
    }

    assert len(digests) == 3 + len(fields(AuditEvent))
