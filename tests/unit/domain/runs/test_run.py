"""Runs and their ids."""

import pytest

from app.domain.runs.run import RunState, parse_run_id
from app.errors import RunNotFoundError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run_",
        "../run_0123456789abcdef",
        "run_0123456789abcdef/..",
        "run_0123456789abcdef\0",
        "run_0123456789abcdef\n",
        "run_0123456789ABCDEF",
        "run_0123456789abcde",
        "run_0123456789abcdef0",
        "run_\u0661123456789abcdef",
        "backup_65ba1f2f3d4e5",
        "x" * 1_000_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_what_is_not_an_id_names_no_run(text):
    """Paths, NUL, other cases and lengths are all the same: not found, in a short message."""
    with pytest.raises(RunNotFoundError) as caught:
        parse_run_id(text)

    assert len(str(caught.value)) < 120


def test_an_id_is_taken_as_it_is():
    """No trimming, no folding."""
    assert parse_run_id("run_0123456789abcdef") == "run_0123456789abcdef"


def test_a_run_is_over_when_nothing_changes_any_more():
    """However it ended; not while it waits or works."""
    over = {state for state in RunState if state.is_over}

    assert over == {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}
