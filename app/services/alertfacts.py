"""Alerts as documents, the same for the command line and the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.domain.alerts.notice import AlertRecord, Delivery
from app.domain.document import Document, Json


def alert_facts(record: AlertRecord, deliveries: Sequence[Delivery]) -> Document:
    """Describe a condition, and the newest attempts to tell of it."""
    attempts: list[Json] = [_attempt(delivery) for delivery in deliveries]
    return {
        "alert_id": record.alert_id,
        "kind": record.kind.value,
        "about": record.about,
        "message": record.message,
        "hint": record.hint,
        "run_id": record.run_id or None,
        "opened_at": _iso(record.opened_at),
        "last_rung_at": _iso(record.last_rung_at),
        "count": record.count,
        "told_at": _iso(record.told_at),
        "closed_at": _iso(record.closed_at),
        "closing": record.closing,
        "deliveries": attempts,
    }


def outcome_facts(outcomes: Mapping[str, str]) -> Document:
    """Describe how a test went; it has succeeded when everybody has got it."""
    targets: list[Json] = [
        {"target": target, "arrived": not error, "error": error}
        for target, error in outcomes.items()
    ]
    return {"success": not any(outcomes.values()), "targets": targets}


def _attempt(one: Delivery) -> dict[str, Json]:
    return {
        "target": one.target,
        "tone": one.tone.value,
        "attempt": one.attempt,
        "due_at": _iso(one.due_at),
        "at": _iso(one.at),
        "arrived": one.arrived,
        "error": one.error,
    }


def _iso(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
