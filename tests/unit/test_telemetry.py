"""Log lines."""

import logging
import re

import pytest

from app.telemetry import log_to_stderr


@pytest.fixture
def log():
    """A logger of the program, put back as it was afterwards."""
    root = logging.getLogger("app")
    before = (root.handlers, root.level, root.propagate)
    yield logging.getLogger("app.somewhere")
    root.handlers, root.level, root.propagate = before


def test_a_line_is_time_level_message_and_facts(log, capsys):
    """The shape of the customer's own logs; no facts, no braces."""
    log_to_stderr()
    log.info("Starting", extra={"facts": {"backup_id": "b", "duration": 2.45}})
    log.warning("left for the next sweep: %s", "x.partial")
    log.debug("unseen")
    first, second = capsys.readouterr().err.splitlines()

    assert re.fullmatch(
        r'\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] INFO: Starting {"backup_id":"b","duration":2.45}',
        first,
    )
    assert second.endswith("] WARNING: left for the next sweep: x.partial")


def test_secrets_are_masked_wherever_they_stand(log, capsys):
    """X6 In messages, in values, under telling names, and in tracebacks."""
    log_to_stderr()
    url = "mysql://u:hun@ter/2@h/d"
    facts = {"url": url, "db_password": "hunter2"}
    log.error("failed for %s", url, extra={"facts": facts}, exc_info=RuntimeError(url))
    written = capsys.readouterr().err

    assert "hun" not in written.replace("RuntimeError", "")
    assert "mysql://u:***@h/d" in written
    assert '"db_password":"***"' in written
