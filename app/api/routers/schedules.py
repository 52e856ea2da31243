"""Schedules, and the state of everything."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from app.api.access import Caller, CurrentService, Noted
from app.api.bodies import Globs, Names, RunScheduledBody, ScheduleBody
from app.api.openapi_responses import CHANGES, LOOKS, READS, STARTS_RUN
from app.api.run_responses import Launch
from app.documents.monitoring import StatusDocument
from app.documents.runs import RunFacts
from app.documents.schedules import (
    NotDue,
    ScheduleChanged,
    ScheduleDeleted,
    ScheduleList,
    TableSelection,
)
from app.errors import NotDueError


router = APIRouter(prefix="/api/admin/backup", tags=["schedules"])


@router.get("/schedule", responses=READS)
async def get_schedule(service: CurrentService) -> ScheduleList:
    """Show the schedules: what is backed up by itself, how often, and when it is next due."""
    return ScheduleList.of(await service.program.schedules.list())


@router.post("/schedule", responses=CHANGES)
async def set_schedule(
    identity: Caller, service: CurrentService, noted: Noted, body: ScheduleBody
) -> ScheduleChanged:
    """
    Make a schedule, or change the one of that name.

    What is kept, and that it backs up less, only admins may change.
    """
    change = body.as_change()
    return ScheduleChanged.of(await service.program.schedules.set(change, identity.role, noted))


@router.delete("/schedule/{name}", responses=CHANGES)
async def delete_schedule(service: CurrentService, noted: Noted, name: str) -> ScheduleDeleted:
    """Delete a schedule; its backups stay, and are kept like those of no schedule."""
    await service.program.schedules.delete(name, noted)
    return ScheduleDeleted.of(name)


@router.get("/tables", responses=LOOKS)
async def list_tables(
    service: CurrentService,
    *,
    database: Annotated[Names, Query(description="None: as the settings say.")] = (),
    table: Annotated[Globs, Query(description="Globs on `table` or `database.table`.")] = (),
    exclude_table: Annotated[Globs, Query(description="The same, of what is left out.")] = (),
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
) -> TableSelection:
    """
    List the tables of the server, and which of them a backup or a schedule would take now.

    Rows and sizes are the server's guess.
    """
    found = await service.inventory.select(database, table, exclude_table)
    return TableSelection.of(found, limit=limit, offset=offset)


@router.post(
    "/run-scheduled",
    status_code=202,
    response_model=RunFacts,
    responses={
        **STARTS_RUN,
        200: {"model": RunFacts | NotDue, "description": "Not due; or waited for and done."},
    },
)
async def run_scheduled(
    identity: Caller,
    service: CurrentService,
    launch: Launch,
    body: RunScheduledBody | None = None,
) -> RunFacts | JSONResponse:
    """
    Run a scheduled backup if it is due; 200 and `due: false` if it has time.

    It is due when a due time has passed since the last one that succeeded, or when there is none.
    """
    body = body or RunScheduledBody()
    due = await service.program.schedules.due(
        body.frequency, name=body.name, force=body.force, role=identity.role
    )
    with suppress(NotDueError):  # or somebody was faster
        return await launch(due.require_job, identity)
    return JSONResponse(NotDue.of(due.next_due).model_dump(mode="json"))


@router.get("/status", responses=READS)
async def get_status(service: CurrentService) -> StatusDocument:
    """Show how the backups are doing: the newest, space, what runs, what is due, what failed."""
    return StatusDocument.of(await service.status.read())
