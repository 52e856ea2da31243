"""Alerts and the log of their delivery, in the control database."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.control.database import ControlDatabase, pause
from app.control.failures import readable, unreadable
from app.control.pages import fetch_page
from app.control.tables import alerts, deliveries
from app.control.texts import OwnKeys, fitting
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import AlertId, AlertRecord, Delivery, NoticeKind
from app.domain.stores import AlertFilter, Page
from app.errors import ControlUnavailableError


Value = object

_ORDERS: Final = {
    "opened_at": (alerts.c.opened_at, alerts.c.alert_id),
    "last_rung_at": (alerts.c.last_rung_at, alerts.c.alert_id),
}

_ID_DIGITS: Final = 16
# Only processes that see a new condition at once compete for it; one of them always gets it.
_ATTEMPTS: Final = 10
# No pause is as long, and no claim: what lies beyond was planned by a clock that was set back since.
_FARTHEST: Final = timedelta(days=1)
WITHDRAWN: Final = "withdrawn"
GIVEN_UP: Final = "given-up"
# Others are of another version, which sends them.
_IS_KNOWN: Final = deliveries.c.alert_id.in_(
    select(alerts.c.alert_id).where(alerts.c.kind.in_([kind.value for kind in AlertKind]))
)
_WAITING: Final = (
    select(deliveries.c.due_at, deliveries.c.claimed_until)
    .where(deliveries.c.target == bindparam("target"), deliveries.c.at.is_(None), _IS_KNOWN)
    .order_by(deliveries.c.due_at)
)


class AlertRecords:
    """
    An AlertStore.

    Args:
        owner: Names the installation, where others have their conditions in this database, too; blocks.
    """

    def __init__(self, database: ControlDatabase, owner: Callable[[], str] | None = None) -> None:
        self._database = database
        self._keys = OwnKeys(owner)

    async def raise_alert(
        self, alert: Alert, at: datetime, *, told_before: datetime, targets: Sequence[str]
    ) -> bool:
        """
        Record a condition, and plan messages when it is new or they were planned before an instant.

        Returns:
            Whether messages were planned.

        Raises:
            ControlUnavailableError: As everywhere; or others were faster every time.
        """
        keys = await self._keys.of(alert.key, alerts.c.open_key)

        async def work(connection: AsyncConnection) -> bool:
            alert_id = await _report(connection, alert, keys, at, told_before)
            if alert_id:
                await _plan_alarms(connection, alert_id, at, targets)
            return bool(alert_id)

        for _ in range(_ATTEMPTS):
            try:
                return await self._database.write(work)
            except IntegrityError:  # another process has opened it just now
                await pause()
        raise ControlUnavailableError("too many processes report one condition at once")

    async def resolve(self, key: str, at: datetime, closing: str) -> bool:
        """Close a condition, withdraw what is not sent yet, and return whether it was open."""
        keys = await self._keys.of(key, alerts.c.open_key)
        known = select(alerts.c.alert_id).where(alerts.c.open_key.in_(keys))
        # Most conditions never were: these cost one query, and no turn at writing.
        if not await self._database.rows(known):
            return False

        async def work(connection: AsyncConnection) -> bool:
            # Locked, so that no alarm arrives between the question who has got one and the answer.
            found = (await connection.execute(known.with_for_update())).scalars().all()
            for alert_id in found:
                await _close(connection, alert_id, at, closing)
            return bool(found)

        return await self._database.write(work)

    async def claim(
        self, target: str, at: datetime, until: datetime
    ) -> tuple[Delivery, AlertRecord] | None:
        """
        Take the next message that is due to a target; nobody else gets it before `until`.

        Returns:
            It and what it is about, as it is now; None when there is none.
        """
        mine = deliveries.c.target == target, deliveries.c.due_at <= at, *_is_free(at), _IS_KNOWN
        candidates = (
            select(deliveries.c.number)
            .where(*mine)
            .order_by(deliveries.c.due_at, deliveries.c.number)
            .limit(1)
        )

        async def work(connection: AsyncConnection) -> tuple[Delivery, AlertRecord] | None:
            number = (await connection.execute(candidates)).scalar()
            taken = (
                update(deliveries)
                .where(deliveries.c.number == number, *_is_free(at))
                .values(claimed_until=until)
            )
            if number is None or not (await connection.execute(taken)).rowcount:
                return None
            claimed = select(deliveries).where(deliveries.c.number == number)
            row = (await connection.execute(claimed)).mappings().one()
            about = select(alerts).where(alerts.c.alert_id == row["alert_id"])
            return _delivery(row), _record((await connection.execute(about)).mappings().one())

        return await self._database.write(work)

    async def finish(
        self, delivery: Delivery, at: datetime, error: str, next_due_at: datetime | None
    ) -> None:
        """Record how an attempt ended, and plan what follows from it."""
        own = deliveries.c.number == delivery.number, deliveries.c.at.is_(None)
        values = {
            "at": at,
            "error": fitting(error, deliveries.c.error),
            "claimed_until": None,
        }
        about = select(alerts.c.closed_at).where(alerts.c.alert_id == delivery.alert_id)

        async def work(connection: AsyncConnection) -> None:
            is_over = (await connection.execute(about.with_for_update())).scalar() is not None
            if not (
                await connection.execute(update(deliveries).where(*own).values(values))
            ).rowcount:
                return
            is_alarm = delivery.kind is NoticeKind.ALARM
            target, alert_id = [delivery.target], delivery.alert_id
            if error and next_due_at is not None and not (is_alarm and is_over):
                attempt = delivery.attempt + 1
                await _plan(connection, alert_id, delivery.kind, next_due_at, target, attempt)
            elif not error and is_alarm and is_over:
                await _plan(connection, alert_id, NoticeKind.RECOVERY, at, target)

        await self._database.write(work)

    async def next_due(self, target: str) -> datetime | None:
        """Return when the next message to a target is due, also one that somebody has claimed."""
        rows = await self._database.rows(_WAITING, {"target": target})
        return min(
            (max(row["due_at"], row["claimed_until"] or row["due_at"]) for row in rows),
            default=None,
        )

    async def record(self, alert: Alert, at: datetime, outcomes: Mapping[str, str]) -> None:
        """Record a condition that is over already, and attempts by target with their errors."""

        async def work(connection: AsyncConnection) -> None:
            values = {**_opened_values(alert, at), "open_key": None, "closed_at": at}
            await connection.execute(insert(alerts).values(values))
            rows = [
                _attempt_values(values["alert_id"], NoticeKind.of_told_once(alert.kind), at, target)
                | {"at": at, "error": error}
                for target, error in outcomes.items()
            ]
            if rows:
                await connection.execute(insert(deliveries), rows)

        await self._database.write(work)

    async def list(self, wanted: AlertFilter, page: Page) -> tuple[Sequence[AlertRecord], int]:
        """
        List conditions, sorted by `opened_at` or `last_rung_at`.

        Returns:
            A page, and the count of all.

        Raises:
            InvalidRequestError: Sorted by anything else.
        """
        conditions = _conditions(wanted)
        if wanted.is_own and (owner := await self._keys.owner()):
            begins = (owner, *(kind.value for kind in AlertKind))
            conditions.append(or_(*(alerts.c.open_key.startswith(f"{each}:") for each in begins)))
        rows, total = await fetch_page(
            self._database, alerts, page, conditions=conditions, orders=_ORDERS
        )
        return readable(rows, _record), total

    async def deliveries(self, alert_ids: Sequence[AlertId], most: int) -> Sequence[Delivery]:
        """Return the newest attempts about conditions, at most so many of each, newest first."""
        rank = func.row_number().over(
            partition_by=deliveries.c.alert_id, order_by=deliveries.c.number.desc()
        )
        ranked = (
            select(deliveries, rank.label("place"))
            .where(deliveries.c.alert_id.in_(alert_ids))
            .subquery()
        )
        query = select(ranked).where(ranked.c.place <= most).order_by(ranked.c.number.desc())
        return [_delivery(row) for row in await self._database.rows(query)]

    async def expire(self, at: datetime, *, before: datetime, stale: datetime) -> None:
        """See `AlertStore.expire`."""
        late = at + _FARTHEST
        over = select(alerts.c.alert_id).where(alerts.c.closed_at < before)
        left = exists().where(deliveries.c.alert_id == alerts.c.alert_id)
        statements = (
            update(deliveries)
            .where(deliveries.c.at.is_(None), deliveries.c.due_at > late)
            .values(due_at=at),
            update(deliveries)
            .where(deliveries.c.at.is_(None), deliveries.c.claimed_until > late)
            .values(claimed_until=None),
            update(alerts).where(alerts.c.told_at > late).values(told_at=at),
            update(deliveries)
            .where(deliveries.c.due_at < stale, *_is_free(at))
            .values(at=at, error=GIVEN_UP),
            delete(deliveries).where(deliveries.c.at < before),
            delete(deliveries).where(deliveries.c.alert_id.in_(over), deliveries.c.at.is_not(None)),
            delete(alerts).where(alerts.c.closed_at < before, ~left),
        )
        for statement in statements:
            await self._database.execute(statement)


async def _close(connection: AsyncConnection, alert_id: str, at: datetime, closing: str) -> None:
    closed = {"open_key": None, "closed_at": at, "closing": fitting(closing, alerts.c.closing)}
    await connection.execute(update(alerts).where(alerts.c.alert_id == alert_id).values(closed))
    await connection.execute(
        update(deliveries)
        .where(deliveries.c.alert_id == alert_id, *_is_free(at))
        .values(at=at, error=WITHDRAWN)
    )
    alarmed = await _alarmed_targets(connection, alert_id)
    await _plan(connection, alert_id, NoticeKind.RECOVERY, at, alarmed)


async def _report(
    connection: AsyncConnection,
    alert: Alert,
    keys: Sequence[str],
    at: datetime,
    told_before: datetime,
) -> str | None:
    """Count a condition or open it, and return its id if messages are to be sent."""
    is_it = alerts.c.open_key.in_(keys)
    count = update(alerts).where(is_it)
    count = count.values(count=alerts.c.count + 1, **_report_values(alert, at))
    if not (await connection.execute(count)).rowcount:
        values = {**_opened_values(alert, at), "open_key": keys[0]}
        await connection.execute(insert(alerts).values(values))
        return str(values["alert_id"])
    again = update(alerts).where(is_it, alerts.c.told_at <= told_before).values(told_at=at)
    if not (await connection.execute(again)).rowcount:
        return None
    found = select(alerts.c.alert_id).where(is_it).order_by(alerts.c.open_key != keys[0])
    return str((await connection.execute(found)).scalars().first())


async def _plan_alarms(
    connection: AsyncConnection, alert_id: str, at: datetime, targets: Sequence[str]
) -> None:
    """Plan messages to targets that wait for none: one that waits will say how things are then."""
    query = select(deliveries.c.target).where(
        deliveries.c.alert_id == alert_id, deliveries.c.at.is_(None)
    )
    waiting = set((await connection.execute(query)).scalars())
    await _plan(
        connection,
        alert_id,
        NoticeKind.ALARM,
        at,
        [target for target in targets if target not in waiting],
    )


async def _alarmed_targets(connection: AsyncConnection, alert_id: str) -> Sequence[str]:
    """Return the targets that have taken an alarm."""
    query = select(deliveries.c.target).where(
        deliveries.c.alert_id == alert_id,
        deliveries.c.tone == NoticeKind.ALARM.value,
        deliveries.c.at.is_not(None),
        deliveries.c.error == "",
    )
    return sorted(set((await connection.execute(query)).scalars()))


async def _plan(
    connection: AsyncConnection,
    alert_id: str,
    tone: NoticeKind,
    due_at: datetime,
    targets: Sequence[str],
    attempt: int = 1,
) -> None:
    rows = [_attempt_values(alert_id, tone, due_at, target, attempt) for target in targets]
    if rows:
        await connection.execute(insert(deliveries), rows)


def _attempt_values(
    alert_id: Value, tone: NoticeKind, due_at: datetime, target: str, attempt: int = 1
) -> dict[str, Value]:
    return {
        "alert_id": alert_id,
        "target": target,
        "tone": tone.value,
        "attempt": attempt,
        "due_at": due_at,
        "claimed_until": None,
        "at": None,
        "error": "",
    }


def _is_free(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Say of an attempt that it is to be made, and that nobody is at it."""
    claimed = deliveries.c.claimed_until
    return deliveries.c.at.is_(None), or_(claimed.is_(None), claimed <= at)


