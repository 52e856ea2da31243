"""Lines of one kind: so many a minute, and what is left out is told."""

import logging

import pytest

from app.telemetry.repeats import PERIOD_SECONDS, Repeats


class Listener(logging.Handler):
    """Keeps the lines that come through, with their facts."""

    def __init__(self, most):
        super().__init__()
        self.now = 0.0
        self.records = []
        self.addFilter(Repeats(most, lambda: self.now))

    def emit(self, record):
        """Keep a line."""
        self.records.append(record)


@pytest.fixture
def listener():
    """What lets three lines of a kind through."""
    return Listener(3)


@pytest.fixture
def log(listener):
    """A logger that it listens to."""
    logger = logging.getLogger("tests.repeats")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(listener)
    yield logger
    logger.removeHandler(listener)


def test_a_flood_is_a_few_lines_and_says_so(log, listener):
    """Numbers in them make no difference; how many were left out is told after the minute."""
    before = Repeats.left_out
    for number in range(100):
        text = f"connection {number} at 0x7f{number:04x} refused"
        log.warning(text)
    listener.now += PERIOD_SECONDS
    log.warning("connection 7 at 0x1 refused", extra={"facts": {"address": "x"}})

    assert len(listener.records) == 4
    facts = [getattr(record, "facts", {}) for record in listener.records]
    assert facts == [
        {},
        {},
        {"left_out": "more like this, for a minute"},
        {"address": "x", "left_out_before": 97},
    ]
    assert Repeats.left_out == before + 97


def test_other_kinds_are_not_touched(log, listener):
    """Another text, another level, another logger."""
    for _ in range(5):
        log.warning("one")
    log.error("one")
    log.warning("another %s", 1)
    log.getChild("other").warning("one")

    assert len(listener.records) == 6


def test_details_are_never_left_out(log, listener):
    """Whoever asks for them wants all."""
    for _ in range(50):
        log.debug("detail")

    assert len(listener.records) == 50


def test_memory_is_bounded_whatever_is_said(log, listener):
    """A line whose text is always another is no kind, and is let through."""
    for number in range(3000):
        text = "x" * (number % 190) + "y" * (number // 190)
        log.warning(text)

    (repeats,) = listener.filters
    assert len(repeats._kinds) <= 1000
