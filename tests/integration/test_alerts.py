"""Alerts from their condition to the mail: a real control database, a real HTTP endpoint, a real mail server."""

import asyncio
import gzip
import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest

from app.control.absent import NoAlerts
from app.control.alerts import AlertRecords
from app.control.database import ControlDatabase
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import Notice, NoticeKind
from app.domain.stores import AlertFilter
from app.errors import InvalidRequestError
from app.notices.addresses import parse_alert_urls
from app.notices.messenger import AppriseMessenger
from app.notices.silence import silence
from app.services.alerts.delivery import RetryPolicy
from tests.fixtures.alerting import DISK, EVERYTHING, SCHEMES, hook, texts, working
from tests.fixtures.endpoints import EveryLogRecord


async def test_an_alarm_is_delivered_once_and_its_end_quietly(alerting, endpoint, mail):
    """By HTTP and by mail, with everything that people need to know."""
    service = alerting.service(hook(endpoint), mail.address)
    async with working(service):
        for _ in range(3):
            await service.raise_alert(DISK)
        assert len(await alerting.settled(service)) == 2
        await service.resolve(DISK.kind, DISK.about, "enough is free")
        await service.resolve(DISK.kind, DISK.about, "enough is free")
        log = await alerting.settled(service)

    assert sorted(log) == [("alarm", 1, "")] * 2 + [("recovery", 1, "")] * 2
    assert texts(endpoint) == [
        ("failure", "Backstay: disk - backups (db1)"),
        ("success", "Backstay: well again - disk - backups (db1)"),
    ]
    first, last = [request.document["message"] for request in endpoint.got]
    assert first.startswith("less than 1 GB is free\n\nDelete something.\n\nSince: 20")
    assert last.startswith("enough is free\n\nIt was: less than 1 GB is free\n\nSince: 20")
    assert [message["Subject"] for message in mail.got] == [title for _, title in texts(endpoint)]
    assert mail.got[0]["To"] == "ops@example.com"
    body = mail.got[0].get_body()
    assert body is not None
    assert "less than 1 GB is free" in body.get_content()


async def test_only_who_wants_a_kind_gets_it(alerting, endpoint):
    """Who names no kind gets all of them."""
    failures = f"failure,drill={hook(endpoint, '/failures')}"
    service = alerting.service(failures, hook(endpoint, "/all"))
    async with working(service):
        await service.raise_alert(DISK)
        await service.raise_alert(Alert(AlertKind.DRILL, "backup_1", "it could not be restored"))
        await alerting.settled(service)

    assert sorted(request.path for request in endpoint.got) == ["/all", "/all", "/failures"]


async def test_a_report_is_told_once_to_who_asks_for_it(alerting, endpoint):
    """It is no condition: nothing is open, and who names no kind is not bothered."""
    heads = f"audit-head={hook(endpoint, '/heads')}"
    service = alerting.service(heads, hook(endpoint, "/all"))
    await service.report(Alert(AlertKind.AUDIT_HEAD, "audit", "the newest entry is 7:abc"))
    await alerting.service(hook(endpoint)).report(Alert(AlertKind.AUDIT_HEAD, "audit", "8:abc"))

    assert [request.path for request in endpoint.got] == ["/heads"]
    assert texts(endpoint) == [("info", "Backstay: audit-head - audit (db1)")]
    assert endpoint.got[0].document["message"] == "the newest entry is 7:abc"
    assert await alerting.log(service) == [("report", 1, "")]
    assert (await service.list(AlertFilter(is_open=True), EVERYTHING))[1] == 0


async def test_an_endpoint_that_refuses_is_tried_again(alerting, endpoint):
    """After pauses, until it takes the message; all of it is in the log."""
    endpoint.status = 500
    service = alerting.service(hook(endpoint))
    async with working(service):
        await service.raise_alert(DISK)
        await endpoint.until(2)
        endpoint.status = 200
        log = await alerting.settled(service)

    assert [error for _, _, error in log[:-1]] == ["http-500"] * (len(log) - 1)
    assert log[-1] == ("alarm", len(log), "")
    assert len(endpoint.got) == len(log)


