"""Alerts: what is wrong now, what was, and whether messages of it arrived."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.alerts.alert import REPORTS, AlertKind
from app.domain.stores import AlertFilter, Page
from app.errors import AppError, InvalidRequestError
from app.web.paging import Part, page_of
from app.web.rendering import path_for, render_as


router = APIRouter(prefix="/alerts")

_NEWEST = "-opened_at"
# More conditions than that do not last at once.
_MOST_OPEN = 500
_PAST = tuple(kind for kind in AlertKind if kind not in {AlertKind.TEST, *REPORTS})


@router.get("", name="web:list_alerts")
async def list_alerts(
    request: Request, service: CurrentService, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1
) -> Response:
    """List what is wrong now, and what was, newest first."""
    return await _page(request, service, page)


@router.post("/test", name="web:send_test_alert")
async def send_test(request: Request, service: CurrentService) -> Response:
    """Send a message to every target and wait for their answers, which the page shows then."""
    try:
        await service.program.alerts.test()
    except InvalidRequestError as exc:  # there is no target
        request.state.code = exc.code
        return await _page(request, service, 1, refusal=exc)
    return RedirectResponse(f"{path_for(request, 'list_alerts')}#test", HTTPStatus.SEE_OTHER)


async def _page(
    request: Request, service: Service, page: int, refusal: InvalidRequestError | None = None
) -> Response:
    alerts = service.program.alerts
    lasting, _ = await alerts.list(AlertFilter(is_open=True), Page(_MOST_OPEN, sort=_NEWEST))
    past, total = await alerts.list(
        AlertFilter(is_open=False, kinds=_PAST), page_of(page, sort=_NEWEST)
    )
    tests, _ = await alerts.list(AlertFilter(kinds=(AlertKind.TEST,)), Page(1, sort=_NEWEST))
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if refusal else HTTPStatus.OK,
        request,
        "alerts.html",
        lasting=lasting,
        past=past,
        part=Part(page, total, {}),
        test=tests[0] if tests else None,
        refusal=refusal,
        schedules=await _schedules(service),
    )


async def _schedules(service: Service) -> set[str]:
    """Name those that alerts may be about, to lead to them; none while they cannot be read, which is no alert's fault."""
    try:
        return {schedule.name for schedule in await service.program.schedules.list()}
    except AppError:
        return set()
