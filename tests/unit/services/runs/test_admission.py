"""How many runs of a kind go on at once, in all processes of an installation."""

import asyncio
from dataclasses import replace

import pytest

from app.concurrency import Bound
from app.domain.runs.run import RunKind
from app.errors import AlreadyRunningError, TooManyRunsError
from tests.fixtures.run_installation import ANN, BOB, WatchedWork, done, job


KIND = RunKind.DRILL


def drill(work, **changes):
    """Make a job that needs a place and nothing else."""
    return replace(job(work), kind=KIND, resources=(), **changes)


async def test_what_is_beyond_is_refused_in_every_process(installation):
    """With the setting and a run that is in the way; a place is free again when its run is over."""
    bounds = [{KIND: Bound("max_drills", 2)} for _ in range(2)]
    here, there = (installation.service(bounds=bound) for bound in bounds)
    works = [WatchedWork(), WatchedWork()]
    first, _ = await here.start(drill(works[0]), ANN)
    second, _ = await there.start(drill(works[1]), ANN)

    for service in (here, there):
        with pytest.raises(TooManyRunsError, match="2 of the kind drill") as caught:
            await service.start(drill(done), ANN)
        assert caught.value.run_id in {first.run_id, second.run_id}
        assert "BACKSTAY_MAX_DRILLS" in caught.value.hint
        assert isinstance(caught.value, AlreadyRunningError)
    assert [(bound[KIND].used, bound[KIND].hits) for bound in bounds] == [(1, 1), (1, 1)]
    await works[0].begun.wait()
    await here.cancel(first.run_id)
    await here.wait(first.run_id, 10)

    assert await there.perform(drill(done), BOB) == 7
    await there.close(0)
    assert [bound[KIND].used for bound in bounds] == [0, 0]


async def test_other_kinds_and_the_checks_need_no_place(installation):
    """Whoever takes all places cannot keep the regular checks from theirs."""
    runs = installation.service(bounds={KIND: Bound("max_drills", 1)})
    work = WatchedWork()
    await runs.start(drill(work), ANN)
    await work.begun.wait()

    assert await runs.perform(drill(done, takes_place=False), BOB) == 7
    assert await runs.perform(job(done), BOB) == 7
    await runs.close(0)


async def test_a_place_is_given_back_by_whoever_is_refused_something_else(installation):
    """As when the server's backups are somebody else's."""
    bound = Bound("max_drills", 1)
    runs, work = installation.service(bounds={KIND: bound}), WatchedWork()
    await runs.start(job(work), ANN)
    await work.begun.wait()
    for _ in range(3):
        with pytest.raises(AlreadyRunningError) as caught:
            await runs.start(replace(job(done), kind=KIND), ANN)
        assert not isinstance(caught.value, TooManyRunsError)

    assert bound.used == 0
    assert await runs.perform(drill(done), BOB) == 7
    await runs.close(0)
    await asyncio.sleep(0)
