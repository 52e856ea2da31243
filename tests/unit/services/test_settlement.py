"""What the history says of restores that failed and were repaired since."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.bootstrap.service import open_service
from app.domain.restores.journal import RestorePhase
from app.domain.restores.repair import is_promised, promise
from app.domain.runs.run import Failure, RunKind, RunState
from tests.fixtures.killed_installation import KilledInstallation, settings_of


OPEN = [phase for phase in RestorePhase if not phase.is_over]
LOST = "restore_00000000000f"


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[KilledInstallation]:
    """An installation whose server nobody can reach."""
    async with open_service(settings_of(tmp_path)) as service:
        yield KilledInstallation(tmp_path, service)


def failed(hint: str = promise(RestorePhase.FINISHING)) -> Failure:
    """Make what a run says that failed when its server died."""
    return Failure("connection-lost", "Connection lost", "the server is gone", hint, retryable=True)


def over(restore_id: str, hint: str = promise(RestorePhase.FINISHING)) -> dict[str, object]:
    """Facts of a run that has failed."""
    return {"restore_id": restore_id, "state": RunState.FAILED, "error": failed(hint)}


@pytest.mark.parametrize("phase", OPEN)
def test_whatever_waits_for_a_repair_is_promised_what_that_does(phase):
    """In each phase it names the command; nothing that is over is promised anything."""
    assert is_promised(promise(phase))
    assert ("everything back" in promise(phase)) == (phase is not RestorePhase.LOADING)
    assert promise(RestorePhase.DONE) == promise(RestorePhase.FORGOTTEN) == ""


@pytest.mark.parametrize("kind", [RunKind.RESTORE, RunKind.UNDO])
@pytest.mark.parametrize("phase", [RestorePhase.DONE, RestorePhase.FORGOTTEN])
async def test_what_was_finished_by_a_repair_has_succeeded(kind, phase, installation):
    """With what it has done, and that it had failed; looking again changes nothing."""
    journal = installation.journal(phase)

    run = await installation.judged(kind, **over(journal.restore_id))

    assert (run.state, run.error) == (RunState.SUCCEEDED, None)
    assert run.result is not None
    assert run.result["restore_id"] == journal.restore_id
    assert "the server is gone" in str(run.result["warnings"])
    await installation.service.reconciler.reconcile()
    assert await installation.store.get(run.run_id) == run


async def test_what_was_undone_by_a_repair_stays_failed_and_says_so(installation):
    """Nothing is promised any more."""
    run = await installation.judged(RunKind.RESTORE, **over(LOST))

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert not is_promised(run.error.hint)
    assert "as they were" in run.error.hint


async def test_what_was_refused_is_left_alone(installation):
    """It never began, so no repair will say anything about it."""
    run = await installation.judged(RunKind.RESTORE, **over(LOST, "Choose another name."))

    assert (run.state, run.error) == (RunState.FAILED, failed("Choose another name."))


async def test_what_still_waits_is_left_alone(installation):
    """Its server does not answer; the hint stays what it is."""
    journal = installation.journal(RestorePhase.FINISHING)

    run = await installation.judged(RunKind.RESTORE, **over(journal.restore_id))

    assert (run.state, run.error) == (RunState.FAILED, failed())


async def test_restores_of_another_installation_are_left_alone(installation):
    """Its journals are not here."""
    run = await installation.judged(RunKind.RESTORE, owner="0" * 16, **over(LOST))

    assert run.error == failed()
