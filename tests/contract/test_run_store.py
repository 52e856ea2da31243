"""The runs in the control database: one suite, run on SQLite and on MariaDB."""

import asyncio
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from app.domain.runs.progress import ProgressReport
from app.domain.runs.run import (
    Failure,
    IdempotencyKey,
    Origin,
    RunFilter,
    RunKind,
    RunState,
)
from app.domain.stores import Page
from app.errors import (
    ConflictError,
    InvalidRequestError,
    KeyReusedError,
    RunNotFoundError,
)
from tests.fixtures.records import run, second


ODD = "a'b\"c\\d%e:f?\x00\n\u00fc\u65e5\U0001f600"


PROGRESS = ProgressReport("dump", f"shop.{ODD}", 1, 2, 3, 4, 5, 1 << 62, 7.5, None, 0.125)
FAILURE = Failure("storage-full", "Insufficient disk space", ODD, "", retryable=False)


async def test_how_runs_ended_is_told_of_those_that_are_over(runs):
    """Of one kind, since an instant, whoever asked for them."""
    for number, state in enumerate((RunState.SUCCEEDED, RunState.FAILED, RunState.RUNNING)):
        await runs.add(run(number, state=state))
    await runs.add(run(9, state=RunState.SUCCEEDED, kind=RunKind.DRILL))

    assert sorted(await runs.outcomes(RunKind.BACKUP, second(0))) == [
        (second(0), RunState.SUCCEEDED),
        (second(1), RunState.FAILED),
    ]
    assert await runs.outcomes(RunKind.BACKUP, second(1)) == [(second(1), RunState.FAILED)]
    listed, total = await runs.list(RunFilter(since=second(1), until=second(2)), Page())
    assert ([found.created_at for found in listed], total) == ([second(1)], 1)


async def test_a_run_comes_back_as_it_was(runs):
    """Every field, to the microsecond and with any character."""
    full = run(
        kind=RunKind.RESTORE,
        state=RunState.FAILED,
        requested_by=ODD,
        backup_id="backup_1",
        restore_id="restore_1",
        request={"tables": [ODD, "\ud800"], "threads": 4, "deep": {"none": None, "half": 0.5}},
        revision=7,
        cancel_requested=True,
        started_at=second(2),
        finished_at=second(3).astimezone(timezone(timedelta(hours=5))),
        progress=PROGRESS,
        result={"rows": 1 << 60},
        error=FAILURE,
    )
    assert await runs.add(run(2)) is None
    assert await runs.add(full) is None

    assert await runs.get(full.run_id) == full
    assert await runs.get(run(2).run_id) == run(2)
    with pytest.raises(RunNotFoundError):
        await runs.get(run(3).run_id)
    with pytest.raises(ConflictError):
        await runs.add(run(2))


async def test_a_large_result_is_kept(runs):
    """A document of megabytes, which a restore of many tables makes."""
    await runs.add(run())
    large = {"tables": ["\u00fc" * 100] * 10_000}

    await runs.save(run(result=large, revision=2))

    assert (await runs.get(run().run_id)).result == large


async def test_a_later_revision_is_never_overwritten(runs):
    """A save that comes late changes nothing; the same revision may be saved again."""
    await runs.add(run())
    last = run(state=RunState.SUCCEEDED, revision=3, result={}, finished_at=second(9))
    await runs.save(last)
    await runs.save(run(state=RunState.RUNNING, revision=2, progress=PROGRESS))
    assert await runs.get(last.run_id) == last

    again = replace(last, backup_id="backup_2")
    await runs.save(again)

    assert await runs.get(last.run_id) == again


async def test_a_request_to_cancel_is_never_taken_back(runs):
    """The owner's saves do not know of it, and are told."""
    await runs.add(run())
    assert not await runs.save(run(state=RunState.RUNNING, revision=2))

    await runs.request_cancel(run().run_id)

    assert await runs.save(run(state=RunState.RUNNING, revision=3))
    assert await runs.save(run(revision=1))
    assert (await runs.get(run().run_id)).cancel_requested
    await runs.add(run(2))
    assert await runs.save(run(2, cancel_requested=True, revision=2))
    assert await runs.save(run(2, revision=3))


async def test_what_is_over_cannot_be_cancelled(runs):
    """Nothing happens to it, nor to a run that nobody knows."""
    await runs.add(run(state=RunState.SUCCEEDED))

    await runs.request_cancel(run().run_id)
    await runs.request_cancel(run(2).run_id)

    assert not (await runs.get(run().run_id)).cancel_requested
    assert not await runs.save(run(2))


