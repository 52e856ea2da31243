"""Runs and their history, in the control database."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    RowMapping,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.control.database import ControlDatabase
from app.control.durations import seconds_between
from app.control.failures import readable, unreadable
from app.control.pages import fetch_page
from app.control.tables import runs
from app.domain.document import JsonObject, adapter_of
from app.domain.runs.progress import ProgressReport
from app.domain.runs.run import (
    Failure,
    IdempotencyKey,
    Origin,
    Run,
    RunFilter,
    RunId,
    RunKind,
    RunState,
    RunTally,
)
from app.domain.stores import Page
from app.errors import ConflictError, KeyReusedError, RunNotFoundError


_UNFINISHED: Final = tuple(state.value for state in RunState if not state.is_over)
_OVER: Final = tuple(state.value for state in RunState if state.is_over)
_ORDERS: Final = {
    "created_at": (runs.c.created_at, runs.c.run_id),
    "finished_at": (runs.c.finished_at, runs.c.run_id),
    "kind": (runs.c.kind, runs.c.created_at, runs.c.run_id),
}
_BY_ID: Final = select(runs).where(runs.c.run_id == bindparam("run_id"))
_OPEN: Final = (
    select(runs).where(runs.c.state.in_(_UNFINISHED)).order_by(runs.c.created_at, runs.c.run_id)
)
_FAILED: Final = (
    select(runs)
    .where(runs.c.state == RunState.FAILED.value)
    .order_by(runs.c.finished_at.desc(), runs.c.run_id.desc())
    .limit(bindparam("count", type_=Integer))
)
_TALLY: Final = select(
    runs.c.kind,
    runs.c.origin,
    runs.c.state,
    func.count().label("count"),
    func.sum(seconds_between(runs.c.started_at, runs.c.finished_at)).label("seconds"),
    func.max(runs.c.finished_at).label("last_at"),
).group_by(runs.c.kind, runs.c.origin, runs.c.state)

Value = object


class RunRecords:
    """A RunStore."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    async def add(self, run: Run, key: IdempotencyKey | None = None) -> Run | None:
        """
        Record a new run.

        Returns:
            None; or, when this requester has used the key before, the run of that time, and nothing was
            added.

        Raises:
            ConflictError: Another run has this id.
            KeyReusedError: The key was used for another request.
        """
        values = {
            **_constant(run),
            **_changing(run),
            "cancel_requested": run.cancel_requested,
            "idempotency_key": key.key if key else None,
            "fingerprint": key.fingerprint if key else None,
        }
        try:
            await self._database.execute(insert(runs).values(values))
        except IntegrityError as exc:
            earlier = await self.find_by_key(run.requested_by, key) if key else None
            if earlier is None:
                raise ConflictError(f"a run {run.run_id!r} exists") from exc
            return earlier
        return None

    async def find_by_key(self, requested_by: str, key: IdempotencyKey) -> Run | None:
        """
        Find what a key was used for.

        Returns:
            None when it was not used.

        Raises:
            KeyReusedError: It was used for another request.
        """
        query = select(runs).where(
            runs.c.asked_by == requested_by, runs.c.idempotency_key == key.key
        )
        found = await self._database.rows(query)
        if not found:
            return None
        if found[0]["fingerprint"] != key.fingerprint:
            raise KeyReusedError(
                f"idempotency key {key.key!r} was used for another request",
                hint="Use a new key for every new request.",
            )
        return _run(found[0])

    async def save(self, run: Run) -> bool:
        """
        Write the state of a run, unless a later revision is there; one that is unknown is fine.

        Returns:
            Whether somebody has requested its cancellation.
        """
        values = _changing(run)
        if run.cancel_requested:  # never taken back: the caller may not know of it yet
            values["cancel_requested"] = True
        change = (
            update(runs)
            .where(runs.c.run_id == run.run_id, runs.c.revision <= run.revision)
            .values(values)
        )
        query = select(runs.c.cancel_requested).where(runs.c.run_id == run.run_id)

        async def work(connection: AsyncConnection) -> bool:
            await connection.execute(change)
            return bool((await connection.execute(query)).scalar())

        return await self._database.write(work)

    async def get(self, run_id: RunId) -> Run:
        """
        Read one run.

        Returns:
            It, as it was saved last.

        Raises:
            RunNotFoundError: There is none of this id.
        """
        found = await self._database.rows(_BY_ID, {"run_id": run_id})
        if not found:
            raise RunNotFoundError(f"no run {run_id!r}")
        return _run(found[0])

    async def list(self, wanted: RunFilter, page: Page) -> tuple[Sequence[Run], int]:
        """
        List runs, sorted by `created_at`, `finished_at` or `kind`.

        Returns:
            A page, and the count of all; one that another version has written is counted alone.

        Raises:
            InvalidRequestError: Sorted by anything else.
        """
        rows, total = await fetch_page(
            self._database, runs, page, conditions=_conditions(wanted), orders=_ORDERS
        )
        return readable(rows, _run), total

    async def unfinished(self) -> Sequence[Run]:
        """Return what is not over, oldest first."""
        return readable(await self._database.rows(_OPEN), _run)

    async def failures(self, count: int) -> Sequence[Run]:
        """Return what has failed last, newest first."""
        return readable(await self._database.rows(_FAILED, {"count": count}), _run)

    async def outcomes(self, kind: RunKind, since: datetime) -> Sequence[tuple[datetime, RunState]]:
        """Return when each run of a kind began since an instant, and how it ended; those that are over."""
        query = select(runs.c.created_at, runs.c.state).where(
            runs.c.kind == kind.value,
            runs.c.created_at >= since,
            runs.c.state.in_(_OVER),
        )
        rows = await self._database.rows(query)
        return [(row["created_at"], RunState(row["state"])) for row in rows]

    async def tally(self) -> Sequence[RunTally]:
        """Count all runs by kind, origin and state."""
        return readable(await self._database.rows(_TALLY), _tally)

    async def request_cancel(self, run_id: RunId) -> None:
        """Request the cancellation of a run; nothing happens to one that is over or not there."""
        await self._database.execute(
            update(runs)
            .where(runs.c.run_id == run_id, runs.c.state.in_(_UNFINISHED))
            .values(cancel_requested=True)
        )


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.kinds:
        conditions.append(runs.c.kind.in_([kind.value for kind in wanted.kinds]))
    if wanted.states:
        conditions.append(runs.c.state.in_([state.value for state in wanted.states]))
    if wanted.requested_by:
        conditions.append(runs.c.asked_by == wanted.requested_by)
    if wanted.backup_id:
        conditions.append(runs.c.backup_id == wanted.backup_id)
    if wanted.restore_id:
        conditions.append(runs.c.restore_id == wanted.restore_id)
    if wanted.since:
        conditions.append(runs.c.created_at >= wanted.since)
    if wanted.until:
        conditions.append(runs.c.created_at < wanted.until)
    return conditions


