"""
Alerts: one is sent when a condition begins, again while it lasts, and its end to those who got it.

1. Whoever sees a condition raises an alert; it is written down, and messages are planned in the same transaction.
2. The deliverer sends them, from the service or from a command that flushes. 3. Whoever sees that it is
over resolves it. A control database that is not there leaves an alarm one chance: it is sent at once, and
this process remembers that it was.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import (
    AlertId,
    AlertRecord,
    Delivery,
    Messenger,
    NoticeKind,
    Sender,
    compose,
)
from app.domain.ports import Clock
from app.domain.runs.run import Failure, Origin, Run, RunKind, RunState
from app.domain.stores import AlertFilter, AlertStore, Page
from app.errors import (
    AppError,
    ConnectionLostError,
    InvalidRequestError,
    NoConnectionLeftError,
    RunInterruptedError,
    StalledError,
    StatementError,
)
from app.services.alerts.delivery import Deliverer, RetryPolicy
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)
# What a caller waits for at most; a database that hangs for longer is waited for by nobody.
_SOON_SECONDS: Final = 2.0
# A condition that is seen once a day is seen a little earlier on some days.
_EARLY: Final = 0.95
# Of each condition that a list shows.
_MOST_DELIVERIES: Final = 20
# More backups than this are not damaged at once; those beyond it are resolved a check later.
_MOST_OPEN: Final = 500
# Runs that nobody may be watching; checks raise alerts of what they find themselves.
_REPORTED: Final = frozenset({
    RunKind.BACKUP,
    RunKind.RECOVERY_POINT,
    RunKind.RESTORE,
    RunKind.UNDO,
    RunKind.DRILL,
    RunKind.PRUNE,
    RunKind.RECOVERY,
    RunKind.RECOVERY_DRILL,
})
# A drill that fails is kept with its backup and has an alert as such; these leave nothing there.
_UNKEPT: Final = frozenset(
    kind.code
    for kind in (
        RunInterruptedError,
        AppError,
        ConnectionLostError,
        NoConnectionLeftError,
        StalledError,
    )
)


@dataclass(slots=True)
class _Direct:
    """A condition whose alert was sent without having been written down."""

    record: AlertRecord
    arrived: set[str] = field(default_factory=set)


class AlertService:
    """
    An Alarm and a RunListener.

    Args:
        sender: Who sends messages.
        policy: How long is waited, and for what.
    """

    def __init__(
        self,
        store: AlertStore,
        messenger: Messenger,
        clock: Clock,
        sender: Sender,
        policy: RetryPolicy,
    ) -> None:
        self._store = store
        self._messenger = messenger
        self._clock = clock
        self._sender = sender
        self._repeat_after = policy.repeat_after * _EARLY
        self._seconds = policy.seconds
        self._deliverer = Deliverer(store, messenger, clock, sender, policy)
        self._direct: dict[str, _Direct] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what is seen -----------------------------------------------------------------------------

    async def raise_alert(self, alert: Alert) -> None:
        """Report a condition that lasts; returns soon, and raises no AppError."""
        await self._soon(self._raise(alert))

    async def resolve(self, kind: AlertKind, about: str, message: str) -> None:
        """Report that a condition is over; returns soon, and raises no AppError."""
        await self._soon(self._resolve(Alert(kind, about, message)))

    async def report(self, alert: Alert) -> None:
        """Tell what is no condition; returns soon, and raises no AppError."""
        targets = self._messenger.targets_for(alert.kind)
        if targets:
            await self._soon(self._report_once(alert, targets))

    async def raised(self, kind: AlertKind) -> Collection[str] | None:
        """Tell what the conditions of a kind that last are about; None = nobody knows."""
        wanted = AlertFilter(is_open=True, kinds=(kind,), is_own=True)
        try:
            found, _ = await self._store.list(wanted, Page(_MOST_OPEN, sort="-opened_at"))
        except AppError:
            return None
        return {record.about for record in found}

    async def begun(self, run: Run) -> None:
        """Do nothing: a run that works is no condition."""

    async def ended(self, run: Run) -> None:
        """Raise an alert for a run that failed with nobody watching, resolve it after one that succeeds."""
        if run.kind not in _REPORTED:
            return
        schedule = run.schedule
        # With a space, so that no schedule has this name.
        about = schedule or f"{run.kind} run"
        if run.state is RunState.SUCCEEDED:
            await self.resolve(AlertKind.FAILURE, about, f"the {run.kind} has succeeded")
            if schedule:
                await self.resolve(AlertKind.OVERDUE, about, f"the {run.kind} was made")
                await self.resolve(AlertKind.CLOCK, about, f"the {run.kind} was made")
        elif run.state is RunState.FAILED and _is_unwatched(run):
            why = run.error.message if run.error else "nobody knows why"
            hint = run.error.hint if run.error else ""
            message = f"the {run.kind} has failed: {why}"
            await self.raise_alert(Alert(AlertKind.FAILURE, about, message, hint, run.run_id))

    # -- messages ----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Check the addresses; raises InvalidRequestError for one that makes no sense."""
        await asyncio.to_thread(self._messenger.load)

    async def run_forever(self) -> None:
        """Send what is due, again and again, until cancelled; nothing that fails ends it."""
        await self._deliverer.run_forever()

    async def flush(self, seconds: float) -> None:
        """Send what is due now and take no longer than this; the rest is left to others, and nothing goes on."""
        began = self._clock.monotonic()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):  # it would come to a control database that is closed
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self._deliverer.flush(seconds - (self._clock.monotonic() - began))

    async def test(self) -> Mapping[str, str]:
        """
        Send a message to every target now.

        Returns:
            By the name of each target why it was not taken; empty where it was.

        Raises:
            InvalidRequestError: There is no target.
        """
        targets = self._messenger.targets_for(AlertKind.TEST)
        if not targets:
            raise InvalidRequestError(
                "BACKSTAY_ALERT_URLS is not set", hint="See docs/alerts.md for what it may hold."
            )
        return await self._tell_once(
            Alert(AlertKind.TEST, "test", "this is a test; nothing is wrong"), targets
        )

    async def list(
        self, wanted: AlertFilter, page: Page
    ) -> tuple[Sequence[tuple[AlertRecord, Sequence[Delivery]]], int]:
        """
        List conditions, each with the newest attempts to send messages about it.

        Returns:
            A page, and the count of all.
        """
        records, total = await self._store.list(wanted, page)
        found = await self._store.deliveries(
            [record.alert_id for record in records], _MOST_DELIVERIES
        )
        return [
            (record, [attempt for attempt in found if attempt.alert_id == record.alert_id])
            for record in records
        ], total

    # -- one condition ----------------------------------------------------------------------------

    async def _raise(self, alert: Alert) -> None:
        async with self._turn:
            at = self._clock.now()
            told_before = at - self._repeat_after
            direct = self._direct.get(alert.key)
            knows = direct is not None and direct.record.told_at > told_before
            targets = () if knows else self._messenger.targets_for(alert.kind)
            facts = {"about": alert.key, "run": alert.run_id}
            try:
                told = await self._store.raise_alert(
                    alert, at, told_before=told_before, targets=targets
                )
            except AppError as exc:
                facts["error"] = str(exc)
                _log.warning(f"Alert, not recorded: {alert.message}", extra={"facts": facts})
                if not knows:
                    self._send_directly(alert, at, targets)
                return
            if told:
                _log.warning(f"Alert: {alert.message}", extra={"facts": facts})
                self._deliverer.wake()

    async def _resolve(self, alert: Alert) -> None:
        """Close a condition; the text of the alert says what is well again."""
        async with self._turn:
            at = self._clock.now()
            if (direct := self._direct.pop(alert.key, None)) is not None:
                _ = self._spawn(self._send_end(direct, alert.message, at))
            try:
                if await self._store.resolve(alert.key, at, alert.message):
                    facts = {"about": alert.key}
                    _log.info(f"Alert resolved: {alert.message}", extra={"facts": facts})
                    self._deliverer.wake()
            except AppError as exc:
                facts = {"about": alert.key, "error": str(exc)}
                _log.warning("End of an alert could not be recorded", extra={"facts": facts})

    def _send_directly(self, alert: Alert, at: datetime, targets: Sequence[str]) -> None:
        direct = self._direct[alert.key] = _Direct(_record_of(alert, at))

        async def send() -> None:
            outcomes = await self._send(direct.record, NoticeKind.ALARM, targets)
            _report(direct.record, NoticeKind.ALARM, outcomes)
            direct.arrived.update(target for target, error in outcomes.items() if not error)

        _ = self._spawn(send())

    async def _send_end(self, direct: _Direct, closing: str, at: datetime) -> None:
        over = replace(direct.record, closed_at=at, closing=closing)
        outcomes = await self._send(over, NoticeKind.RECOVERY, sorted(direct.arrived))
        _report(over, NoticeKind.RECOVERY, outcomes)

    async def _send(
        self, record: AlertRecord, kind: NoticeKind, targets: Sequence[str]
    ) -> dict[str, str]:
        """Send a message to targets at once, and return by target why it was not taken."""
        notice = compose(record, kind, self._sender)
        errors = await asyncio.gather(
            *(self._messenger.send(target, notice, self._seconds) for target in targets)
        )
        return dict(zip(targets, errors, strict=True))

    async def _tell_once(self, alert: Alert, targets: Sequence[str]) -> dict[str, str]:
        """Send what is no condition, and record it; returns by target why it was not taken."""
        kind = NoticeKind.of_told_once(alert.kind)
        outcomes = await self._send(_record_of(alert, self._clock.now()), kind, targets)
        try:
            await self._store.record(alert, self._clock.now(), outcomes)
        except AppError as exc:
            facts = {"about": alert.key, "error": str(exc)}
            _log.warning("Message could not be recorded", extra={"facts": facts})
        return outcomes

    async def _report_once(self, alert: Alert, targets: Sequence[str]) -> None:
        outcomes = await self._tell_once(alert, targets)
        _report(_record_of(alert, self._clock.now()), NoticeKind.REPORT, outcomes)

    # -- nobody waits -----------------------------------------------------------------------------

    async def _soon(self, work: Coroutine[object, object, None]) -> None:
        """Wait for work, but not for long; it goes on without whoever waits."""
        task = self._spawn(work)
        await asyncio.wait([task], timeout=_SOON_SECONDS)

    def _spawn(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name="alert")
        task.add_done_callback(heard(_log, "An alert"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_unwatched(run: Run) -> bool:
    """Say whether nobody would hear of its failure in another way."""
    if run.kind is RunKind.DRILL and run.error is not None and not _is_unkept(run.error):
        return False
    return run.origin is not Origin.CLI or bool(run.schedule)


def _is_unkept(error: Failure) -> bool:
    """Tell whether the failure of a drill shows nothing of its backup, so that nothing is kept with that."""
    is_passing = error.code == StatementError.code and error.retryable
    return is_passing or error.code in _UNKEPT


def _record_of(alert: Alert, at: datetime) -> AlertRecord:
    """Make what a store would have made."""
    return AlertRecord(
        alert_id=AlertId(""),
        kind=alert.kind,
        about=alert.about,
        message=alert.message,
        hint=alert.hint,
        run_id=alert.run_id,
        opened_at=at,
        last_rung_at=at,
        count=1,
        told_at=at,
    )


def _report(record: AlertRecord, kind: NoticeKind, outcomes: Mapping[str, str]) -> None:
    """Write down in the log of the program how it went, where there is no other."""
    for target, error in outcomes.items():
        facts = {"target": target, "about": f"{record.kind}:{record.about}", "tone": kind}
        if error:
            extra = {"facts": facts | {"error": error}}
            _log.warning("Alert was not delivered", extra=extra)
        else:
            _log.info("Alert was delivered", extra={"facts": facts})
