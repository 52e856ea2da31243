"""Stores: which there are, and what a trial of one has found."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.base import Document, RetentionFacts, Success
from app.domain.monitoring import CheckState
from app.domain.store_trial import StoreCheck, StoreFacts, StoreTrial


class StoreDocument(Document):
    """A store, as it is defined."""

    name: Annotated[str, Field(examples=["offsite"])]
    kind: Literal["local", "s3", "gcs", "azure", "sftp"]
    place: Annotated[
        str, Field(description="Holds no secret.", examples=["s3://backups/production"])
    ]
    append_only: Annotated[bool, Field(description="Nothing is ever deleted there.")]
    object_lock_days: Annotated[
        int, Field(description="How long the store keeps each object from deletion; 0 = not.")
    ]
    retention: Annotated[
        RetentionFacts | None, Field(description="null = nothing is deleted there by itself.")
    ]


class StoreList(Document):
    """All stores, by name."""

    success: Success
    stores: tuple[StoreDocument, ...]

    @classmethod
    def of(cls, stores: Sequence[StoreFacts]) -> Self:
        """Describe them in their order."""
        return cls(success=True, stores=tuple(map(StoreDocument.taken, stores)))


class StoreCheckFacts(Document):
    """One thing that was tried."""

    name: Annotated[str, Field(examples=["write once"])]
    state: CheckState
    detail: str
    remedy: Annotated[str, Field(description="What to do about it; empty when nothing.")]
    error: Annotated[
        str | None, Field(description="Code of what a backup would fail with; null = nothing.")
    ]

    @classmethod
    def of(cls, check: StoreCheck) -> Self:
        """Describe a finding; its error by its code."""
        return cls.taken(check, error=check.error.code if check.error else None)


class StoreTested(Document):
    """What a trial of a store has found; a success when backups can be kept there."""

    success: bool
    store: StoreDocument
    clock_skew_seconds: Annotated[
        float | None, Field(description="How far the store's clock is ahead; null = not known.")
    ]
    checks: tuple[StoreCheckFacts, ...]

    @classmethod
    def of(cls, trial: StoreTrial) -> Self:
        """Tell of a trial."""
        return cls(
            success=trial.is_fit,
            store=StoreDocument.taken(trial.store),
            clock_skew_seconds=trial.clock_skew_seconds,
            checks=tuple(map(StoreCheckFacts.of, trial.checks)),
        )
