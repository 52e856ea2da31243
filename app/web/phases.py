"""The steps of a run as a page shows them: those done, the one at work, those to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.runs.progress import Phase, ProgressReport
from app.domain.runs.run import Run, RunKind


_Steps = Sequence[tuple[str, frozenset[Phase]]]

# Phases that a run may go back and forth between are one step, so that no step ever comes again.
_BACKUP: Final[_Steps] = (
    ("Connect", frozenset({Phase.CONNECT})),
    ("Take one moment of all tables", frozenset({Phase.SNAPSHOT, Phase.INSPECT})),
    ("Read the rows", frozenset({Phase.DUMP})),
    ("Read views, triggers, routines and events", frozenset({Phase.OBJECTS})),
    ("Read the backup back, and publish it", frozenset({Phase.VERIFY, Phase.PUBLISH})),
)
_LOADED: Final[_Steps] = (
    ("Load the rows beside the live data", frozenset({Phase.LOAD})),
    ("Build indexes and foreign keys", frozenset({Phase.INDEX})),
)
_CHECKED: Final = ("Check what a restore needs", frozenset({Phase.CONNECT, Phase.PREFLIGHT}))
_REPLAYED: Final[_Steps] = (
    ("Start a scratch server", frozenset({Phase.CONNECT, Phase.SCRATCH})),
    (
        "Restore the base there",
        frozenset({
            Phase.PREFLIGHT,
            Phase.VERIFY,
            Phase.LOAD,
            Phase.INDEX,
            Phase.PROVE,
            Phase.OBJECTS,
            Phase.SWAP,
        }),
    ),
    ("Replay the binary log", frozenset({Phase.REPLAY})),
)
_STEPS: Final[dict[RunKind, _Steps]] = {
    RunKind.BACKUP: _BACKUP,
    RunKind.RECOVERY_POINT: _BACKUP,
    RunKind.RESTORE: (
        _CHECKED,
        (
            "Check the backup, and make a recovery point",
            frozenset({
                Phase.VERIFY,
                Phase.RECOVERY_POINT,
                Phase.SNAPSHOT,
                Phase.INSPECT,
                Phase.DUMP,
                Phase.OBJECTS,
                Phase.PUBLISH,
            }),
        ),
        *_LOADED,
        ("Compare everything, and swap it in", frozenset({Phase.PROVE, Phase.SWAP})),
    ),
    RunKind.DRILL: (
        (_CHECKED[0], frozenset({*_CHECKED[1], Phase.VERIFY})),
        *_LOADED,
        ("Compare everything", frozenset({Phase.PROVE})),
    ),
    RunKind.DRY_RUN: (
        (_CHECKED[0], frozenset({*_CHECKED[1], Phase.VERIFY})),
        ("Compare with what is there now", frozenset({Phase.COMPARE})),
    ),
    RunKind.UNDO: (
        ("Find what is kept", frozenset({Phase.CONNECT})),
        ("Swap it back", frozenset({Phase.SWAP})),
    ),
    RunKind.VERIFICATION: (("Read the backup", frozenset({Phase.VERIFY})),),
    RunKind.RECOVERY: (
        *_REPLAYED,
        (
            "Back up what came of it",
            frozenset({Phase.SNAPSHOT, Phase.INSPECT, Phase.DUMP, Phase.PUBLISH}),
        ),
    ),
    RunKind.RECOVERY_DRILL: (
        *_REPLAYED,
        ("Compare with the newer backup", frozenset({Phase.COMPARE})),
    ),
    RunKind.COPY: (
        ("Copy the file", frozenset({Phase.CONNECT})),
        ("Read the copy back, and publish it", frozenset({Phase.VERIFY})),
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of a run.

    Attributes:
        text: For people.
        state: `done`, `active` or `pending`.
        seconds: How long it took, or has been at work; None = not known, or not begun.
    """

    text: str
    state: str
    seconds: float | None


def steps_of(run: Run) -> tuple[Step, ...]:
    """Return the steps of a run that is at work; none where they are not known, or it is over."""
    steps, progress = _STEPS.get(run.kind, ()), run.progress
    if run.state.is_over or progress is None:
        return ()
    at = _index(steps, progress.phase)
    if at is None:
        return ()
    began = _beginnings(steps, progress)
    ends = {**{index - 1: moment for index, moment in began.items()}, at: progress.elapsed}
    return tuple(
        Step(
            text,
            "done" if index < at else "active" if index == at else "pending",
            ends[index] - began[index] if index in began and index in ends else None,
        )
        for index, (text, _) in enumerate(steps)
    )


def _index(steps: _Steps, phase: str) -> int | None:
    return next((index for index, (_, phases) in enumerate(steps) if phase in phases), None)


def _beginnings(steps: _Steps, progress: ProgressReport) -> dict[int, float]:
    """Tell when each step began, in seconds since the run did, by the phases in its journal."""
    began: dict[int, float] = {}
    for line in progress.journal:
        if (index := _index(steps, line.text)) is not None:
            began.setdefault(index, line.elapsed)
    return began