def _report_values(alert: Alert, at: datetime) -> dict[str, Value]:
    """Return what each report says anew."""
    return {
        "message": fitting(alert.message, alerts.c.message),
        "hint": fitting(alert.hint, alerts.c.hint),
        "run_id": fitting(alert.run_id, alerts.c.run_id),
        "last_rung_at": at,
    }


def _opened_values(alert: Alert, at: datetime) -> dict[str, Value]:
    return {
        "alert_id": f"alert_{secrets.token_hex(_ID_DIGITS // 2)}",
        "kind": alert.kind.value,
        "about": fitting(alert.about, alerts.c.about),
        "opened_at": at,
        "count": 1,
        "told_at": at,
        "closing": "",
        **_report_values(alert, at),
    }


def _conditions(wanted: AlertFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.is_open is not None:
        closed = alerts.c.closed_at
        conditions.append(closed.is_(None) if wanted.is_open else closed.is_not(None))
    if wanted.kinds:
        conditions.append(alerts.c.kind.in_([kind.value for kind in wanted.kinds]))
    return conditions


def _record(row: RowMapping) -> AlertRecord:
    values = {field.name: row[field.name] for field in fields(AlertRecord)}
    return AlertRecord(**{**values, "kind": _kind(row["kind"])})


def _delivery(row: RowMapping) -> Delivery:
    values = {field.name: row[field.name] for field in fields(Delivery) if field.name != "kind"}
    return Delivery(**{**values, "kind": NoticeKind(row["tone"])})


def _kind(text: str) -> AlertKind:
    try:
        return AlertKind(text)
    except ValueError as exc:
        raise unreadable(f"an alert of the kind {text[:32]!r}") from exc
