"""What the history says of restores that failed and were repaired since."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.bootstrap.service import open_service
from app.domain.restores.journal import RestorePhase
from app.domain.restores.repair import is_promised, promise
from app.domain.runs.run import Failure, Origin, RunFilter, RunKind, RunState
from app.domain.stores import Page
from app.services.settlement import Settlement
from app.storage.run_locks import RunLocks
from tests.fixtures.clocks import SystemClock
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


def settlement(installation: KilledInstallation) -> Settlement:
    """Make what settles in another process of the same installation."""
    return Settlement(
        store=installation.store,
        locks=RunLocks(installation.home / "state"),
        clock=SystemClock(),
        runs=installation.service.program.runs,
        recoveries=installation.service.program.recoveries,
    )


async def test_two_processes_that_find_a_restore_at_once_tell_it_once(installation):
    """Both have looked before either has written it down."""
    lost = installation.journal(RestorePhase.DONE, minutes=60, swapped=30)

    await asyncio.gather(*(settlement(installation).settle() for _ in range(4)))

    (found,), total = await installation.store.list(RunFilter(), Page())
    assert (found.restore_id, total) == (lost.restore_id, 1)


async def test_a_restore_that_only_its_journal_knows_is_told_once(installation):
    """A command made it while neither the history nor the disk took anything."""
    lost = installation.journal(RestorePhase.DONE, 1, minutes=60, swapped=30)
    known = installation.journal(RestorePhase.DONE, 2, minutes=60)
    run_id = await installation.orphan(
        RunKind.RESTORE, restore_id=known.restore_id, state=RunState.SUCCEEDED
    )
    installation.journal(RestorePhase.DONE, 3)  # whoever made it may be about to write it down
    installation.journal(RestorePhase.FINISHING, 4, minutes=60)
    installation.journal(RestorePhase.DONE, 5, minutes=60, swapped=0.1)  # the same; it took long

    for _ in range(2):
        await installation.service.reconciler.reconcile()
    await settlement(installation).settle()

    runs, total = await installation.store.list(RunFilter(), Page())
    assert total == 2
    (found,) = (run for run in runs if run.run_id != run_id)
    assert (found.kind, found.state) == (RunKind.RESTORE, RunState.SUCCEEDED)
    assert (found.restore_id, found.backup_id) == (lost.restore_id, lost.backup_id)
    assert (found.requested_by, found.origin) == ("unknown", Origin.CLI)
    assert found.created_at == lost.began_at
    assert found.result is not None
    assert "its journal says" in str(found.result["warnings"])


async def test_a_restore_of_a_clock_that_was_set_back_since_is_told(installation):
    """It is not waited for until that moment comes again."""
    lost = installation.journal(RestorePhase.DONE, minutes=-60 * 24 * 365)

    await settlement(installation).settle()

    (found,), _ = await installation.store.list(RunFilter(), Page())
    assert (found.restore_id, found.state) == (lost.restore_id, RunState.SUCCEEDED)
