"""Alerts: what operators hear of without asking."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol


class AlertKind(StrEnum):
    """What happened."""

    FAILURE = "failure"  # a run failed that nobody watched
    OVERDUE = "overdue"  # a schedule has no success although it is due for long
    MISSED = "missed"  # nobody was there at a due time
    VERIFICATION = "verification"  # a stored backup is not what was written
    DRILL = "drill"  # a backup could not be restored
    DISK = "disk"  # less is free than the floor, or than the next backup needs
    UNUSUAL = "unusual"  # a backup is far smaller or larger than those before it
    CREDENTIAL = "credential"  # the server does not answer, or refuses the login or a right
    CERTIFICATE = "certificate"  # one is about to expire
    CLOCK = "clock"  # the clock has jumped; nothing is deleted until it is right
    BINLOG = "binlog"  # the binary log is not archived, or was broken off
    TEST = "test"  # somebody wanted to see one
    AUDIT_HEAD = (
        "audit-head"  # which entry of the audit is the newest, for who keeps that elsewhere
    )


# Told once, without anything being wrong, and only to those who ask for it by name.
REPORTS: Final = frozenset({AlertKind.AUDIT_HEAD})


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One condition that somebody should know of.

    Attributes:
        kind: What happened.
        about: What it is about, such as the name of a schedule or of a backup; with the kind it is
            the condition: an alert is sent once, and again only when it lasts.
        message: One line, lower case, no full stop; no secret and no row of data.
        hint: One sentence what to do; may be empty.
        run_id: Run that has shown it, if it was one.
    """

    kind: AlertKind
    about: str
    message: str
    hint: str = ""
    run_id: str = ""

    @property
    def key(self) -> str:
        """Tells conditions apart."""
        return f"{self.kind}:{self.about}"


class Alarm(Protocol):
    """Where conditions are reported; all calls return soon and raise no AppError."""

    async def raise_alert(self, alert: Alert) -> None:
        """Report a condition that lasts; again is harmless."""
        ...

    async def resolve(self, kind: AlertKind, about: str, message: str) -> None:
        """
        Report that a condition is over; harmless when it never was.

        Args:
            kind: Of the condition.
            about: What it was about.
            message: What is well again.
        """
        ...

    async def report(self, alert: Alert) -> None:
        """Tell what is no condition, once, to those who ask for its kind; nobody else hears of it."""
        ...


class NoAlarm:
    """For where no alert is to be sent."""

    async def raise_alert(self, alert: Alert) -> None:
        """Do nothing."""

    async def resolve(self, kind: AlertKind, about: str, message: str) -> None:
        """Do nothing."""

    async def report(self, alert: Alert) -> None:
        """Do nothing."""
