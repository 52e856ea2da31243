"""Refused requests: bounded, whatever somebody sends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain.access.audit import AuditEvent
from app.services.access.refusals import OTHERS, WINDOW, Refusal, Refusals


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = AuditEvent(NOON, "", "", "192.0.2.1", "log_in", "/x", 401, "not-authenticated")


def refusal(number: int = 0, *, seconds: float = 0, **changes) -> Refusal:
    """Make one from the n-th address."""
    network = f"192.0.2.{number}"
    event = replace(EVENT, at=NOON + timedelta(seconds=seconds), address=network, **changes)
    return Refusal(event, network)


def test_the_first_of_a_kind_is_written_at_once():
    """What differs in action, result, actor, address or what is known of it is another kind."""
    refusals = Refusals(100)
    others = [
        refusal(),
        refusal(1),
        refusal(action="list_backups"),
        refusal(result="too-many-attempts"),
        refusal(actor="ann"),
        replace(refusal(), about="admin"),
    ]

    assert [list(refusals.admit(other)) for other in others] == [[other.event] for other in others]
    assert [list(refusals.admit(other)) for other in others] == [[]] * len(others)
    assert [event.count for event in refusals.flush()] == [1] * len(others)
    assert refusals.flush() == []


def test_the_count_is_written_when_the_hour_is_over():
    """By the next one, or by whoever looks; the hour begins with the first."""
    refusals = Refusals(100)
    for second in range(50):
        refusals.admit(refusal(seconds=second))
    assert refusals.flush(NOON + WINDOW - timedelta(seconds=1)) == []
    count, first = refusals.admit(refusal(seconds=WINDOW.total_seconds()))

    assert (count.count, count.at) == (49, NOON + timedelta(seconds=49))
    assert (first.count, first.at) == (1, NOON + WINDOW)
    assert refusals.flush(NOON - WINDOW) == []  # the clock was set back


def test_an_hour_has_a_bounded_number_of_entries():
    """However many addresses there are; the others are counted together, and none is forgotten."""
    refusals = Refusals(20)
    written = [
        event for number in range(10_000) for event in refusals.admit(refusal(number % 5_000))
    ]
    written += refusals.flush()

    assert len(written) <= 20
    assert sum(event.count for event in written) == 10_000
    assert [event.target for event in written].count(OTHERS) == 2
    assert len(refusals._counts) == 0
