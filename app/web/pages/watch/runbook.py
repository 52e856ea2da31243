"""The runbook: what to do about an error, by its code."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.errors import NotFoundError
from app.web.access import Viewer
from app.web.rendering import render
from app.web.runbook import read_runbook, section_of


router = APIRouter(prefix="/runbook")


@router.get("", name="web:get_runbook")
async def list_codes(request: Request, service: CurrentService, login: Viewer) -> Response:  # noqa: ARG001 - who is logged in
    """List the codes of errors, so that one is found by its name."""
    return render(request, "runbook.html", codes=sorted(read_runbook()))


@router.get("/{code}", name="web:get_runbook.section")
async def show_section(
    request: Request,
    service: CurrentService,  # noqa: ARG001 - as `login`
    login: Viewer,  # noqa: ARG001 - who is logged in
    code: str,
) -> Response:
    """Show what to do about one."""
    if code not in read_runbook():
        raise NotFoundError(f"the runbook says nothing of {code!r}", hint="It is headed by codes.")
    return render(request, "runbook_section.html", code=code, text=section_of(code))
