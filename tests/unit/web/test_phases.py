"""The steps of a run: how long each took, by what its journal says."""

from app.domain.runs.progress import JournalLine, Phase, ProgressReport
from app.domain.runs.run import RunKind, RunState
from app.web.phases import steps_of
from tests.fixtures.records import run


def report(phase, elapsed, *lines):
    """Progress in a phase, with the moments at which others began."""
    journal = tuple(JournalLine(at, text) for at, text in lines)
    return ProgressReport(phase, "", 0, 0, 0, 0, 0, 0, 0.0, None, elapsed, journal)


def test_a_step_takes_as_long_as_until_the_next_begins():
    """The one at work counts on; those to come have no time, and a phase that comes again begins nothing anew."""
    lines = [
        (0.0, Phase.CONNECT),
        (0.5, Phase.SNAPSHOT),
        (1.0, "a retry"),
        (2.0, Phase.DUMP),
        (7.0, Phase.DUMP),
    ]
    progress = report(Phase.DUMP, 9.0, *lines)
    steps = steps_of(run(kind=RunKind.BACKUP, state=RunState.RUNNING, progress=progress))

    assert [step.state for step in steps] == ["done", "done", "active", "pending", "pending"]
    assert [step.seconds for step in steps] == [0.5, 1.5, 7.0, None, None]


def test_a_step_that_nobody_noted_has_no_time():
    """A journal that is full, or of another version, leaves times out and shows the steps."""
    steps = steps_of(
        run(kind=RunKind.BACKUP, state=RunState.RUNNING, progress=report(Phase.DUMP, 9.0))
    )

    assert [step.seconds for step in steps] == [None] * 5
    assert steps_of(run(state=RunState.SUCCEEDED, progress=report(Phase.DUMP, 9.0))) == ()
