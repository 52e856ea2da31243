"""Runs: the history, one of them live, and how it is stopped."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, field_validator

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.rights import Effect, may, require_run
from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.errors import AppError, NotAuthenticatedError
from app.services.access.browser_logins import BrowserLogin
from app.web.access import SentForm, Viewer
from app.web.days import DayText, span_of
from app.web.launching import launch
from app.web.paging import Part, page_of
from app.web.phases import steps_of
from app.web.rendering import fragment, path_for, render
from app.web.streams import DONE, LOGIN_OVER, MEDIA_TYPE, Streams


router = APIRouter()
_log: Final = logging.getLogger(__name__)

# What is done once more as it was, when somebody says so.
_REPEATED: Final = (RunKind.BACKUP, RunKind.RECOVERY_POINT, RunKind.VERIFICATION)
# What is chosen once more, beginning with what was chosen.
_CHOSEN_AGAIN: Final = (RunKind.RESTORE, RunKind.DRILL, RunKind.DRY_RUN)
_RESTORES: Final = (RunKind.RESTORE, RunKind.UNDO, RunKind.DRILL, RunKind.DRY_RUN)
# A login that has ended ends its streams within two seconds.
_LOGIN_CHECK_SECONDS: Final = 1.0
# After a stream that has broken off, or after a look where there was no place for one.
_RETRY_SECONDS: Final = 0.5
POLL_SECONDS: Final = 2.0
_TEXT = Annotated[str, Field(max_length=100)]


class RunsQuery(BaseModel):
    """Which runs are listed; empty = no condition."""

    kind: _TEXT = ""
    state: _TEXT = ""
    asked_by: _TEXT = ""
    day: DayText = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @field_validator("kind")
    @classmethod
    def _require_kind(cls, kind: str) -> str:
        return kind and RunKind(kind).value

    @field_validator("state")
    @classmethod
    def _require_state(cls, state: str) -> str:
        return state and RunState(state).value

    def filter(self, zone: ZoneInfo, kinds: tuple[RunKind, ...]) -> RunFilter:
        """Return what the history is asked for; the day is one of a zone."""
        since, until = span_of(self.day, zone)
        return RunFilter(
            kinds=kinds or tuple(kind for kind in RunKind if kind.value == self.kind),
            states=tuple(state for state in RunState if state.value == self.state),
            requested_by=self.asked_by,
            since=since,
            until=until,
        )


@router.get("/runs", name="web:list_runs")
async def list_runs(
    request: Request, service: CurrentService, query: Annotated[RunsQuery, Query()]
) -> Response:
    """List what was done, newest first."""
    return await _list(request, service, "runs.html", query)


@router.get("/restores", name="web:list_runs.restores")
async def list_restores(
    request: Request, service: CurrentService, query: Annotated[RunsQuery, Query()]
) -> Response:
    """List restores, undos, drills and dry runs, and what can be undone."""
    undoable = await service.program.recoveries.undoable()
    return await _list(request, service, "restores.html", query, _RESTORES, undoable=undoable)


async def _list(
    request: Request,
    service: Service,
    template: str,
    query: RunsQuery,
    kinds: tuple[RunKind, ...] = (),
    **known: object,
) -> Response:
    zone = ZoneInfo(service.program.settings.timezone)
    runs, total = await service.program.runs.list(query.filter(zone, kinds), page_of(query.page))
    asked = query.model_dump(exclude={"page"})
    return render(
        request,
        template,
        runs=runs,
        part=Part(query.page, total, asked),
        query=asked,
        kinds=list(RunKind),
        states=list(RunState),
        zone=zone.key,
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
    return StreamingResponse(_events(request, service, login, run), media_type=MEDIA_TYPE)


@router.post("/runs/{run_id}/cancel", name="web:cancel_run")
async def cancel_run(
    request: Request, service: CurrentService, login: Viewer, run_id: str
) -> Response:
    """Ask a run to stop; it cleans up after itself."""
    run = await service.program.runs.get(run_id)
    require_run(login.identity.role, run.kind)
    await service.program.runs.cancel(run_id)
    request.state.run_id = run.run_id
    return RedirectResponse(path_for(request, "get_run", run_id=run_id), HTTPStatus.SEE_OTHER)


@router.post("/runs/{run_id}/again", name="web:repeat_run")
async def repeat_run(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, run_id: str
) -> Response:
    """Do once more what a backup or a verification was asked for, as a run of its own."""
    run = await service.program.runs.get(run_id)
    jobs = service.program.jobs
    if run.kind is RunKind.VERIFICATION and not run.store:
        return await launch(request, partial(jobs.verification_again, run), login, form)
    return await launch(request, partial(jobs.backup_again, run), login, form)


async def _events(
    request: Request, service: Service, login: BrowserLogin, run: Run
) -> AsyncIterator[str]:
    """Yield the live part as unnamed events, and at last `done`, which ends the stream."""
    streams: Streams = request.app.state.streams
    with streams.place(login.identity.session_id) as has_place:
        if not has_place and not run.state.is_over:
            # It ends here, and the browser asks again in a while.
            known = await _known(service, login, run)
            yield _event(fragment(request, "parts/run_live.html", **known), POLL_SECONDS)
            return
        async for text in _followed(request, service, login, run):
            yield text


async def _followed(
    request: Request, service: Service, login: BrowserLogin, run: Run
) -> AsyncIterator[str]:
    """Yield events until a run is over, or the login of whoever watches."""
    news = service.program.runs.watch(run.run_id)
    coming = asyncio.ensure_future(anext(news, None))
    checked = monotonic()
    try:
        while not request.app.state.is_stopping():
            if monotonic() - checked > _LOGIN_CHECK_SECONDS:
                if not await _is_good(service, login):
                    yield LOGIN_OVER
                    return
                checked = monotonic()
            if not (await asyncio.wait([coming], timeout=_LOGIN_CHECK_SECONDS))[0]:
                yield ":\n\n"  # a browser that is gone is noticed by it, and no proxy takes it for idle
                continue
            if (found := coming.result()) is None:
                yield DONE
                return
            coming = asyncio.ensure_future(anext(news, None))
            known = await _known(service, login, found)
            yield _event(fragment(request, "parts/run_live.html", **known), _RETRY_SECONDS)
    except AppError as exc:
        # The browser asks again: then the history may answer, and else it is told.
        facts = {"run_id": run.run_id, "error": str(exc)}
        _log.warning("Events of a run ended early", extra={"facts": facts})
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        await news.aclose()


async def _is_good(service: Service, login: BrowserLogin) -> bool:
    try:
        await service.browser_logins.identify(login.cookie)
    except NotAuthenticatedError:
        return False
    return True


def _event(text: str, retry_seconds: float) -> str:
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"retry: {round(retry_seconds * 1000)}\n{lines}\n"


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
        # What lies in a store is for commands.
        "may_repeat": run.kind in _REPEATED
        and not run.store
        and may(login.identity.role, Effect.BACK_UP),
        "chosen_again": run.kind in _CHOSEN_AGAIN and not run.store,
        "undoable": can_undo,
    }
