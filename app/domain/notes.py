"""What is noted about a backup after it was made: whether it is pinned, and what checks have shown."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, TypeAdapter, ValidationError


@dataclass(frozen=True, slots=True)
class Pin:
    """
    A backup that nobody may delete, until somebody unpins it.

    Attributes:
        at: Aware UTC instant.
        by: Who pinned it.
        reason: One line for people; may be empty.
    """

    at: AwareDatetime
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """
    The last look at a backup on one level.

    Attributes:
        at: Aware UTC instant of its end.
        success: Whether it was what was written.
        seconds: How long it took.
        error: Code of what was wrong; empty when nothing.
    """

    at: AwareDatetime
    success: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """
    Everything that is noted about one backup.

    Attributes:
        pin: None = not pinned.
        checks: By level (`size`, `hashes`, `inflate`, `content`), the last one of each.
    """

    pin: Pin | None = None
    checks: dict[str, Check] = field(default_factory=dict)

    @property
    def is_damaged(self) -> bool:
        """Whether the last check that was made has failed."""
        last = max(self.checks.values(), key=lambda one: one.at, default=None)
        return last is not None and not last.success

    def checked_at(self, *levels: str) -> datetime | None:
        """Return when a check of one of these levels last succeeded."""
        found = [
            self.checks[one].at for one in levels if one in self.checks and self.checks[one].success
        ]
        return max(found, default=None)


_NOTES: Final = TypeAdapter(Notes)


def encode_notes(notes: Notes) -> bytes:
    """Encode notes as JSON."""
    return _NOTES.dump_json(notes, indent=1) + b"\n"


def decode_notes(data: bytes) -> Notes | None:
    """Decode notes; None = they are damaged."""
    try:
        return _NOTES.validate_json(data)
    except ValidationError:
        return None
