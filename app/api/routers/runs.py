"""The history of runs, those at work, and their events."""

import logging
from collections.abc import AsyncIterable
from time import monotonic
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.access import Caller, CurrentService
from app.api.bodies import RunQuery
from app.api.openapi_responses import CHANGES, READS, READS_ONE
from app.documents.runs import RunFacts, RunList
from app.domain.rights import require_run
from app.domain.runs.run import Run, RunFilter
from app.domain.stores import Page
from app.errors import AppError, NotAuthenticatedError


router = APIRouter(prefix="/api/admin/runs", tags=["runs"])

_log: Final = logging.getLogger(__name__)
# Events come at least once a second.
_LOGIN_CHECK_SECONDS: Final = 1.0


async def _existing(run_id: str, service: CurrentService) -> Run:
    """Look a run up before its events begin, when an error can still be told."""
    return await service.program.runs.get(run_id)


@router.get("", responses=READS)
async def list_runs(service: CurrentService, query: Annotated[RunQuery, Query()]) -> RunList:
    """List runs of the service and of the command line, newest first unless sorted otherwise."""
    wanted = RunFilter(
        kinds=query.kind, states=query.state, requested_by=query.asked_by, backup_id=query.backup_id
    )
    page = Page(query.limit, query.offset, query.sort)
    runs, total = await service.program.runs.list(wanted, page)
    return RunList.of(runs, total=total, limit=query.limit, offset=query.offset)


@router.get("/{run_id}", responses=READS_ONE)
async def get_run(run_id: str, service: CurrentService) -> RunFacts:
    """Show a run: its progress while it works, its result or error when it is over."""
    return RunFacts.of(await service.program.runs.get(run_id))


@router.get("/{run_id}/events", response_class=EventSourceResponse, responses=READS_ONE)
async def watch_run(
    service: CurrentService,
    request: Request,
    identity: Caller,
    run: Annotated[Run, Depends(_existing)],
    last_event_id: Annotated[
        str | None, Header(description="Where to go on.", max_length=40)
    ] = None,
) -> AsyncIterable[ServerSentEvent]:
    """
    Follow a run as server-sent events, at least one a second, until it is over.

    Each event holds the whole run, so one that was missed is no loss; its `id` is the revision, and
    `Last-Event-ID` goes on after it. The name of an event is the run's state. What has begun goes on
    after its token is over, and ends within two seconds when the login does.
    """
    checked = monotonic()
    known = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
    try:
        async for run_now in service.program.runs.watch(run.run_id, known):
            yield ServerSentEvent(
                data=RunFacts.of(run_now), event=run_now.state.value, id=str(run_now.revision)
            )
            if request.app.state.is_stopping():
                return
            if monotonic() - checked > _LOGIN_CHECK_SECONDS:
                checked = monotonic()
                try:
                    await service.sign_ins.confirm(identity)
                except NotAuthenticatedError:
                    return
    except AppError as exc:
        # Whoever follows asks again: then the history may answer, and else it is told.
        facts = {"run_id": run.run_id, "error": str(exc)}
        _log.warning("Events of a run ended early", extra={"facts": facts})


@router.post("/{run_id}/cancel", status_code=202, responses=CHANGES)
async def cancel_run(
    run_id: str, identity: Caller, service: CurrentService, request: Request
) -> RunFacts:
    """
    Ask a run to stop, in whichever process it is; it cleans up after itself.

    Restores, undos and deletions are stopped by admins only.
    """
    runs = service.program.runs
    require_run(identity.role, (await runs.get(run_id)).kind)
    run = await runs.cancel(run_id)
    request.state.run_id = run.run_id
    return RunFacts.of(run)
