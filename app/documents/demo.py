"""What the demonstration has shown."""

from collections.abc import Iterable, Sequence
from typing import Self

from app.documents.base import Document
from app.domain.backups.manifest import Manifest


class DemoStep(Document):
    """A step, with how long it took."""

    step: str
    seconds: float
    detail: str


class DemoTable(Document):
    """A table before, when it was damaged, and after; null = it was not there."""

    table: str
    rows: int
    rows_damaged: int | None
    rows_restored: int | None
    harmed: bool
    equal: bool


class DemoReport(Document):
    """Whether a shop that was damaged was restored."""

    success: bool
    server: str
    backup_id: str
    size: int
    raw_size: int
    rows_count: int
    steps: tuple[DemoStep, ...]
    tables: tuple[DemoTable, ...]

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        steps: Iterable[tuple[str, float, str]],
        tables: Sequence[DemoTable],
        *,
        success: bool,
        server: str,
    ) -> Self:
        """Tell of the backup that was restored, step by step and table by table."""
        return cls.taken(
            manifest,
            success=success,
            server=server,
            steps=[
                DemoStep(step=title, seconds=round(seconds, 3), detail=detail)
                for title, seconds, detail in steps
            ],
            tables=tables,
        )