async def test_the_pauses_grow_and_end(alerting, endpoint, caplog):
    """After the last one it is given up, and nobody who never got an alarm gets a recovery."""
    endpoint.status = 500
    retries = RetryPolicy(seconds=30, pauses=(10.0, 60.0, 7200.0))
    service = alerting.service(hook(endpoint), retries=retries)
    await service.raise_alert(DISK)
    for pause in (0, 9, 2, 58, 4, 7100, 200, 99999):
        alerting.clock.ahead += timedelta(seconds=pause)
        await service.flush(30)

    assert [error for _, _, error in await alerting.log(service)] == ["http-500"] * 4
    assert len(endpoint.got) == 4
    assert "Alert was given up" in caplog.text
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    assert len(await alerting.log(service)) == 4


async def test_an_endpoint_that_is_down_is_waited_for(alerting, endpoint):
    """It comes back on the same port, and gets the message."""
    await endpoint.close()
    service = alerting.service(
        hook(endpoint), retries=RetryPolicy(seconds=30, pauses=(0.05,) * 1000)
    )
    async with working(service):
        await service.raise_alert(DISK)
        await alerting.until(service, ("alarm", 1, "no-answer"))
        await endpoint.open()
        log = await alerting.settled(service)

    assert {error for _, _, error in log[:-1]} == {"no-answer"}
    assert log[-1][2] == ""
    assert len(endpoint.got) == 1


async def test_a_hanging_endpoint_keeps_nobody_waiting(alerting, endpoint, mail):
    """Raising an alert returns at once, others get their messages, and a thread that hangs is the only one."""
    endpoint.status = 0
    retries = RetryPolicy(seconds=3, pauses=(0.01,) * 10)
    service = alerting.service(hook(endpoint, "/hook?rto=30"), mail.address, retries=retries)
    async with working(service):
        began = time.monotonic()
        for number in range(3):
            await service.raise_alert(
                Alert(AlertKind.MISSED, f"schedule{number}", "nobody was there")
            )
        # As long as three that wait for the endpoint take at least.
        assert time.monotonic() - began < 3 * retries.seconds
        log = await alerting.settled(service)

    assert len({message["Subject"] for message in mail.got}) == 3
    assert len(endpoint.got) == 1
    assert sorted({error for _, _, error in log}) == ["", "busy", "timeout"]


async def test_a_mail_server_that_refuses_is_tried_again(alerting, mail):
    """Its words, in which it may quote us, stay with it."""
    mail.refuses = True
    service = alerting.service(mail.address)
    async with working(service):
        await service.raise_alert(DISK)
        log = await alerting.settled(service)
        assert log == [("alarm", attempt, "refused") for attempt in (1, 2, 3, 4)]
        mail.refuses = False
        alerting.clock.ahead += timedelta(hours=24)
        await service.raise_alert(DISK)
        await alerting.settled(service)

    assert len(mail.got) == 1


async def test_what_lasts_is_told_again_after_a_day(alerting, endpoint):
    """Also when it is seen a little early; how often it was seen is in the message."""
    service = alerting.service(hook(endpoint))
    for hours in (0, 1, 20, 2, 1, 23, 1):
        alerting.clock.ahead += timedelta(hours=hours)
        await service.raise_alert(DISK)
        await service.flush(30)

    assert len(endpoint.got) == 3
    assert "Seen: 4 times, last" in endpoint.got[1].document["message"]


async def test_a_restart_keeps_what_is_to_be_sent(alerting, endpoint):
    """Nothing is sent by the process that rang; the next one does it."""
    await alerting.service(hook(endpoint)).raise_alert(DISK)
    service = alerting.service(hook(endpoint))
    async with working(service):
        await alerting.settled(service)

    assert texts(endpoint) == [("failure", "Backstay: disk - backups (db1)")]


