"""Alerts from the ring to the mail: a real control database, a real HTTP endpoint, a real mail server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.control.absent import NoAlerts
from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import Notice, NoticeKind
from app.domain.runs.run import Failure, Origin, Run, RunId, RunKind, RunState
from app.domain.stores import AlertFilter, Page
from app.errors import InvalidRequestError
from app.notices.addresses import parse_alert_urls
from app.notices.messenger import AppriseMessenger
from app.notices.silence import silence
from app.services.alerts.delivery import RetryPolicy
from app.services.alerts.service import AlertService
from tests.fixtures.endpoints import EveryLogRecord


QUICK = RetryPolicy(seconds=30, pauses=(0.05, 0.05, 0.05))
DISK = Alert(AlertKind.DISK, "backups", "less than 1 GB is free", "Delete something.")
SCHEMES = "json,mailto"
EVERYTHING = Page(limit=500, sort="opened_at")


class TravellingClock:
    """The machine's clock, moved forward by tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Return the instant of the test."""
        return datetime.now(UTC) + self.ahead  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        """Return seconds."""
        return time.monotonic()


class World:
    """Services on one control database."""

    def __init__(self, directory: Path) -> None:
        self.clock = TravellingClock()
        self.directory = directory
        self.database = ControlDatabase(f"sqlite:///{directory}/control.db", directory)

    def service(self, *urls: str, patience: RetryPolicy = QUICK, store=None) -> AlertService:
        """Make a service that sends to these addresses."""
        messenger = AppriseMessenger(parse_alert_urls(" ".join(urls), SCHEMES))
        messenger.load()
        store = store or AlertRecords(self.database)
        return AlertService(store, messenger, self.clock, "db1", patience)

    async def log(self, service: AlertService) -> list[tuple[str, int, str]]:
        """NoticeKind, attempt and error of each attempt, oldest first; `...` of what is to be made."""
        found, _ = await service.list(AlertFilter(), EVERYTHING)
        attempts = sorted(
            (delivery for _, deliveries in found for delivery in deliveries),
            key=lambda one: one.number,
        )
        return [
            (attempt.kind.value, attempt.attempt, attempt.error if attempt.at else "...")
            for attempt in attempts
        ]

    async def settled(
        self, service: AlertService, seconds: float = 60
    ) -> list[tuple[str, int, str]]:
        """Wait until nothing is to be sent any more, and return the log."""
        async with asyncio.timeout(seconds):
            while True:
                log = await self.log(service)
                if not any(error == "..." for _, _, error in log):
                    return log
                await asyncio.sleep(0.01)

    async def until(self, service: AlertService, attempt: tuple[str, int, str]) -> None:
        """Wait until an attempt has ended in this way."""
        async with asyncio.timeout(60):
            while True:
                if attempt in await self.log(service):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    """An empty control database."""
    made = World(tmp_path)
    await made.database.prepare()
    yield made
    await made.database.close()