async def test_a_key_makes_two_requests_one(runs):
    """The second gets the first one's run; another requester has other keys; two may have none."""
    key = IdempotencyKey("key", "a" * 64)
    assert await runs.find_by_key("alice", key) is None
    assert await runs.add(run(1), key) is None
    assert await runs.add(run(2), key) == run(1)
    assert await runs.add(run(3, requested_by="bob"), key) is None
    for number in (4, 5):
        assert await runs.add(run(number)) is None

    assert await runs.find_by_key("alice", key) == run(1)
    assert await runs.find_by_key("alice", replace(key, key="KEY")) is None
    assert await runs.find_by_key("alice ", key) is None
    with pytest.raises(RunNotFoundError):
        await runs.get(run(2).run_id)
    other = replace(key, fingerprint="b" * 64)
    for reuse in (runs.add(run(6), other), runs.find_by_key("alice", other)):
        with pytest.raises(KeyReusedError, match="'key'"):
            await reuse


async def test_one_of_many_with_a_key_is_added(runs):
    """Requests at once with one key all get the same run."""
    key = IdempotencyKey("key", "a" * 64)

    answers = await asyncio.gather(*(runs.add(run(number), key) for number in range(20)))

    added, count = await runs.list(RunFilter(), Page())
    assert count == 1
    assert sorted(map(str, answers)) == sorted(["None", *[str(added[0])] * 19])


async def test_runs_are_listed_by_every_condition_and_order(runs):
    """Each condition, each order, pages, and the count of all."""
    for number in range(6):
        over = number % 2 == 0
        await runs.add(
            run(
                number,
                kind=RunKind.DRILL if number < 2 else RunKind.BACKUP,
                state=RunState.FAILED if over else RunState.QUEUED,
                requested_by=f"user{number % 3}",
                backup_id=f"backup_{number}",
                # The one that was asked for first took longest.
                finished_at=second(100 - number) if over else None,
            )
        )

    async def found(wanted: RunFilter, sort: str = "created_at", **page) -> tuple[str, int]:
        rows, count = await runs.list(wanted, Page(sort=sort, **page))
        return "".join(row.run_id[-1] for row in rows), count

    assert await found(RunFilter()) == ("012345", 6)
    assert await found(RunFilter(), "-created_at") == ("543210", 6)
    assert await found(RunFilter(), "-created_at", limit=2, offset=1) == ("43", 6)
    assert await found(RunFilter(), limit=2, offset=9) == ("", 6)
    assert await found(RunFilter(), "-finished_at", limit=3) == ("024", 6)
    assert await found(RunFilter(), "kind") == ("234501", 6)
    assert await found(RunFilter(), "-kind") == ("105432", 6)
    assert await found(RunFilter(kinds=(RunKind.DRILL,))) == ("01", 2)
    assert await found(RunFilter(kinds=(RunKind.DRILL, RunKind.BACKUP))) == ("012345", 6)
    assert await found(RunFilter(states=(RunState.FAILED,), requested_by="user2")) == ("2", 1)
    assert await found(RunFilter(backup_id="backup_4")) == ("4", 1)
    assert "".join(unfinished.run_id[-1] for unfinished in await runs.unfinished()) == "135"
    for sort in ("run_id", "--created_at", "", "created_at; DROP TABLE runs"):
        with pytest.raises(InvalidRequestError, match="sort"):
            await found(RunFilter(), sort)


async def test_runs_are_counted(runs):
    """By kind, origin and state, with the seconds they took and when the last one ended."""
    over = {"state": RunState.SUCCEEDED, "started_at": second(1)}
    assert await runs.tally() == []
    await runs.add(run(1, finished_at=second(2), **over))
    await runs.add(run(2, finished_at=second(86_402) + timedelta(milliseconds=250), **over))
    await runs.add(run(3, **{**over, "finished_at": second(3), "origin": Origin.SCHEDULE}))
    await runs.add(run(4, kind=RunKind.DRILL, state=RunState.CANCELLED, finished_at=second(9)))
    await runs.add(run(5, state=RunState.RUNNING, started_at=second(5)))
    await runs.add(run(6, state=RunState.FAILED, started_at=second(9), finished_at=second(1)))

    found = {(tally.kind, tally.origin, tally.state): tally for tally in await runs.tally()}

    assert len(found) == 5
    backups = found.pop((RunKind.BACKUP, Origin.API, RunState.SUCCEEDED))
    assert backups.seconds == pytest.approx(86_402.25, abs=0.001)
    assert (backups.count, backups.last_at) == (2, second(86_402) + timedelta(milliseconds=250))
    assert {
        (key, tally.count, round(tally.seconds, 3), tally.last_at) for key, tally in found.items()
    } == {
        ((RunKind.BACKUP, Origin.SCHEDULE, RunState.SUCCEEDED), 1, 2.0, second(3)),
        ((RunKind.DRILL, Origin.API, RunState.CANCELLED), 1, 0.0, second(9)),
        ((RunKind.BACKUP, Origin.API, RunState.RUNNING), 1, 0.0, None),
        ((RunKind.BACKUP, Origin.API, RunState.FAILED), 1, 0.0, second(1)),
    }
