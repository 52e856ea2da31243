"""
Refused requests, collapsed: whoever sends many of them fills neither the audit nor the disk.

1. The first request of a kind - what it wanted, how it was refused, who and from where - is written at
once. 2. Further ones of that kind are counted, and written as one entry when the hour is over or the
service ends. 3. When an hour has too many kinds, all others are counted together.
What goes well and changes next to nothing, such as the next token of a login, is counted in the same way, by itself.

Not guaranteed: counts of an hour that a killed process did not live to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.domain.access.audit import AuditEvent


WINDOW: Final = timedelta(hours=1)
# Of what an hour has too many kinds of.
OTHERS: Final = "other refused requests"
OTHER_RENEWALS: Final = "other renewed logins"


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A request that was refused.

    Attributes:
        network: Address that it is counted for.
        about: What else tells it from others; never what anybody can choose freely.
    """

    event: AuditEvent
    network: str
    about: str = ""

    @property
    def kind(self) -> tuple[str, ...]:
        """What is counted together."""
        event = self.event
        return (event.action, event.result, event.actor, self.network, self.about)


class Refusals:
    """Says which refused requests are written down, and how many others each stands for."""

    def __init__(self, rows_an_hour: int, others: str = OTHERS) -> None:
        """Bound the entries of an hour: two a kind, its first and its count, and two for all others."""
        self._others = others
        self._most_kinds = max(0, rows_an_hour // 2 - 1)
        self._since: datetime | None = None
        self._counts: dict[tuple[str, ...], int] = {}
        self._last: dict[tuple[str, ...], AuditEvent] = {}

    def admit(self, refusal: Refusal) -> Sequence[AuditEvent]:
        """Count a refused request; return what is to be written now, in order."""
        ended = self.flush(refusal.event.at)
        kind, event = refusal.kind, refusal.event
        if kind not in self._counts and len(self._counts) >= self._most_kinds:
            kind = (self._others,)
            event = AuditEvent(event.at, "", "", "", "", self._others, event.status, event.result)
        is_first = kind not in self._counts
        self._since = self._since or event.at
        self._last[kind] = event
        self._counts[kind] = 0 if is_first else self._counts[kind] + 1
        return [*ended, event] if is_first else ended

    def flush(self, now: datetime | None = None) -> Sequence[AuditEvent]:
        """Return the counts of the hour that is over; without an instant those of this one, too."""
        if self._since is None or (now is not None and self._since <= now < self._since + WINDOW):
            return []
        counts = [
            replace(self._last[kind], count=count) for kind, count in self._counts.items() if count
        ]
        self._since = None
        self._counts.clear()
        self._last.clear()
        return counts