@asynccontextmanager
async def working(*services: AlertService) -> AsyncIterator[None]:
    """Let services deliver for the length of a block."""
    tasks = [asyncio.create_task(one.run_forever()) for one in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def hook(endpoint, rest: str = "/hook") -> str:
    """Address of the HTTP endpoint, with a password."""
    return f"json://keeper:hunter2-is-secret@127.0.0.1:{endpoint.port}{rest}"


def texts(endpoint) -> list[tuple[str, str]]:
    """Type and subject of what has arrived."""
    return [(one.document["type"], one.document["title"]) for one in endpoint.got]


async def test_an_alarm_is_delivered_once_and_its_end_quietly(world, endpoint, mail):
    """By HTTP and by mail, with everything that people need to know."""
    service = world.service(hook(endpoint), mail.address)
    async with working(service):
        for _ in range(3):
            await service.raise_alert(DISK)
        assert len(await world.settled(service)) == 2
        await service.resolve(DISK.kind, DISK.about, "enough is free")
        await service.resolve(DISK.kind, DISK.about, "enough is free")
        log = await world.settled(service)

    assert sorted(log) == [("alarm", 1, "")] * 2 + [("recovery", 1, "")] * 2
    assert texts(endpoint) == [
        ("failure", "Backstay: disk - backups (db1)"),
        ("success", "Backstay: well again - disk - backups (db1)"),
    ]
    first, last = [one.document["message"] for one in endpoint.got]
    assert first.startswith("less than 1 GB is free\n\nDelete something.\n\nSince: 20")
    assert last.startswith("enough is free\n\nIt was: less than 1 GB is free\n\nSince: 20")
    assert [one["Subject"] for one in mail.got] == [title for _, title in texts(endpoint)]
    assert mail.got[0]["To"] == "ops@example.com"
    body = mail.got[0].get_body()
    assert body is not None
    assert "less than 1 GB is free" in body.get_content()


async def test_only_who_wants_a_kind_gets_it(world, endpoint):
    """Who names no kind gets all of them."""
    failures = f"failure,drill={hook(endpoint, '/failures')}"
    service = world.service(failures, hook(endpoint, "/all"))
    async with working(service):
        await service.raise_alert(DISK)
        await service.raise_alert(Alert(AlertKind.DRILL, "backup_1", "it could not be restored"))
        await world.settled(service)

    assert sorted(one.path for one in endpoint.got) == ["/all", "/all", "/failures"]


async def test_an_endpoint_that_refuses_is_tried_again(world, endpoint):
    """After pauses, until it takes the message; all of it is in the log."""
    endpoint.status = 500
    service = world.service(hook(endpoint))
    async with working(service):
        await service.raise_alert(DISK)
        await endpoint.until(2)
        endpoint.status = 200
        log = await world.settled(service)

    assert [error for _, _, error in log[:-1]] == ["http-500"] * (len(log) - 1)
    assert log[-1] == ("alarm", len(log), "")
    assert len(endpoint.got) == len(log)


async def test_the_pauses_grow_and_end(world, endpoint, caplog):
    """After the last one it is given up, and nobody who never got an alarm gets a recovery."""
    endpoint.status = 500
    patience = RetryPolicy(seconds=30, pauses=(10.0, 60.0, 7200.0))
    service = world.service(hook(endpoint), patience=patience)
    await service.raise_alert(DISK)
    for pause in (0, 9, 2, 58, 4, 7100, 200, 99999):
        world.clock.ahead += timedelta(seconds=pause)
        await service.flush(30)

    assert [error for _, _, error in await world.log(service)] == ["http-500"] * 4
    assert len(endpoint.got) == 4
    assert "Alert was given up" in caplog.text
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    assert len(await world.log(service)) == 4


async def test_an_endpoint_that_is_down_is_waited_for(world, endpoint):
    """It comes back on the same port, and gets the message."""
    await endpoint.close()
    service = world.service(hook(endpoint), patience=RetryPolicy(seconds=30, pauses=(0.05,) * 1000))
    async with working(service):
        await service.raise_alert(DISK)
        await world.until(service, ("alarm", 1, "no-answer"))
        await endpoint.open()
        log = await world.settled(service)

    assert {error for _, _, error in log[:-1]} == {"no-answer"}
    assert log[-1][2] == ""
    assert len(endpoint.got) == 1


async def test_a_hanging_endpoint_keeps_nobody_waiting(world, endpoint, mail):
    """Ringing returns at once, others get their messages, and a thread that hangs is the only one."""
    endpoint.status = 0
    patience = RetryPolicy(seconds=3, pauses=(0.01,) * 10)
    service = world.service(hook(endpoint, "/hook?rto=30"), mail.address, patience=patience)
    async with working(service):
        began = time.monotonic()
        for number in range(3):
            await service.raise_alert(
                Alert(AlertKind.MISSED, f"schedule{number}", "nobody was there")
            )
        assert time.monotonic() - began < 3
        log = await world.settled(service)

    assert len({one["Subject"] for one in mail.got}) == 3
    assert len(endpoint.got) == 1
    assert sorted({error for _, _, error in log}) == ["", "busy", "timeout"]


async def test_a_mail_server_that_refuses_is_tried_again(world, mail):
    """Its words, in which it may quote us, stay with it."""
    mail.refuses = True
    service = world.service(mail.address)
    async with working(service):
        await service.raise_alert(DISK)
        log = await world.settled(service)
        assert log == [("alarm", attempt, "refused") for attempt in (1, 2, 3, 4)]
        mail.refuses = False
        world.clock.ahead += timedelta(hours=24)
        await service.raise_alert(DISK)
        await world.settled(service)

    assert len(mail.got) == 1


async def test_what_lasts_is_told_again_after_a_day(world, endpoint):
    """Also when it is seen a little early; how often it was seen is in the message."""
    service = world.service(hook(endpoint))
    for hours in (0, 1, 20, 2, 1, 23, 1):
        world.clock.ahead += timedelta(hours=hours)
        await service.raise_alert(DISK)
        await service.flush(30)

    assert len(endpoint.got) == 3
    assert "Seen: 4 times, last" in endpoint.got[1].document["message"]


async def test_a_restart_keeps_what_is_to_be_sent(world, endpoint):
    """Nothing is sent by the process that rang; the next one does it."""
    await world.service(hook(endpoint)).raise_alert(DISK)
    service = world.service(hook(endpoint))
    async with working(service):
        await world.settled(service)

    assert texts(endpoint) == [("failure", "Backstay: disk - backups (db1)")]


async def test_two_services_send_each_message_once(world, endpoint):
    """Whoever rings, and however many send."""
    services = [world.service(hook(endpoint)) for _ in range(3)]
    async with working(*services):
        for number in range(10):
            alert = Alert(AlertKind.MISSED, f"schedule{number}", "nobody was there")
            await asyncio.gather(*(one.raise_alert(alert) for one in services))
        await world.settled(services[0])
        for number in range(10):
            await asyncio.gather(
                *(one.resolve(AlertKind.MISSED, f"schedule{number}", "well") for one in services)
            )
        await world.settled(services[0])

    assert len(texts(endpoint)) == len(set(texts(endpoint))) == 20


async def test_a_command_sends_before_it_ends(world, endpoint):
    """Flushing sends what is due, takes no longer than it may, and leaves the rest to others."""
    service = world.service(hook(endpoint), patience=RetryPolicy(seconds=30, pauses=(60,)))
    await service.raise_alert(DISK)
    await service.flush(30)
    assert len(endpoint.got) == 1

    endpoint.status = 0
    await service.raise_alert(Alert(AlertKind.MISSED, "nightly", "nobody was there"))
    began = time.monotonic()
    await service.flush(1)

    assert time.monotonic() - began < 4
    assert (await world.log(service))[-2:] == [("alarm", 1, "timeout"), ("alarm", 2, "...")]


async def test_without_a_control_database_an_alarm_is_sent_at_once(world, endpoint, caplog):
    """Once; its end too, and nothing is raised. It is in the log of the program."""
    service = world.service(hook(endpoint), store=NoAlerts())
    for _ in range(3):
        await service.raise_alert(DISK)
    await service.flush(30)
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    await service.resolve(AlertKind.CLOCK, "clock", "never was")
    await service.flush(30)

    assert [kind for kind, _ in texts(endpoint)] == ["failure", "success"]
    assert "Alert, not recorded: less than 1 GB is free" in caplog.text


async def test_a_control_database_that_comes_back_tells_nothing_twice(world, endpoint):
    """What was sent without it is known to this process."""
    broken = ControlDatabase(f"sqlite:///{world.directory}", world.directory)
    service = world.service(hook(endpoint), store=AlertRecords(broken))
    await service.raise_alert(DISK)
    await service.flush(30)
    service._store = AlertRecords(world.database)
    await service.raise_alert(DISK)
    await service.flush(30)
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    await service.flush(30)

    assert [kind for kind, _ in texts(endpoint)] == ["failure", "success"]
    (found, _), *_ = (await service.list(AlertFilter(), EVERYTHING))[0]
    assert found.closing == "enough is free"


async def test_ringing_waits_for_no_database_that_hangs(world, endpoint):
    """Somebody else holds its lock for seconds; the alarm is written down when they are done."""
    service = world.service(hook(endpoint))
    other = ControlDatabase(f"sqlite:///{world.directory}/control.db", world.directory)
    async with other.writing():
        began = time.monotonic()
        await service.raise_alert(DISK)
        assert time.monotonic() - began < 4.5
        assert endpoint.got == []
    await service.flush(30)
    await other.close()

    assert len(endpoint.got) == 1


async def test_a_test_goes_to_everybody(world, endpoint, mail):
    """Also to those who want other kinds only; what came of it is told and remembered."""
    mail.refuses = True
    service = world.service(f"disk={hook(endpoint)}", mail.address)

    assert await service.test() == {"json://127.0.0.1": "", "mailto://127.0.0.1": "refused"}

    assert texts(endpoint) == [("info", "Backstay: test - test (db1)")]
    assert sorted(await world.log(service)) == [("test", 1, ""), ("test", 1, "refused")]
    assert await world.service(hook(endpoint), store=NoAlerts()).test() == {"json://127.0.0.1": ""}
    with pytest.raises(InvalidRequestError, match="BACKSTAY_ALERT_URLS is not set"):
        await world.service().test()


async def test_a_redirect_is_not_followed(world, endpoint):
    """Not even when the address wants it, nor is a failure called a success by it."""
    endpoint.status = 307
    endpoint.headers = f"Location: http://127.0.0.1:{endpoint.port}/elsewhere\r\n"
    service = world.service(hook(endpoint, "/hook?redirect=yes&optional=yes&retry=3"))

    assert await service.test() == {"json://127.0.0.1": "http-307"}
    assert [one.path for one in endpoint.got] == ["/hook"]


async def test_no_secret_is_told(world, endpoint, mail):
    """Neither in the log at any level, nor in the delivery log, however it goes wrong."""
    token = "T1JJ3T3L2-is-secret"
    service = world.service(
        hook(endpoint, f"/{token}?key={token}"),
        mail.address,
        f"json://127.0.0.1:1/{token}",
        patience=RetryPolicy(seconds=30, pauses=(60, 60)),
    )
    with EveryLogRecord() as logs:
        endpoint.status, mail.refuses = 500, True
        await service.raise_alert(DISK)
        await service.flush(30)
        endpoint.status, mail.refuses = 200, False
        world.clock.ahead += timedelta(minutes=2)
        await service.flush(30)
        await service.test()
    shown = logs.shown + str(await service.list(AlertFilter(), EVERYTHING))
    database = b"".join(one.read_bytes() for one in world.directory.glob("control.db*"))

    assert token in endpoint.got[0].path
    assert "Alert was delivered" in shown
    assert "json://127.0.0.1 (2)" in shown
    for secret in ("hunter2", token, "keeper", "ops@example.com"):
        assert secret not in shown
        assert secret.encode() not in database


def test_an_address_that_apprise_does_not_understand_is_refused():
    """By its place and scheme."""
    addresses = parse_alert_urls("json://host mailto://secret", SCHEMES)
    with pytest.raises(InvalidRequestError, match="address 2, a mailto") as caught:
        AppriseMessenger(addresses).load()

    assert "secret" not in str(caught.value)


async def test_an_unknown_target_is_told_as_one():
    """The settings have changed since the message was planned."""
    messenger = AppriseMessenger(())

    assert await messenger.send("json://host", Notice("s", "b", NoticeKind.TEST), 1) == "unknown"


# Runs


def run(kind: RunKind = RunKind.BACKUP, state: RunState = RunState.FAILED, **changes) -> Run:
    """Make a run that has ended."""
    facts: dict[str, Any] = {
        "run_id": RunId("run_1"),
        "kind": kind,
        "state": state,
        "requested_by": "alice",
        "origin": Origin.API,
        "owner": "me",
        "created_at": datetime(2026, 1, 31, tzinfo=UTC),
        "error": Failure("storage-full", "", "the disk is full", "", retryable=False),
    }
    return Run(**{**facts, **changes})


NIGHTLY = {"schedule": "nightly"}
INTERRUPTED = Failure("run-interrupted", "", "the disk is full", "", retryable=False)


@pytest.mark.parametrize(
    ("ended", "about"),
    [
        (run(origin=Origin.SCHEDULE, request=NIGHTLY), "nightly"),
        (run(origin=Origin.CLI, request=NIGHTLY), "nightly"),
        (run(), "backup run"),
        (run(RunKind.RESTORE), "restore run"),
        (run(RunKind.UNDO), "undo run"),
        (run(RunKind.DRILL, origin=Origin.SCHEDULE), None),
        (run(RunKind.DRILL, error=INTERRUPTED), "drill run"),
        (run(RunKind.PRUNE, origin=Origin.SCHEDULE), "prune run"),
        (run(origin=Origin.CLI), None),
        (run(RunKind.RESTORE, origin=Origin.CLI), None),
        (run(RunKind.VERIFICATION), None),
        (run(RunKind.DRY_RUN), None),
        (run(state=RunState.CANCELLED, request=NIGHTLY), None),
        (run(state=RunState.SUCCEEDED, request=NIGHTLY), None),
    ],
)
async def test_a_failure_that_nobody_watched_is_told(world, ended, about):
    """Of a schedule by its name, otherwise by what it was; whoever runs a command sees it fail."""
    service = world.service()
    await service.begun(ended)
    await service.ended(ended)
    await service.ended(ended)

    found, _ = await service.list(AlertFilter(), EVERYTHING)

    assert [record.about for record, _ in found] == ([about] if about else [])
    if found:
        record = found[0][0]
        assert record.message == f"the {ended.kind} has failed: the disk is full"
        assert (record.count, record.run_id) == (2, "run_1")


async def test_a_success_makes_up_for_a_failure(world):
    """Of the same schedule, also for being overdue; of no other one."""
    service = world.service()
    await service.ended(run(request=NIGHTLY))
    await service.ended(run(request={"schedule": "hourly"}))
    await service.ended(run())
    await service.raise_alert(Alert(AlertKind.OVERDUE, "nightly", "no backup for two days"))

    await service.ended(run(state=RunState.SUCCEEDED, origin=Origin.CLI, request=NIGHTLY))

    found, _ = await service.list(AlertFilter(is_open=True), EVERYTHING)
    assert {record.about for record, _ in found} == {"hourly", "backup run"}
    await service.ended(run(state=RunState.SUCCEEDED, origin=Origin.CLI))
    found, _ = await service.list(AlertFilter(is_open=True), EVERYTHING)
    assert [record.about for record, _ in found] == ["hourly"]


async def test_a_run_without_an_error_is_told_all_the_same(world):
    """A record that somebody has cut short."""
    service = world.service()
    await service.ended(run(error=None))

    ((record, _),), _ = await service.list(AlertFilter(), EVERYTHING)
    assert record.message == "the backup has failed: nobody knows why"


def test_logs_of_libraries_reach_nobody():
    """Whoever installs a handler at the root."""
    silence()
    with EveryLogRecord() as logs:
        for name in ("apprise", "urllib3.connectionpool", "httpx", "httpcore.http11"):
            logging.getLogger(name).error("https://secret")

    assert not logs.shown
