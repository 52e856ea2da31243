"""Messages of alerts, as people read them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain.alerts.alert import AlertKind
from app.domain.alerts.notice import (
    AlertId,
    AlertRecord,
    Delivery,
    NoticeKind,
    Sender,
    compose,
    one_line,
)


DB1 = Sender("db1")
NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
RECORD = AlertRecord(
    alert_id=AlertId("alert_1"),
    kind=AlertKind.FAILURE,
    about="nightly",
    message="the backup has failed: no connection",
    hint="Start the server.",
    run_id="run_1",
    opened_at=NOON,
    last_rung_at=NOON,
    count=1,
    told_at=NOON,
)


def test_an_alarm_says_what_to_do():
    """What happened, what helps, since when, and which run it was."""
    notice = compose(RECORD, NoticeKind.ALARM, DB1)

    assert notice.subject == "Backstay: failure - nightly (db1)"
    assert notice.body == (
        "the backup has failed: no connection\n\nStart the server.\n\n"
        "Since: 2026-01-31 12:00:00 UTC\nRun: run_1"
    )


def test_an_alarm_that_lasts_says_how_often():
    """And when it was seen last; what there is not is left out."""
    lasting = replace(RECORD, count=3, last_rung_at=NOON + timedelta(hours=2), hint="", run_id="")

    assert compose(lasting, NoticeKind.ALARM, DB1).body == (
        "the backup has failed: no connection\n\n"
        "Since: 2026-01-31 12:00:00 UTC\nSeen: 3 times, last 2026-01-31 14:00:00 UTC"
    )


def test_a_recovery_says_what_is_well_again():
    """And what was wrong, and until when."""
    over = replace(
        RECORD, closed_at=NOON + timedelta(minutes=5), closing="the backup has succeeded"
    )
    notice = compose(over, NoticeKind.RECOVERY, DB1)

    assert notice.subject == "Backstay: well again - failure - nightly (db1)"
    assert notice.body == (
        "the backup has succeeded\n\nIt was: the backup has failed: no connection\n\n"
        "Since: 2026-01-31 12:00:00 UTC\nUntil: 2026-01-31 12:05:00 UTC\nRun: run_1"
    )


def test_a_test_is_short():
    """It is about nothing."""
    test = replace(RECORD, kind=AlertKind.TEST, about="test", message="a test", hint="", run_id="")
    notice = compose(test, NoticeKind.TEST, DB1)

    assert (notice.subject, notice.body) == ("Backstay: test - test (db1)", "a test")


def test_a_message_leads_to_the_pages():
    """To the run that has shown it, else to the alerts; a test leads nowhere."""
    pages = Sender("db1", "https://backups.example.com")
    bodies = [
        compose(record, kind, pages).body.rpartition("\n\n")[2]
        for record, kind in (
            (RECORD, NoticeKind.ALARM),
            (replace(RECORD, run_id=""), NoticeKind.RECOVERY),
            (replace(RECORD, run_id=""), NoticeKind.TEST),
        )
    ]

    assert bodies == [
        "https://backups.example.com/runs/run_1",
        "https://backups.example.com/alerts",
        RECORD.hint,
    ]


def test_a_subject_is_one_line():
    """Nobody adds headers to a mail by the name of something."""
    odd = replace(RECORD, about="x\r\nBcc: somebody@example.com\u2028" + "y" * 300)
    subject = compose(odd, NoticeKind.ALARM, DB1).subject

    assert subject.startswith("Backstay: failure - x Bcc: somebody@example.com yyy")
    assert subject.isprintable()
    assert len(subject) == 200
    assert subject.endswith("...")
    assert one_line(" a\tb ") == "a b"


def test_an_attempt_arrived_or_not():
    """Or is still to be made."""
    planned = Delivery(1, AlertId("alert_1"), "json://h", NoticeKind.ALARM, 1, NOON)

    assert not planned.arrived
    assert replace(planned, at=NOON).arrived
    assert not replace(planned, at=NOON, error="timeout").arrived
