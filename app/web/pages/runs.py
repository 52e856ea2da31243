"""Runs: the history, one of them live, and how it is stopped."""

import asyncio
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.rights import may_stop, require_run
from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.errors import NotAuthenticatedError
from app.services.access.browser_logins import BrowserLogin
from app.web.access import Viewer
from app.web.paging import Part, page_of
from app.web.phases import steps_of
from app.web.rendering import fragment, path_for, render


router = APIRouter()

_RESTORES: Final = (RunKind.RESTORE, RunKind.UNDO, RunKind.DRILL, RunKind.DRY_RUN)
# A login that has ended ends its streams within two seconds.
_LOGIN_CHECK_SECONDS: Final = 1.0
_PAGE = Annotated[int, Query(ge=1, le=1_000_000)]
_TEXT = Annotated[str, Query(max_length=100)]


@router.get("/runs", name="web:list_runs")
async def list_runs(
    request: Request,
    service: CurrentService,
    kind: _TEXT = "",
    state: _TEXT = "",
    asked_by: _TEXT = "",
    page: _PAGE = 1,
) -> Response:
    """List what was done, newest first."""
    kinds = tuple(known for known in RunKind if known.value == kind)
    query = {"kind": kind, "state": state, "asked_by": asked_by}
    return await _list(request, service, "runs.html", kinds, query, page)


@router.get("/restores", name="web:list_runs.restores")
async def list_restores(
    request: Request, service: CurrentService, state: _TEXT = "", page: _PAGE = 1
) -> Response:
    """List restores, undos, drills and dry runs, and what can be undone."""
    undoable = await service.program.recoveries.undoable()
    return await _list(
        request, service, "restores.html", _RESTORES, {"state": state}, page, undoable=undoable
    )


async def _list(
    request: Request,
    service: Service,
    template: str,
    kinds: tuple[RunKind, ...],
    query: dict[str, str],
    page: int,
    **known: object,
) -> Response:
    states = tuple(known for known in RunState if known.value == query["state"])
    wanted = RunFilter(kinds=kinds, states=states, requested_by=query.get("asked_by", ""))
    runs, total = await service.program.runs.list(wanted, page_of(page))
    return render(
        request,
        template,
        runs=runs,
        part=Part(page, total, query),
        query=query,
        kinds=list(RunKind),
        states=list(RunState),
        **known,
    )


@router.get("/runs/{run_id}", name="web:get_run")
async def show_run(
    request: Request, service: CurrentService, login: Viewer, run_id: str
) -> Response:
    """Show a run: its progress while it works, its result or error when it is over."""
    run = await service.program.runs.get(run_id)
    return render(request, "run.html", **await _known(service, login, run))


@router.get("/runs/{run_id}/stream", name="web:watch_run")
async def watch_run(
    request: Request, service: CurrentService, login: Viewer, run_id: str
) -> Response:
    """Send the live part of a run's page after each change, until it is over."""
    run = await service.program.runs.get(run_id)
    return StreamingResponse(_events(request, service, login, run), media_type="text/event-stream")


@router.post("/runs/{run_id}/cancel", name="web:cancel_run")
async def cancel_run(
    request: Request, service: CurrentService, login: Viewer, run_id: str
) -> Response:
    """Ask a run to stop; it cleans up after itself."""
    run = await service.program.runs.get(run_id)
    request.state.run_id = run.run_id
    require_run(login.identity.role, run.kind)
    await service.program.runs.cancel(run_id)
    return RedirectResponse(path_for(request, "get_run", run_id=run_id), HTTPStatus.SEE_OTHER)


async def _events(
    request: Request, service: Service, login: BrowserLogin, run: Run
) -> AsyncIterator[str]:
    """Yield the live part as unnamed events, and at last `done`, which ends the stream."""
    news: asyncio.Queue[Run | None] = asyncio.Queue(maxsize=1)

    async def follow() -> None:
        async for found in service.program.runs.watch(run.run_id):
            await news.put(found)
        await news.put(None)

    following = asyncio.create_task(follow())
    checked = time.monotonic()
    try:
        while not request.app.state.is_stopping():
            if time.monotonic() - checked > _LOGIN_CHECK_SECONDS:
                if not await _is_good(service, login):
                    break
                checked = time.monotonic()
            try:
                async with asyncio.timeout(_LOGIN_CHECK_SECONDS):
                    found = await news.get()
            except TimeoutError:
                continue
            if found is None:
                break
            known = await _known(service, login, found)
            yield _event(fragment(request, "parts/run_live.html", **known))
        yield "event: done\ndata:\n\n"
    finally:
        following.cancel()
        await asyncio.wait([following])


async def _is_good(service: Service, login: BrowserLogin) -> bool:
    try:
        await service.browser_logins.identify(login.cookie)
    except NotAuthenticatedError:
        return False
    return True


def _event(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


async def _known(service: Service, login: BrowserLogin, run: Run) -> dict[str, object]:
    """Return what the page of a run shows."""
    can_undo = None
    if run.kind in {RunKind.RESTORE, RunKind.UNDO} and run.state is RunState.SUCCEEDED:
        known = await service.program.recoveries.undoable()
        can_undo = next(
            (journal for journal in known if journal.restore_id == run.restore_id), None
        )
    return {
        "run": run,
        "steps": steps_of(run),
        "may_stop": may_stop(login.identity.role, run.kind),
        "undoable": can_undo,
    }