def _constant(run: Run) -> Mapping[str, Value]:
    """Return what is known of a run from the beginning."""
    return {
        "run_id": run.run_id,
        "kind": run.kind.value,
        "asked_by": run.requested_by,
        "origin": run.origin.value,
        "owner": run.owner,
        "created_at": run.created_at,
        "request": json.dumps(run.request),
    }


def _changing(run: Run) -> dict[str, Value]:
    """Return what a later revision may have different."""
    return {
        "state": run.state.value,
        "backup_id": run.backup_id,
        "restore_id": run.restore_id,
        "revision": run.revision,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "progress": run.progress and adapter_of(ProgressReport).dump_json(run.progress).decode(),
        "result": None if run.result is None else json.dumps(run.result),
        "error": run.error and adapter_of(Failure).dump_json(run.error).decode(),
    }


def _run(row: RowMapping) -> Run:
    try:
        return Run(
            run_id=RunId(row["run_id"]),
            kind=RunKind(row["kind"]),
            state=RunState(row["state"]),
            requested_by=row["asked_by"],
            origin=Origin(row["origin"]),
            owner=row["owner"],
            created_at=row["created_at"],
            backup_id=row["backup_id"],
            restore_id=row["restore_id"],
            request=_document(row["request"]),
            revision=row["revision"],
            cancel_requested=row["cancel_requested"],
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            progress=row["progress"] and adapter_of(ProgressReport).validate_json(row["progress"]),
            result=None if row["result"] is None else _document(row["result"]),
            error=row["error"] and adapter_of(Failure).validate_json(row["error"]),
        )
    except ValueError as exc:  # also what json and pydantic raise
        raise unreadable(f"run {row['run_id']!r}") from exc


def _tally(row: RowMapping) -> RunTally:
    try:
        return RunTally(
            kind=RunKind(row["kind"]),
            origin=Origin(row["origin"]),
            state=RunState(row["state"]),
            count=row["count"],
            # Clocks are set back now and then; a counter must not be.
            seconds=max(0.0, float(row["seconds"] or 0)),
            last_at=row["last_at"],
        )
    except ValueError as exc:
        raise unreadable(f"the count of {row['kind'][:32]!r}") from exc


def _document(text: str) -> JsonObject:
    document: JsonObject = json.loads(text)
    return document
