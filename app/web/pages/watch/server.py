"""The server: what would make a backup or a restore fail, and the repair of restores that were interrupted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService
from app.api.problems import status_of
from app.bootstrap.service import Service
from app.domain.access.user import Role
from app.domain.monitoring import CheckState, DoctorCheck
from app.domain.restores.repair import RepairResult
from app.domain.runs.failures import without_paths
from app.web.rendering import path_for, render_as, view_of


router = APIRouter(prefix="/server")

_ORDER: Final = (CheckState.FAIL, CheckState.WARN, CheckState.OK)
_RESTORES: Final = "restores"
_COUNT = Annotated[int, Query(ge=0, le=10_000)]


@router.get("", name="web:examine_server")
async def examine(
    request: Request,
    service: CurrentService,
    finished: _COUNT = 0,
    undone: _COUNT = 0,
    running: _COUNT = 0,
    repaired: bool = False,  # noqa: FBT001, FBT002 - a word in the address
) -> Response:
    """Examine the server, the directories and this installation; what is wrong comes first."""
    outcomes = {"finished": finished, "undone": undone, "running": running} if repaired else None
    return await _page(request, service, outcomes, ())


@router.post("/repair", name="web:repair_restores")
async def repair(request: Request, service: CurrentService) -> Response:
    """Finish or undo what was interrupted, as the service tries by itself."""
    repairs = await service.program.recoveries.repair()
    await service.program.settlement.settle()
    failures = [repaired for repaired in repairs if repaired.error is not None]
    if failures:
        return await _page(request, service, None, failures)
    outcomes = Counter(repaired.outcome for repaired in repairs)
    query = urlencode({"repaired": "true", **outcomes})
    path = f"{path_for(request, 'examine_server')}?{query}"
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def _told(checks: Sequence[DoctorCheck], role: Role | None) -> list[DoctorCheck]:
    """Leave the directories of the machine out for who does not govern it."""
    if role is Role.ADMIN:
        return list(checks)
    return [
        replace(check, detail=without_paths(check.detail), remedy=without_paths(check.remedy))
        for check in checks
    ]


async def _page(
    request: Request,
    service: Service,
    outcomes: dict[str, int] | None,
    failures: Sequence[RepairResult],
) -> Response:
    checks = _told(await service.program.doctor.examine(), view_of(request).role)
    errors = [failure.error for failure in failures if failure.error is not None]
    if errors:
        request.state.code = errors[0].code
    return render_as(
        status_of(type(errors[0])) if errors else HTTPStatus.OK,
        request,
        "server.html",
        title=service.program.server.title,
        address=service.server_address,
        checks=sorted(checks, key=lambda check: _ORDER.index(check.state)),
        is_interrupted=any(map(_is_interrupted, checks)),
        outcomes=outcomes,
        failures=failures,
    )


def _is_interrupted(check: DoctorCheck) -> bool:
    return check.name == _RESTORES and check.state is not CheckState.OK
