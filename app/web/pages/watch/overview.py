"""The first page: how the backups are doing."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.access import CurrentService
from app.web.access import Viewer
from app.web.drawings import charts
from app.web.paging import Part
from app.web.rendering import render


router = APIRouter()

# A row has 15 elements, and the whole page shall have 1,500 at most.
DATABASES_SHOWN: Final = 30


class OverviewQuery(BaseModel):
    """Which databases are listed; empty = no condition."""

    database: Annotated[str, Field(max_length=200)] = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@router.get("/", name="web:get_status")
async def show_overview(
    request: Request,
    service: CurrentService,
    login: Viewer,  # noqa: ARG001 - who is logged in
    query: Annotated[OverviewQuery, Query()],
) -> Response:
    """Show a verdict, each database, what runs, what is due, and what is wrong."""
    overview = await service.overview.read()
    wanted = query.database.strip().casefold()
    found = [known for known in overview.databases if wanted in known.database.casefold()]
    part = Part(
        query.page, len(found), {"database": query.database}, DATABASES_SHOWN, anchor="databases"
    )
    return render(
        request,
        "overview.html",
        overview=overview,
        databases=found[max(part.first - 1, 0) : part.last],
        part=part,
        is_long=len(overview.databases) > DATABASES_SHOWN,
        query=query,
        charts=charts,
        zone=service.program.settings.timezone,
    )
