"""Points in time: what can be reached, what happened when, and the way to a backup of any moment."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.restores.log_archive import LoggedTransaction, TransactionQuery
from app.domain.restores.points import Point, parse_point
from app.domain.restores.reach import Reach, gaps_of
from app.domain.runs.run import Run, RunFilter, RunKind
from app.domain.stores import Page
from app.errors import AppError, RunNotFoundError
from app.web.access import SentForm, Viewer
from app.web.drawings import window_bar
from app.web.forms.recovery import (
    WITHIN,
    NearQuery,
    before,
    body_of,
    command_of,
    fields_of,
    request_again,
    request_of,
    text_of,
)
from app.web.launching import launch
from app.web.rendering import path_for, render, view_of


router = APIRouter(prefix="/point-in-time")

_RUNS_SHOWN = 10
# Times of the log are of milliseconds.
_TICK = timedelta(milliseconds=1)
_KINDS = (RunKind.RECOVERY, RunKind.RECOVERY_DRILL)


@router.get("", name="web:get_binlog_status")
async def show_window(request: Request, service: CurrentService) -> Response:
    """Show which moments can be reached, and what the archiver does."""
    reach, (runs, _) = await asyncio.gather(
        service.reach.read(),
        service.program.runs.list(RunFilter(kinds=_KINDS), Page(limit=_RUNS_SHOWN)),
    )
    now = view_of(request).now
    return render(
        request,
        "points.html",
        reach=reach,
        overview=reach.overview,
        gaps=gaps_of(reach),
        bar=window_bar.window_bar(reach, now),
        begin=window_bar.begin_of(reach, now),
        legend=window_bar.LEGEND,
        sign=window_bar.sign,
        runs=runs,
    )


@router.get("/recover", name="web:list_binlog_transactions")
async def choose_point(
    request: Request, service: CurrentService, query: Annotated[NearQuery, Query()]
) -> Response:
    """Show what happened around a moment, each with the point just before it."""
    reach = await service.reach.read()
    # The newest transactions are behind nothing that is archived.
    moment = query.moment(reach.until or view_of(request).now)
    found = await service.binlog.transactions_around(query.wanted, moment, query.span)
    return render(
        request,
        "recover.html",
        reach=reach,
        query=query,
        moment=moment,
        within=WITHIN,
        found=found,
        before=before,
        tick=_TICK,
        this_moment=text_of(_point_at(moment, reach)),
        is_reachable=any(span.begin <= moment <= span.end for span in reach.spans),
        names=await _databases(service, reach),
    )


@router.post("/rehearse", name="web:start_recovery.rehearse")
async def dry_run(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Find out where a recovery would begin and end."""
    wanted = request_of(form, service.program.settings.threads)
    answer = await launch(
        request, partial(service.program.recovery_jobs.dry_run, wanted), login, form
    )
    run_id = request.state.run_id
    answer.headers["Location"] = path_for(request, "start_recovery.result", run_id=run_id)
    return answer


@router.get("/dry-run/{run_id}", name="web:start_recovery.result")
async def show_dry_run(request: Request, service: CurrentService, run_id: str) -> Response:
    """Show where a recovery would begin and end, as soon as it is known."""
    run = await service.program.runs.get(run_id)
    if not _is_dry_run(run):
        raise RunNotFoundError(f"{run_id!r} is no dry run of a recovery")
    wanted = request_again(run, service.program.settings.threads)
    return render(
        request,
        "recover_dry_run.html",
        run=run,
        near=await _neighbours(service, run),
        steps=(),
        may_repeat=False,
        chosen_again=False,
        undoable=None,
        point=wanted.point,
        databases=wanted.databases,
        fields=tuple(fields_of(wanted)),
        command_line=command_of(wanted),
        body=body_of(wanted),
    )


@router.post("/recover", name="web:start_recovery")
async def recover(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Make a backup of a point in time; the server itself is not asked and not touched."""
    wanted = request_of(form, service.program.settings.threads)
    return await launch(
        request, partial(service.program.recovery_jobs.recovery, wanted), login, form
    )


@router.post("/drill", name="web:start_recovery.drill")
async def drill(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Prove that the newest backup is what an older one and the log between them give."""
    make = partial(service.program.recovery_jobs.drill, "", service.program.settings.threads)
    return await launch(request, make, login, form)


def _is_dry_run(run: Run) -> bool:
    return run.kind is RunKind.RECOVERY and bool((run.request or {}).get("dry_run"))


def _point_at(moment: datetime, reach: Reach) -> Point:
    """Return the point of a moment; after the last transaction it is the end of the log, whatever a clock says."""
    newest = reach.newest_stream  # one without a base is not what a recovery reads
    if newest and newest.last and newest.committed_at and moment >= newest.committed_at:
        return parse_point(None, "", "", f"{newest.last.file}:{newest.last.position}")
    return parse_point(moment, "", "", "")


async def _neighbours(service: Service, run: Run) -> tuple[LoggedTransaction, ...]:
    """Find what the transactions on both sides of the point did; a run has only their places."""
    result = run.result or {}
    found: list[LoggedTransaction] = []
    for side in ("last", "following"):
        if isinstance(known := result.get(side), dict):
            at = datetime.fromisoformat(str(known["committed_at"]))
            query = TransactionQuery(since=at, until=at)
            try:
                found += (await service.binlog.transactions(query)).transactions
            except AppError:
                continue  # pruned or damaged since; the places are told all the same
    return tuple(found)


async def _databases(service: Service, reach: Reach) -> tuple[str, ...]:
    """Return the databases of the newest backup that a recovery can begin with."""
    if not reach.bases:
        return ()
    try:
        manifest = await service.program.backups.info(reach.bases[-1].backup_id)
    except AppError:
        return ()  # it was deleted a moment ago
    return tuple(database.name for database in manifest.databases)
