"""
The window of points in time as a picture, drawn by the server; the table behind it says the same.

It is stretched to the width of the page: all of it are rectangles and lines, and words stand beside it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from app.domain.restores.reach import Reach, end_of


_WIDTH, _HEIGHT, _AXIS = 1000, 60, 44
# Of what can be reached, to see where it begins.
_MARGIN: Final = 0.04
_LEAST: Final = timedelta(minutes=1)
LEGEND: Final = (
    ("reached", "M0 1h10v8h-10z", "can be reached"),
    ("archived", "M0 3h10v4h-10z", "archived, without a backup to start from"),
    ("base", "M5 0v10", "a backup to start from"),
    ("break", "M5 0v10", "something is missing in the log"),
)


def begin_of(reach: Reach, now: datetime) -> datetime:
    """Return where the picture begins: a little before what can be reached."""
    if reach.spans:
        first = reach.spans[0].begin
    else:
        began = [stream.began_at for stream in reach.overview.streams if stream.began_at]
        first = min(map(datetime.fromisoformat, began), default=now)
    return first - max((now - first) * _MARGIN, _LEAST)


def window_bar(reach: Reach, now: datetime) -> Markup:
    """
    Draw streams, what can be reached in them, the backups to begin with, and what is missing.

    Args:
        reach: What can be recovered.
        now: The right end.

    Returns:
        SVG; empty where nothing is archived.
    """
    if not any(stream.last for stream in reach.overview.streams):
        return Markup("")
    return Markup(
        '<svg class="window" viewBox="0 0 {0} {1}" preserveAspectRatio="none" aria-hidden="true">{2}</svg>'
    ).format(_WIDTH, _HEIGHT, Markup("").join(_marks(reach, begin_of(reach, now), now)))


def sign(name: str, path: str) -> Markup:
    """Draw the sign of a legend."""
    return Markup(
        '<svg class="window sign" viewBox="-1 -1 12 12" width="14" height="14" aria-hidden="true">'
        '<path class="{0}" d="{1}"/></svg>'
    ).format(name, path)


class _Scale:
    """Places of moments between the two ends of the picture."""

    def __init__(self, begin: datetime, end: datetime) -> None:
        self._begin = begin
        self._length = end - begin

    def place(self, at: datetime) -> float:
        """Return where a moment is; those outside are at the ends."""
        return round(min(max((at - self._begin) / self._length, 0.0), 1.0) * _WIDTH, 1)

    def bar(self, name: str, top: int, first: datetime, last: datetime) -> Markup:
        """Draw what lasts; never so short that it is not seen."""
        left = self.place(first)
        right = max(self.place(last), left + 1)
        return Markup('<path class="{0}" d="M{1} {2}H{3}V{4}H{1}z"/>').format(
            name, left, top, right, _AXIS - top
        )

    def line(self, name: str, top: int, at: datetime) -> Markup:
        """Draw a moment."""
        return Markup('<path class="{0}" d="M{1} {2}V{3}"/>').format(
            name, self.place(at), top, _HEIGHT
        )


def _marks(reach: Reach, begin: datetime, now: datetime) -> Iterator[Markup]:
    scale = _Scale(begin, now)
    streams = [stream for stream in reach.overview.streams if stream.began_at]
    breaks = [datetime.fromisoformat(found.at) for stream in streams for found in stream.breaks]
    yield Markup('<path class="axis" d="M0 {0}H{1}"/>').format(_AXIS, _WIDTH)
    for stream in streams:
        end = end_of(stream, reach.overview)
        if end and end > begin:
            yield scale.bar("archived", 14, datetime.fromisoformat(stream.began_at), end)
    yield from (scale.bar("reached", 4, span.begin, span.end) for span in reach.spans)
    yield from (scale.line("base", _AXIS + 2, base.at) for base in reach.bases)
    yield from (scale.line("break", 0, at) for at in breaks if at > begin)
