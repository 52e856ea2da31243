"""The audit's chain, in the control database."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.control.database import ControlDatabase, pause
from app.control.pages import fetch_page
from app.control.tables import audit, audit_cuts
from app.control.texts import fitting
from app.domain.access.audit import (
    GENESIS,
    AuditCut,
    AuditEntry,
    AuditEvent,
    AuditSeals,
    CutKind,
)
from app.domain.stores import AuditFilter, Page
from app.errors import ControlUnavailableError


_FIELDS: Final = tuple(field.name for field in fields(AuditEvent))
_ORDERS: Final = {"number": (audit.c.number,)}
# Only processes compete for a number, the tasks of each take turns; one of them always gets it.
_ATTEMPTS: Final = 100
# Short enough that whoever appends meanwhile does not wait for long.
_REMOVED_AT_ONCE: Final = 2000


class AuditRecords:
    """An AuditStore."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database
        self._turn = asyncio.Lock()

    async def append(self, event: AuditEvent, seals: AuditSeals) -> AuditEntry:
        """
        Seal an event over the newest entry and add it; safe against other processes.

        Args:
            event: What has happened.
            seals: Seals it.

        Returns:
            The new entry; texts that no column can hold are cut or repaired before they are sealed.

        Raises:
            ControlUnavailableError: As everywhere; or others were faster every time.
        """
        event = _storable(event)
        async with self._turn:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._database.write(partial(_append, event=event, seals=seals))
                except IntegrityError:  # another process has taken the number
                    await pause()
        raise ControlUnavailableError("too many processes write to the audit at once")

    async def list(self, wanted: AuditFilter, page: Page) -> tuple[Sequence[AuditEntry], int]:
        """
        List entries, sorted by `number`.

        Args:
            wanted: `since` is included, `until` is not.
            page: Which part.

        Returns:
            A page, and the count of all.

        Raises:
            InvalidRequestError: Sorted by anything else.
        """
        rows, total = await fetch_page(
            self._database, audit, page, conditions=_conditions(wanted), orders=_ORDERS
        )
        return [_entry(row) for row in rows], total

    async def read(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Return entries with higher numbers, in order."""
        query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_entry(row) for row in rows]

    async def newest_before(self, at: datetime) -> AuditEntry | None:
        """Return the newest entry that is older than an instant; None when there is none."""
        query = select(audit).where(audit.c.at < at).order_by(audit.c.number.desc()).limit(1)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _entry(row) if row else None

    async def find_cut(self) -> AuditCut | None:
        """Return the newest checkpoint; None when there is none."""
        query = select(audit_cuts).order_by(audit_cuts.c.number.desc()).limit(1)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        kind = row["kind"] if row["kind"] in set(CutKind) else CutKind.ACCEPTED
        return AuditCut(
            row["number"], row["digest"], row["at"], CutKind(kind), row["key_id"], row["seal"]
        )

    async def cut(self, cut: AuditCut) -> None:
        """Add a checkpoint in the place of those before it."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(audit_cuts))
            await connection.execute(
                insert(audit_cuts).values({**asdict(cut), "kind": cut.kind.value})
            )

        await self._database.write(work)

    async def remove(self, up_to: int) -> None:
        """Remove the entries up to a number, some at a time."""
        oldest = select(func.min(audit.c.number))
        while True:
            async with self._database.reading() as connection:
                first = (await connection.execute(oldest)).scalar()
            if first is None or first > up_to:
                return
            last = min(up_to, first + _REMOVED_AT_ONCE - 1)
            await self._database.execute(delete(audit).where(audit.c.number <= last))


async def _append(connection: AsyncConnection, event: AuditEvent, seals: AuditSeals) -> AuditEntry:
    """
    Add the next link.

    Returns:
        It, if this transaction can be committed.
    """
    # The newest one is not locked: on a server that would lock the end of the table, and two who have
    # done it wait for each other. The primary key decides who was first.
    newest = select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
    row = (await connection.execute(newest)).mappings().one_or_none()
    if row is None:  # all that there was may have been removed by age
        cut = select(audit_cuts.c.number, audit_cuts.c.digest)
        newest = cut.order_by(audit_cuts.c.number.desc()).limit(1)
        row = (await connection.execute(newest)).mappings().one_or_none()
    number, digest = (row["number"], row["digest"]) if row else (0, GENESIS)
    entry = seals.link(number + 1, event, digest)
    values = {
        **asdict(entry.event),
        "number": entry.number,
        "digest": entry.digest,
        "key_id": entry.key_id,
    }
    await connection.execute(insert(audit).values(values))
    return entry


def _storable(event: AuditEvent) -> AuditEvent:
    """Make an event fit the table: nobody may escape the audit by a name that is too long."""
    return replace(
        event,
        actor=fitting(event.actor, audit.c.actor),
        role=fitting(event.role, audit.c.role),
        address=fitting(event.address, audit.c.address),
        action=fitting(event.action, audit.c.action),
        target=fitting(event.target, audit.c.target),
        result=fitting(event.result, audit.c.result),
        run_id=fitting(event.run_id, audit.c.run_id),
    )


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions = [
        audit.c[name] == value
        for name, value in (
            ("actor", wanted.actor),
            ("action", wanted.action),
            ("result", wanted.result),
        )
        if value
    ]
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    return conditions


def _entry(row: RowMapping) -> AuditEntry:
    values = {name: row[name] for name in _FIELDS}
    # Entries of older versions have none, and a row that somebody has written any.
    event = AuditEvent(**{**values, "changes": row["changes"] or ""})
    return AuditEntry(row["number"], event, row["digest"], row["key_id"])
