"""
When transactions were committed, as well as a log can say it.

Times of events are those at which statements began, can run backwards, and obey `SET timestamp`. So a commit
is not later than its bytes were received, and not earlier than the commit before it. MySQL notes the time of
the commit itself.
"""

from bisect import bisect_left
from collections.abc import Sequence

from app.binlog.archive.documents import Received
from app.binlog.events.groups import Group


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
    noted = group.timestamp * 1000 if group.commit_us is None else group.commit_us // 1000
    return max(previous_ms, min(noted, received_ms))


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
