"""Ends that a killed process has not told: told by the next one, and only those."""

import pytest

from app.domain.runs.run import Run, RunId
from app.services.runs.listeners import RunListeners
from app.storage.run_locks import RunLocks
from tests.fixtures.run_installation import ANN, WatchedWork, done, ended, job


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[RunId] = []

    async def begun(self, run: Run) -> None:
        """Keep it."""
        self.heard.append(run.run_id)

    async def ended(self, run: Run) -> None:
        """Keep it."""
        self.heard.append(run.run_id)


@pytest.fixture
def listener() -> Listener:
    """Somebody who wants to hear of ends."""
    return Listener()


@pytest.fixture
def listeners(installation, listener) -> RunListeners:
    """Who tells it, in another process of the installation."""
    return RunListeners(installation.store, RunLocks(installation.home), (listener,))


def lock_file(installation, run_id):
    """Return the lock file of a run."""
    return installation.home / "runs" / f"{run_id}.lock"


async def test_an_end_that_was_not_told_is_told_once(runs, installation, listeners, listener):
    """The lock file that was left says so, and goes."""
    run, _ = await runs.start(job(done), ANN)
    over = await ended(runs, run)
    await listeners.tell_left()
    assert listener.heard == []
    lock_file(installation, over.run_id).touch()

    for _ in range(2):
        await listeners.tell_left()

    assert listener.heard == [over.run_id]
    assert not lock_file(installation, over.run_id).exists()


async def test_what_is_at_work_or_begins_is_not_told(runs, installation, listeners, listener):
    """A lock that is held and one that nobody knows yet stay, and what is none is in nobody's way."""
    work = WatchedWork()
    run, _ = await runs.start(job(work), ANN)
    await work.begun.wait()
    lock_file(installation, f"run_{1:016x}").touch()
    lock_file(installation, f"run_{2:016x}").mkdir()
    lock_file(installation, "run_x").symlink_to("nowhere")

    await listeners.tell_left()

    assert listener.heard == []
    assert lock_file(installation, run.run_id).exists()
    assert lock_file(installation, f"run_{1:016x}").exists()
