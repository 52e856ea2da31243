"""
Lines of one kind, so many a minute: a flood of them would fill the disk and hide the others.

Two lines are of one kind when the same code says the same at the same level, numbers left aside. The last
one that is let through says so, and the next one after the minute tells how many were left out.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final


PERIOD_SECONDS: Final = 60.0
# Of kinds, which are places in the program, there are some hundred.
_MOST_KINDS: Final = 1000
_SHAPE_CHARACTERS: Final = 200
_NUMBERS: Final = re.compile(r"0x[0-9a-f]+|\d+")


@dataclass(slots=True)
class _Kind:
    begun: float
    count: int = 0
    left_out: int = 0


class Repeats(logging.Filter):
    """
    Lets so many lines of a kind through.

    Attributes:
        left_out: How many lines were left out, by all of them in this process.
    """

    left_out = 0

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._now = now
        self._kinds: dict[tuple[str, int, str], _Kind] = {}
        self._turn = Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is let through; who wants details wants all of them."""
        if record.levelno < logging.INFO:
            return True
        shape = _NUMBERS.sub("#", str(record.msg)[:_SHAPE_CHARACTERS])
        with self._turn:
            return self._admit((record.name, record.levelno, shape), record)

    def _admit(self, key: tuple[str, int, str], record: logging.LogRecord) -> bool:
        now, kind = self._now(), self._kinds.pop(key, None)
        if kind is None or now - kind.begun >= PERIOD_SECONDS:
            if kind is not None and kind.left_out:
                _tell(record, "left_out_before", kind.left_out)
            kind = _Kind(now)
        # The ones that were seen last stay.
        self._kinds[key] = kind
        if len(self._kinds) > _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        kind.count += 1
        if kind.count > self._most:
            kind.left_out += 1
            Repeats.left_out += 1
            return False
        if kind.count == self._most:
            _tell(record, "left_out", "more like this, for a minute")
        return True


def _tell(record: logging.LogRecord, name: str, value: object) -> None:
    record.facts = {**getattr(record, "facts", {}), name: value}
