"""Schedules, and the state of everything."""

from contextlib import suppress

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.access import Operator, Parts, Viewer
from app.api.answers import (
    NotDue,
    RunAnswer,
    ScheduleAnswer,
    ScheduleDeleted,
    ScheduleFacts,
    ScheduleList,
)
from app.api.bodies import RunScheduledBody, ScheduleBody
from app.api.catalogue_answers import StatusAnswer
from app.api.openapi_responses import CHANGES, READS, STARTS_RUN
from app.api.run_responses import Launch, run_answer
from app.domain.backups.retention import RetentionPolicy
from app.domain.schedule import Schedule, ScheduleOptions
from app.errors import NotDueError
from app.services import documents
from app.services.retention_documents import pin_of
from app.services.schedules import ScheduleChange


router = APIRouter(prefix="/api/admin/backup", tags=["schedules"])


@router.get("/schedule", responses=READS)
async def get_schedule(_: Viewer, parts: Parts) -> ScheduleList:
    """Show the schedules: what is backed up by itself, how often, and when it is next due."""
    schedules = await parts.program.schedules.list()
    return ScheduleList(success=True, schedules=tuple(_facts(schedule) for schedule in schedules))


@router.post("/schedule", responses=CHANGES)
async def set_schedule(_: Operator, parts: Parts, body: ScheduleBody) -> ScheduleAnswer:
    """Make a schedule, or change the one of that name."""
    wish = ScheduleChange(
        name=body.name,
        frequency=body.frequency,
        cron=body.cron,
        timezone=body.timezone,
        enabled=body.enabled,
        external=body.external,
        options=ScheduleOptions(**body.options.model_dump()),
        retention=RetentionPolicy(**body.retention.model_dump()) if body.retention else None,
    )
    schedule = await parts.program.schedules.set(wish)
    return ScheduleAnswer(success=True, schedule=_facts(schedule))


@router.delete("/schedule/{name}", responses=CHANGES)
async def delete_schedule(_: Operator, parts: Parts, name: str) -> ScheduleDeleted:
    """Forget a schedule; its backups stay, and are kept like those of no schedule."""
    await parts.program.schedules.delete(name)
    return ScheduleDeleted(success=True, name=name)


@router.post(
    "/run-scheduled",
    status_code=202,
    response_model=RunAnswer,
    responses={
        **STARTS_RUN,
        200: {"model": RunAnswer | NotDue, "description": "Not due; or waited for and done."},
    },
)
async def run_scheduled(
    identity: Operator,
    parts: Parts,
    launch: Launch,
    body: RunScheduledBody | None = None,
) -> RunAnswer | JSONResponse:
    """
    Run a scheduled backup if it is due; 200 and `due: false` if it has time.

    It is due when a due time has passed since the last one that succeeded, or when there is none.
    """
    body = body or RunScheduledBody()
    due = await parts.program.schedules.due(body.frequency, name=body.name, force=body.force)
    if due.order is not None:
        with suppress(NotDueError):  # somebody was faster
            return await launch(due.order, identity)
    return JSONResponse(
        NotDue(success=True, due=False, next_due_at=due.next_due).model_dump(mode="json")
    )


@router.get("/status", responses=READS)
async def get_status(_: Viewer, parts: Parts) -> StatusAnswer:
    """Show how the backups are doing: the newest, space, what runs, what is due, what failed."""
    found = await parts.status.look()
    last = found.last_backup
    pins = await parts.program.pins.look([last.backup_id] if last else [])
    return StatusAnswer.model_validate({
        "success": True,
        "last_backup": {
            **documents.backup_line(last, found.last_proven_at),
            "pin": pin_of(last.backup_id, pins),
        }
        if last
        else None,
        "backups_count": found.backups_count,
        "size": found.size_bytes,
        "raw_size": found.raw_size_bytes,
        "disk_free": found.disk_free_bytes,
        "disk_total": found.disk_total_bytes,
        "running": [run_answer(one) for one in found.running],
        "next_due_at": found.next_due,
        "last_failures": [run_answer(failure) for failure in found.failures],
        "damaged": found.damaged,
        "checks_failing": found.checks_failing,
        "last_proven_at": found.proven_at,
    })


def _facts(schedule: Schedule) -> ScheduleFacts:
    return ScheduleFacts.model_validate(documents.schedule(schedule))