async def test_two_services_send_each_message_once(alerting, endpoint):
    """Whoever raises the alerts, and however many send."""
    services = [alerting.service(hook(endpoint)) for _ in range(3)]
    async with working(*services):
        for number in range(10):
            alert = Alert(AlertKind.MISSED, f"schedule{number}", "nobody was there")
            await asyncio.gather(*(service.raise_alert(alert) for service in services))
        await alerting.settled(services[0])
        for number in range(10):
            await asyncio.gather(
                *(
                    service.resolve(AlertKind.MISSED, f"schedule{number}", "well")
                    for service in services
                )
            )
        await alerting.settled(services[0])

    assert len(texts(endpoint)) == len(set(texts(endpoint))) == 20


async def test_a_command_sends_before_it_ends(alerting, endpoint):
    """Flushing sends what is due, takes no longer than it may, and leaves the rest to others."""
    service = alerting.service(hook(endpoint), retries=RetryPolicy(seconds=300, pauses=(60,)))
    await service.raise_alert(DISK)
    await service.flush(30)
    assert len(endpoint.got) == 1

    endpoint.status = 0
    await service.raise_alert(Alert(AlertKind.MISSED, "nightly", "nobody was there"))
    began = time.monotonic()
    await service.flush(1)

    assert time.monotonic() - began < 60
    assert (await alerting.log(service))[-2:] == [("alarm", 1, "timeout"), ("alarm", 2, "...")]


async def test_without_a_control_database_an_alarm_is_sent_at_once(alerting, endpoint, caplog):
    """Once; its end too, and nothing is raised. It is in the log of the program."""
    service = alerting.service(hook(endpoint), store=NoAlerts())
    for _ in range(3):
        await service.raise_alert(DISK)
    await service.flush(30)
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    await service.resolve(AlertKind.CLOCK, "clock", "never was")
    await service.flush(30)

    assert [kind for kind, _ in texts(endpoint)] == ["failure", "success"]
    assert "Alert, not recorded: less than 1 GB is free" in caplog.text


async def test_people_are_told_though_all_threads_wait_for_a_disk(alerting, endpoint):
    """One that does not answer is what they are to be told of."""
    answers = threading.Event()
    waiting = [asyncio.create_task(asyncio.to_thread(answers.wait)) for _ in range(40)]
    service = alerting.service(hook(endpoint))
    try:
        async with asyncio.timeout(60), working(service):
            await service.raise_alert(DISK)
            await alerting.until(service, ("alarm", 1, ""))
            await service.resolve(DISK.kind, DISK.about, "it answers")
            await alerting.until(service, ("recovery", 1, ""))
    finally:
        answers.set()
        await asyncio.gather(*waiting)
    assert [kind for kind, _ in texts(endpoint)] == ["failure", "success"]


async def test_a_control_database_that_comes_back_tells_nothing_twice(alerting, endpoint):
    """What was sent without it is known to this process."""
    broken = ControlDatabase(f"sqlite:///{alerting.directory}", alerting.directory)
    service = alerting.service(hook(endpoint), store=AlertRecords(broken))
    await service.raise_alert(DISK)
    await service.flush(30)
    service._store = AlertRecords(alerting.database)
    await service.raise_alert(DISK)
    await service.flush(30)
    await service.resolve(DISK.kind, DISK.about, "enough is free")
    await service.flush(30)

    assert [kind for kind, _ in texts(endpoint)] == ["failure", "success"]
    (found, _), *_ = (await service.list(AlertFilter(), EVERYTHING))[0]
    assert found.closing == "enough is free"


async def test_raising_an_alert_waits_for_no_database_that_hangs(alerting, endpoint):
    """Somebody else holds its lock for seconds; the alarm is written down when they are done."""
    service = alerting.service(hook(endpoint))
    other = ControlDatabase(f"sqlite:///{alerting.directory}/control.db", alerting.directory)
    async with other.writing():
        await service.raise_alert(DISK)
        assert endpoint.got == []  # which gets it when the database has been waited for in vain
    await service.flush(30)
    await other.close()

    assert len(endpoint.got) == 1


