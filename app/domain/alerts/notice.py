"""Messages of alerts: what people read, who gets them, and the log of their delivery."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType, Protocol

from app.domain.alerts.alert import AlertKind


AlertId = NewType("AlertId", str)

# Longer ones are cut by phones and by some services.
_SUBJECT_LENGTH: Final = 200
# A line end in a header would begin another one.
_UNPRINTED: Final = re.compile(r"[\s\x00-\x1f\x7f\u0085\u2028\u2029]+")


class NoticeKind(StrEnum):
    """What a message is for."""

    ALARM = "alarm"
    RECOVERY = "recovery"
    TEST = "test"
    REPORT = "report"

    @classmethod
    def of_told_once(cls, kind: AlertKind) -> "NoticeKind":
        """Return what a message about something that is no condition is for."""
        return cls.TEST if kind is AlertKind.TEST else cls.REPORT


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """
    A condition as it is remembered, from when it began until it was over.

    Attributes:
        run_id: Run that has shown it last; empty when it was no run.
        opened_at: When it was reported first; aware UTC instant, as the others.
        last_rung_at: When it was reported last.
        count: How often it was reported.
        told_at: When messages about it were made last, whoever has got them.
        closed_at: When it was over; None while it lasts.
        closing: What is well again; empty while it lasts.
    """

    alert_id: AlertId
    kind: AlertKind
    about: str
    message: str
    hint: str
    run_id: str
    opened_at: datetime
    last_rung_at: datetime
    count: int
    told_at: datetime
    closed_at: datetime | None = None
    closing: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One attempt to send one message to one target, made or to be made.

    Attributes:
        number: Grows with every attempt that is planned.
        target: Name of an address, without any secret of it.
        attempt: From 1.
        due_at: When it is to be made, or was.
        at: When it ended; None = it is still to be made.
        error: Why it failed, a short code; empty when it arrived, or is still to be made.
    """

    number: int
    alert_id: AlertId
    target: str
    kind: NoticeKind
    attempt: int
    due_at: datetime
    at: datetime | None = None
    error: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the target has taken it."""
        return self.at is not None and not self.error


@dataclass(frozen=True, slots=True)
class Notice:
    """A message as it is sent; the subject is one line, the body plain text."""

    subject: str
    body: str
    kind: NoticeKind


@dataclass(frozen=True, slots=True)
class Sender:
    """
    Who sends messages.

    Attributes:
        hostname: Of the machine.
        address: Where people find the pages, without a slash at its end; empty = nobody has said so.
    """

    hostname: str
    address: str = ""

    def link_to(self, record: AlertRecord) -> str:
        """Return where more can be read; empty when nobody has said where the pages are."""
        if not self.address:
            return ""
        return f"{self.address}/runs/{record.run_id}" if record.run_id else f"{self.address}/alerts"


class Messenger(Protocol):
    """Whoever carries messages; only `load` raises an AppError."""

    def targets_for(self, kind: AlertKind) -> tuple[str, ...]:
        """Return the names of targets that want alerts of this kind; every one wants a test, only some reports."""
        ...

    def load(self) -> None:
        """Check every target; takes a while, and raises InvalidRequestError."""
        ...

    async def send(self, target: str, notice: Notice, seconds: float) -> str:
        """
        Send a message to one target, and wait for its answer.

        Args:
            target: One of the names.
            notice: The message.
            seconds: How long it may take.

        Returns:
            Empty when the target has taken it; otherwise why not, such as `timeout` or `http-500`.
        """
        ...


def compose(record: AlertRecord, kind: NoticeKind, sender: Sender) -> Notice:
    """
    Make the message about a condition as it is now.

    Args:
        record: The condition.
        kind: An alarm while it lasts, a recovery when it is over.
        sender: Who sends it.

    Returns:
        Text without secrets, as far as the condition has none.
    """
    again = "well again - " if kind is NoticeKind.RECOVERY else ""
    subject = f"Backstay: {again}{record.kind} - {record.about} ({sender.hostname})"
    link = "" if kind is NoticeKind.TEST else sender.link_to(record)
    parts = [*_texts(record, kind), "\n".join(_facts(record, kind)), link]
    return Notice(one_line(subject), "\n\n".join(part for part in parts if part), kind)


def _texts(record: AlertRecord, kind: NoticeKind) -> list[str]:
    if kind is NoticeKind.RECOVERY:
        return [record.closing, f"It was: {record.message}"]
    return [record.message, record.hint]


def _facts(record: AlertRecord, kind: NoticeKind) -> list[str]:
    lasts = kind in {NoticeKind.ALARM, NoticeKind.RECOVERY}
    facts = [f"Since: {_moment(record.opened_at)}"] if lasts else []
    if kind is NoticeKind.ALARM and record.count > 1:
        facts.append(f"Seen: {record.count} times, last {_moment(record.last_rung_at)}")
    if record.closed_at is not None and kind is NoticeKind.RECOVERY:
        facts.append(f"Until: {_moment(record.closed_at)}")
    return [*facts, f"Run: {record.run_id}"] if record.run_id else facts


def one_line(text: str) -> str:
    """Make a text fit a header: without line ends and control characters, and not too long."""
    text = _UNPRINTED.sub(" ", text).strip()
    return text if len(text) <= _SUBJECT_LENGTH else text[: _SUBJECT_LENGTH - 3] + "..."


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
