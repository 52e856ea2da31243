"""When an applier is over."""

from dataclasses import replace

import pytest

from app.engine.replay.applier import ApplierStatus, RelayPlace


END = RelayPlace("relay.000002", 484)
RUNS = ApplierStatus(
    is_running=True, has_read_all=True, file="", position=0, relay=END, taken=None, errno=0
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "is_over"),
    [
        (RUNS, True),
        (replace(RUNS, relay=RelayPlace("relay.000003", 4)), True),
        (replace(RUNS, relay=RelayPlace("relay.000002", 158)), False),
        (replace(RUNS, relay=RelayPlace("relay.000001", 9999)), False),
        (replace(RUNS, has_read_all=False), False),
        (replace(RUNS, is_running=False, relay=RelayPlace("relay.000001", 4)), True),
    ],
)
def test_what_was_read_is_not_what_was_applied(status, is_over):
    """MySQL waits for more while its workers still have something to do."""
    assert status.is_over(END) == is_over
