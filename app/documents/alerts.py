"""Alerts: conditions, who was told of them, and whether they can be."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field

from app.documents.base import RUN_ID, Document, Success, WholeSecond
from app.documents.runs import FailureFacts
from app.domain.alerts.alert import AlertKind
from app.domain.alerts.notice import AlertRecord, Delivery, NoticeKind
from app.errors import AppError


Target = Annotated[
    str,
    Field(
        description="Scheme of the address, and its host where that is no secret.",
        examples=["mailto://mail.example.com"],
    ),
]
Error = Annotated[
    str, Field(description="Why it was not taken; empty when it was.", examples=["http-500"])
]


class DeliveryFacts(Document):
    """One attempt to send one message."""

    target: Target
    tone: NoticeKind
    attempt: Annotated[int, Field(description="From 1.")]
    due_at: WholeSecond
    at: Annotated[WholeSecond | None, Field(description="When it ended; null = still to be made.")]
    arrived: bool
    error: Error

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Describe an attempt."""
        return cls.taken(delivery, tone=delivery.kind)


class AlertFacts(Document):
    """A condition, from when it began until it was over."""

    alert_id: Annotated[str, Field(examples=["alert_93f1c0a87be2d645"])]
    kind: AlertKind
    about: Annotated[str, Field(description="A schedule, a backup, a kind of run.")]
    message: str
    hint: str
    run_id: Annotated[str | None, Field(description="Run that showed it.", examples=[RUN_ID])]
    opened_at: WholeSecond
    last_rung_at: WholeSecond
    count: Annotated[int, Field(description="How often it was seen.")]
    told_at: Annotated[WholeSecond, Field(description="When messages were made last.")]
    closed_at: Annotated[WholeSecond | None, Field(description="null while it lasts.")]
    closing: Annotated[str, Field(description="What is well again; empty while it lasts.")]
    deliveries: Annotated[
        tuple[DeliveryFacts, ...], Field(description="The newest 20 attempts, newest first.")
    ]

    @classmethod
    def of(cls, record: AlertRecord, deliveries: Sequence[Delivery]) -> Self:
        """Describe a condition, and the newest attempts to tell of it."""
        return cls.taken(
            record,
            run_id=record.run_id or None,
            deliveries=[DeliveryFacts.of(delivery) for delivery in deliveries],
        )


class AlertList(Document):
    """Conditions, and how many there are in all."""

    success: Success
    alerts: tuple[AlertFacts, ...]
    total: int

    @classmethod
    def of(
        cls,
        alerts: Sequence[tuple[AlertRecord, Sequence[Delivery]]],
        total: int,
        **others: object,
    ) -> Self:
        """Describe each of them."""
        facts = [AlertFacts.of(record, deliveries) for record, deliveries in alerts]
        return cls.model_validate({"success": True, "alerts": facts, "total": total, **others})


class AlertPage(AlertList):
    """A page of conditions."""

    limit: int
    offset: int


class TestedTarget(Document):
    """How a test message to one target went."""

    target: Target
    arrived: bool
    error: Error


class AlertTest(Document):
    """How a test went."""

    success: Annotated[bool, Field(description="Whether every target has taken it.")]
    targets: tuple[TestedTarget, ...]

    @classmethod
    def of(cls, outcomes: Mapping[str, str]) -> Self:
        """Describe a test by the errors of its targets; an empty one = taken."""
        return cls._of(outcomes)

    @classmethod
    def _of(cls, outcomes: Mapping[str, str], **others: object) -> Self:
        return cls.model_validate({
            "success": not any(outcomes.values()),
            "targets": [
                {"target": target, "arrived": not error, "error": error}
                for target, error in outcomes.items()
            ],
            **others,
        })


class FailedAlertTest(AlertTest):
    """How a test went that not every target has taken."""

    error: FailureFacts

    @classmethod
    def failed(cls, outcomes: Mapping[str, str], error: AppError) -> Self:
        """Describe a test by the errors of its targets, and by that of all."""
        return cls._of(outcomes, error=FailureFacts.of(error))