async def test_a_test_goes_to_everybody(alerting, endpoint, mail):
    """Also to those who want other kinds only; what came of it is told and remembered."""
    mail.refuses = True
    service = alerting.service(f"disk={hook(endpoint)}", mail.address)

    assert await service.test() == {"json://127.0.0.1": "", "mailto://127.0.0.1": "refused"}

    assert texts(endpoint) == [("info", "Backstay: test - test (db1)")]
    assert sorted(await alerting.log(service)) == [("test", 1, ""), ("test", 1, "refused")]
    assert await alerting.service(hook(endpoint), store=NoAlerts()).test() == {
        "json://127.0.0.1": ""
    }
    with pytest.raises(InvalidRequestError, match="BACKSTAY_ALERT_URLS is not set"):
        await alerting.service().test()


async def test_a_redirect_is_not_followed(alerting, endpoint):
    """Not even when the address wants it, nor is a failure called a success by it."""
    endpoint.status = 307
    endpoint.headers = f"Location: http://127.0.0.1:{endpoint.port}/elsewhere\r\n"
    service = alerting.service(hook(endpoint, "/hook?redirect=yes&optional=yes&retry=3"))

    assert await service.test() == {"json://127.0.0.1": "http-307"}
    assert [request.path for request in endpoint.got] == ["/hook"]


@pytest.mark.parametrize("status", [200, 500])
async def test_an_endless_answer_is_not_read(alerting, endpoint, status):
    """The status says all; what it would be in memory is nobody's."""
    endpoint.status, endpoint.endless = status, True
    service = alerting.service(hook(endpoint))

    assert await service.test() == {"json://127.0.0.1": "" if status == 200 else "http-500"}


async def test_an_answer_is_read_only_as_far_as_it_is_small_when_it_is_unpacked(alerting, endpoint):
    """A thousandth of it would be sent."""
    endpoint.headers, endpoint.piece = "Content-Encoding: gzip\r\n", gzip.compress(bytes(1 << 20))
    endpoint.endless = True
    service = alerting.service(hook(endpoint))

    assert await service.test() == {"json://127.0.0.1": ""}


async def test_a_mail_server_that_does_not_stop_talking_is_not_listened_to(alerting):
    """Each line of a reply may say that another one comes."""
    told = asyncio.Event()

    async def talk(_reader, writer):
        with suppress(ConnectionError):
            while not told.is_set():
                writer.write(b"220-" + b"x" * 500 + b"\r\n")
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = f"mailto://u:p@127.0.0.1:{port}?from=a@b.cc&to=c@d.ee&mode=insecure"
        assert await alerting.service(address).test() == {"mailto://127.0.0.1": "no-answer"}
        told.set()


async def test_no_secret_is_told(alerting, endpoint, mail):
    """Neither in the log at any level, nor in the delivery log, however it goes wrong."""
    token = "T1JJ3T3L2-is-secret"
    service = alerting.service(
        hook(endpoint, f"/{token}?key={token}"),
        mail.address,
        f"json://127.0.0.1:1/{token}",
        retries=RetryPolicy(seconds=30, pauses=(60, 60)),
    )
    with EveryLogRecord() as logs:
        endpoint.status, mail.refuses = 500, True
        await service.raise_alert(DISK)
        await service.flush(30)
        endpoint.status, mail.refuses = 200, False
        alerting.clock.ahead += timedelta(minutes=2)
        await service.flush(30)
        await service.test()
    shown = logs.shown + str(await service.list(AlertFilter(), EVERYTHING))
    database = b"".join(file.read_bytes() for file in alerting.directory.glob("control.db*"))

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


def test_logs_of_libraries_reach_nobody():
    """Whoever installs a handler at the root."""
    silence()
    with EveryLogRecord() as logs:
        for name in ("apprise", "urllib3.connectionpool", "httpx", "httpcore.http11"):
            logging.getLogger(name).error("https://secret")

    assert not logs.shown
