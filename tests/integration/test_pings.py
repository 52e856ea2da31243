"""Pings of dead-man services, on a real HTTP endpoint."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from app.domain.runs.run import Origin, Run, RunId, RunKind, RunState
from app.notices.addresses import parse_ping_urls
from app.notices.pings import Pings
from tests.fixtures.endpoints import EveryLogRecord


NOW = datetime(2026, 1, 31, tzinfo=UTC)


def run(state: RunState = RunState.RUNNING, schedule: str = "nightly", **changes) -> Run:
    """Make a run of a schedule."""
    facts = {
        "run_id": RunId("run_1"),
        "kind": RunKind.BACKUP,
        "state": state,
        "requested_by": "schedule",
        "origin": Origin.SCHEDULE,
        "owner": "me",
        "created_at": NOW,
        "request": {"schedule": schedule} if schedule else {},
    }
    return Run(**{**facts, **changes})


@pytest.fixture
async def pings(endpoint):
    """What pings `/all` for every schedule and `/nightly` for one, quickly."""
    base = f"http://127.0.0.1:{endpoint.port}"
    text = f"{base}/all?create=1 nightly={base}/nightly/"
    made = Pings(parse_ping_urls(text), seconds=10, pauses=(0.01, 0.01))
    yield made
    await made.close(0)


def paths(endpoint) -> list[str]:
    """What was asked for, by address, each in the order of its arrival."""
    return sorted(
        (request.path for request in endpoint.got), key=lambda path: path.startswith("/n")
    )


async def test_start_and_success_are_told_in_order(endpoint, pings):
    """To the address of the schedule and to that of all; a query stays where it is."""
    await pings.begun(run())
    await pings.ended(run(RunState.SUCCEEDED))
    await endpoint.until(4)

    assert paths(endpoint) == ["/all/start?create=1", "/all?create=1", "/nightly/start", "/nightly"]
    assert {request.method for request in endpoint.got} == {"POST"}


async def test_a_failure_is_told(endpoint, pings):
    """Of another schedule only to those who want to hear of every one."""
    await pings.begun(run(schedule="hourly"))
    await pings.ended(run(RunState.FAILED, schedule="hourly"))
    await endpoint.until(2)
    await pings.close(30)

    assert paths(endpoint) == ["/all/start?create=1", "/all/fail?create=1"]


async def test_nothing_is_told_of_other_runs(endpoint, pings):
    """Those of no schedule, other kinds, and those that were cancelled, of which nobody knows."""
    await pings.ended(run(RunState.SUCCEEDED, schedule=""))
    await pings.ended(run(RunState.SUCCEEDED, kind=RunKind.DRILL))
    await pings.ended(run(RunState.SUCCEEDED, request={"schedule": 5}))
    await pings.ended(run(RunState.CANCELLED))
    await pings.close(30)

    assert endpoint.got == []


async def test_a_refused_ping_is_sent_three_times(endpoint, pings):
    """Then it is given up, with a warning that holds no secret."""
    endpoint.status = 503
    with EveryLogRecord() as logs:
        await pings.ended(run(RunState.SUCCEEDED, schedule="hourly"))
        await pings.close(30)

    assert [request.path for request in endpoint.got] == ["/all?create=1"] * 3
    assert "{'target': 'http://127.0.0.1', 'error': 'http-503'}" in logs.shown
    assert "/all" not in logs.shown


async def test_a_redirect_is_not_followed(endpoint, pings):
    """Whoever answers may not send us elsewhere."""
    endpoint.status = 302
    endpoint.headers = f"Location: http://127.0.0.1:{endpoint.port}/elsewhere\r\n"
    await pings.ended(run(RunState.SUCCEEDED, schedule="hourly"))
    await pings.close(30)

    assert {request.path for request in endpoint.got} == {"/all?create=1"}


async def test_an_endless_answer_is_not_read(endpoint, pings):
    """Its status is enough."""
    endpoint.endless = True
    await pings.ended(run(RunState.SUCCEEDED, schedule="hourly"))
    await pings.close(30)

    assert len(endpoint.got) == 1


async def test_an_endpoint_that_hangs_delays_nothing(endpoint, caplog):
    """The calls return at once, the waiting ones are limited, and a shutdown waits only for so long."""
    endpoint.status = 0
    pings = Pings(parse_ping_urls(f"http://127.0.0.1:{endpoint.port}/x"), seconds=60)
    began = time.monotonic()
    for _ in range(60):
        await pings.begun(run())
    assert time.monotonic() - began < 20
    await endpoint.until(1)

    began = time.monotonic()
    await pings.close(0.1)

    assert time.monotonic() - began < 20
    assert len(endpoint.got) == 1
    assert [
        record.facts["error"] for record in caplog.records if record.name.startswith("app.")
    ] == ["busy"] * 10


async def test_a_slow_answer_is_given_up(endpoint, caplog):
    """After the seconds of one request, each time."""
    endpoint.status = 0
    address = f"http://127.0.0.1:{endpoint.port}/x"
    pings = Pings(parse_ping_urls(address), seconds=0.5, pauses=(0.01,))
    await pings.ended(run(RunState.SUCCEEDED))
    await pings.close(30)

    assert 0 < len(endpoint.got) <= 2
    assert [record.facts["error"] for record in caplog.records] == ["timeout"]


async def test_an_endpoint_that_is_down_is_waited_for(endpoint):
    """Nobody listens at first; the next attempt arrives."""
    await endpoint.close()
    address = f"http://127.0.0.1:{endpoint.port}/x"
    pings = Pings(parse_ping_urls(address), seconds=10, pauses=(0.2, 5))
    await pings.ended(run(RunState.SUCCEEDED))
    await asyncio.sleep(0.05)
    await endpoint.open()

    await endpoint.until(1)
    await pings.close(30)

    assert [request.path for request in endpoint.got] == ["/x"]


async def test_an_address_that_makes_no_sense_ends_nothing(endpoint, caplog):
    """It is told as one that does not answer."""
    _ = endpoint
    pings = Pings(parse_ping_urls("http://[secret"), seconds=10, pauses=())
    await pings.ended(run(RunState.SUCCEEDED))
    await pings.close(30)

    assert [record.facts["error"] for record in caplog.records] == ["no-answer"]
    assert "secret" not in caplog.text
