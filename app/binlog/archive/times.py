"""
When transactions were committed, as well as a log can say it.

Times of events are those at which statements began, can run backwards, and obey `SET timestamp`. So a commit
is not later than its bytes were received, and not earlier than the commit before it. MySQL notes the time of
the commit itself.

Where a time is earlier than the commit before it, it was no clock's, or the clock was set back: then a commit
lies anywhere up to when its bytes came. Where it is later than these bytes, a commit lies anywhere since the one
before it, which may be long ago where an archiver was catching up.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from app.binlog.archive.documents import Received
from app.binlog.events.groups import Group


# Clocks are corrected by less, and the log has whole seconds.
STEP_MS: Final = 2000
# Clocks of two machines that nobody looks after differ by less.
_APART_MS: Final = 60_000


def commit_ms(group: Group, received_ms: int, previous_ms: int) -> int:
    """
    Say when a transaction was committed.

    Args:
        group: The transaction.
        received_ms: When it had been received, milliseconds since 1970.
        previous_ms: Commit of the transaction before it.

    Returns:
        Milliseconds since 1970, not before `previous_ms`.
    """
    return max(previous_ms, min(_noted_ms(group), received_ms))


def commit_us(group: Group, committed_ms: int) -> int:
    """Say when a transaction was committed that counts as committed in a millisecond; the log may know it better."""
    is_told = group.commit_us is not None and group.commit_us // 1000 == committed_ms
    return group.commit_us if group.commit_us is not None and is_told else committed_ms * 1000


def latest_ms(group: Group, received_ms: int, committed_ms: int) -> int:
    """Say until when a transaction was committed that counts as committed at a moment, at the latest."""
    is_told = _noted_ms(group) + STEP_MS >= committed_ms
    return committed_ms if is_told else max(committed_ms, received_ms)


def earliest_ms(group: Group, received_ms: int, previous_ms: int, committed_ms: int) -> int:
    """Say since when a transaction was committed that counts as committed at a moment, at the earliest."""
    is_ahead = _noted_ms(group) > received_ms + _APART_MS
    return previous_ms if is_ahead else committed_ms


def _noted_ms(group: Group) -> int:
    return group.timestamp * 1000 if group.commit_us is None else group.commit_us // 1000


def received_ms(clock: Sequence[Received], position: int, latest_ms: int) -> int:
    """
    Say when everything before a position had been received.

    Args:
        clock: What was noted, by rising positions.
        position: In the same file.
        latest_ms: The answer where nothing was noted yet.

    Returns:
        Milliseconds since 1970.
    """
    index = bisect_left(clock, position, key=lambda noted: noted[0])
    return clock[index][1] if index < len(clock) else latest_ms
