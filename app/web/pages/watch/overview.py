"""The first page: how the backups are doing."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.web.access import Viewer
from app.web.drawings import charts
from app.web.rendering import render


router = APIRouter()


@router.get("/", name="web:get_status")
async def show_overview(request: Request, service: CurrentService, login: Viewer) -> Response:  # noqa: ARG001 - who is logged in
    """Show a verdict, each database, what runs, what is due, and what is wrong."""
    return render(
        request,
        "overview.html",
        overview=await service.overview.read(),
        charts=charts,
        zone=service.program.settings.timezone,
    )
