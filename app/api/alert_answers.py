"""What the API is asked and answers about alerts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.api.answers import RUN_ID, Answer, Success
from app.api.bodies import PageQuery
from app.domain.alerts.alert import AlertKind
from app.domain.alerts.notice import NoticeKind


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


class AlertQuery(PageQuery):
    """Which conditions, in which order."""

    sort: Literal["-opened_at", "opened_at", "-last_rung_at", "last_rung_at"] = "-opened_at"
    kind: tuple[AlertKind, ...] = ()
    open: bool | None = None


class DeliveryFacts(Answer):
    """One attempt to send one message."""

    target: Target
    tone: NoticeKind
    attempt: Annotated[int, Field(description="From 1.")]
    due_at: datetime
    at: Annotated[datetime | None, Field(description="When it ended; null = still to be made.")]
    arrived: bool
    error: Error


class AlertFacts(Answer):
    """A condition, from when it began until it was over."""

    alert_id: Annotated[str, Field(examples=["alert_93f1c0a87be2d645"])]
    kind: AlertKind
    about: Annotated[str, Field(description="A schedule, a backup, a kind of run.")]
    message: str
    hint: str
    run_id: Annotated[str | None, Field(description="Run that showed it.", examples=[RUN_ID])]
    opened_at: datetime
    last_rung_at: datetime
    count: Annotated[int, Field(description="How often it was seen.")]
    told_at: Annotated[datetime, Field(description="When messages were made last.")]
    closed_at: Annotated[datetime | None, Field(description="null while it lasts.")]
    closing: Annotated[str, Field(description="What is well again; empty while it lasts.")]
    deliveries: Annotated[
        tuple[DeliveryFacts, ...], Field(description="The newest 20 attempts, newest first.")
    ]


class AlertList(Answer):
    """A page of conditions."""

    success: Success
    alerts: tuple[AlertFacts, ...]
    total: int
    limit: int
    offset: int


class TestedTarget(Answer):
    """How a test message to one target went."""

    target: Target
    arrived: bool
    error: Error


class AlertTest(Answer):
    """How a test went."""

    success: Annotated[bool, Field(description="Whether every target has taken it.")]
    targets: tuple[TestedTarget, ...]
