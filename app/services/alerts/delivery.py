"""
Messages to be sent, sent: now, after pauses when a target refuses, and by one process only.

Each target has its own loop, so one that hangs keeps no other waiting. A message is claimed, sent, and
then finished; how each attempt ended stays in the log.

Not guaranteed: exactly once. Who dies between sending and finishing leaves a claim that runs out, and the
message is sent again; rather twice than never.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.concurrency import shielded, together
from app.domain.alerts.alert import AlertKind
from app.domain.alerts.notice import Messenger, Sender, compose
from app.domain.ports import Clock
from app.domain.stores import AlertStore
from app.errors import AppError
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
# Longer than an attempt with what is written about it: then whoever claimed it is dead.
_CLAIM_MARGIN: Final = timedelta(seconds=60)
# Others add to the log too, such as commands; and a control database comes back at some time.
_POLL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How long is waited, and for what.

    Attributes:
        repeat_after: How long after an alert about a condition that lasts the next one is sent.
        seconds: How long one attempt may take; a mail server that checks senders takes its time.
        pauses: Seconds after the first failed attempt, the second, and so on; after one more it is
            given up. Short for a restart, long for an outage, and over before the next day's.
    """

    repeat_after: timedelta = timedelta(hours=24)
    seconds: float = 20.0
    pauses: tuple[float, ...] = (10.0, 60.0, 300.0, 1800.0, 7200.0)


class Deliverer:
    """
    Sends what the store plans.

    Args:
        sender: Who sends messages.
        policy: How long an attempt may take, and the pauses between them.
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
        self._seconds = policy.seconds
        self._pauses = policy.pauses
        self._wakes = {target: asyncio.Event() for target in self._targets}

    @property
    def _targets(self) -> tuple[str, ...]:
        return self._messenger.targets_for(AlertKind.TEST)

    def wake(self) -> None:
        """Let every target's loop read new messages."""
        for event in self._wakes.values():
            event.set()

    async def run_forever(self) -> None:
        """Send what is due, again and again, until cancelled; nothing that fails ends it."""
        await together(*(self._serve(target) for target in self._targets))

    async def flush(self, seconds: float) -> None:
        """Send what is due now, and take no longer than this."""
        deadline = asyncio.get_running_loop().time() + seconds
        await together(*(self._drain(target, deadline) for target in self._targets))

    async def _serve(self, target: str) -> None:
        wake = self._wakes[target]
        while True:
            wake.clear()
            wait = _POLL_SECONDS
            try:
                with outlived(_log, "Delivery"):
                    wait = await self._deliver_due(target)
            except AppError as exc:
                _warn(exc)
            await _waited(wake, min(wait, _POLL_SECONDS))

    async def _deliver_due(self, target: str) -> float:
        """Send until nothing is due; return in how many seconds something will be."""
        was_due = True
        while was_due:
            was_due = await self._deliver(target, self._seconds)
        return await self._seconds_to_next(target)

    async def _drain(self, target: str, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (left := deadline - loop.time()) > 0:
                if not await self._deliver(target, min(left, self._seconds)):
                    return
        except AppError as exc:  # whoever raised an alert has logged it already
            _log.info("Alert log could not be read", extra={"facts": {"error": str(exc)}})

    async def _deliver(self, target: str, seconds: float) -> bool:
        """Make the next attempt to reach a target; return whether there was one to be made."""
        now = self._clock.now()
        due_at = await self._store.next_due(target)
        if due_at is None or due_at > now:
            return False
        until = now + timedelta(seconds=seconds) + _CLAIM_MARGIN
        claimed = await self._store.claim(target, now, until)
        if claimed is None:
            return False
        delivery, record = claimed
        notice = compose(record, delivery.kind, self._sender)
        error = await self._messenger.send(target, notice, seconds)
        pause = (
            self._pauses[delivery.attempt - 1] if delivery.attempt <= len(self._pauses) else None
        )
        at = self._clock.now()
        next_due_at = None if pause is None else at + timedelta(seconds=pause)
        facts = {"target": target, "about": f"{record.kind}:{record.about}", "tone": delivery.kind}
        if error:
            facts |= {"attempt": str(delivery.attempt), "error": error}
            what = "Alert was not delivered; retrying" if next_due_at else "Alert was given up"
            _log.warning(what, extra={"facts": facts})
        else:
            _log.info("Alert was delivered", extra={"facts": facts})
        await shielded(self._store.finish(delivery, at, error, next_due_at))
        return True

    async def _seconds_to_next(self, target: str) -> float:
        due_at = await self._store.next_due(target)
        if due_at is None:
            return _POLL_SECONDS
        return max(0.0, (due_at - self._clock.now()).total_seconds())


async def _waited(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return


def _warn(error: AppError) -> None:
    _log.warning("Alert log could not be read", extra={"facts": {"error": str(error)}})
