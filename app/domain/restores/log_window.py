"""
Which backups the points in time of a window need; nothing here reads a clock or a disk.

A base serves points since it was done, until something was changed past the log. So of the bases that serve
until the same moment the newest that was done when the window begins serves all of it; where there is none,
the oldest serves as much as can be. The oldest that was done since takes its place when the window has moved on:
were that not kept, rules that keep fewer days than the window has would leave the first base its base for ever,
with all of the log. A base of some databases serves these only, and one that is not known to
be good may prove to be none: neither stands in for others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.restores.points import Place


@dataclass(frozen=True, slots=True)
class LogBase:
    """
    A backup that may be a base of recoveries.

    Attributes:
        backup_id: Its id.
        stream: Id of the stream of the binary log.
        place: Where it stands in that.
        done: Aware instant from which on points can be recovered from it.
        until: Aware instant from which on they cannot; None = that has not come.
        databases: Which it is limited to; empty = all.
        is_good: Whether it was read back and found whole.
    """

    backup_id: str
    stream: str
    place: Place
    done: datetime
    until: datetime | None
    databases: frozenset[str]
    is_good: bool

    def serves(self, databases: frozenset[str]) -> bool:
        """Tell whether points of these databases can be recovered from it; none = of all there were."""
        return not self.databases or (bool(databases) and databases <= self.databases)


def needed_bases(
    bases: Sequence[LogBase], start: datetime, stands: Callable[[LogBase], bool]
) -> frozenset[str]:
    """
    Choose the bases of a window.

    Args:
        bases: All that may be some.
        start: Aware instant at which the window begins; it ends with the log.
        stands: Proves that one is; asked for few, as it takes time.

    Returns:
        Ids of those without which a point of the window could not be recovered any more, or which take their place.
    """
    found: set[str] = set()
    for stream, until in {(base.stream, base.until) for base in bases}:
        if until is not None and until <= start:
            continue
        span = [base for base in bases if (base.stream, base.until) == (stream, until)]
        span.sort(key=lambda base: (base.done, base.backup_id))
        for databases in {base.databases for base in span}:
            serving = [base for base in span if base.serves(databases)]
            for those in (serving, [base for base in serving if base.is_good]):
                before = [base for base in those if base.done <= start]
                for best_first in (reversed(before), those[len(before) :]):
                    needed = next(filter(stands, best_first), None)
                    found |= {needed.backup_id} if needed else set()
    return frozenset(found)
