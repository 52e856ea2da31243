"""Which backups are kept: pins, and the deletion of old ones."""

import asyncio
from dataclasses import replace
from functools import partial

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.access import Caller, CurrentService, Noted
from app.api.bodies import PinBody, PruneBody
from app.api.openapi_responses import CHANGES, STARTS_RUN
from app.api.run_responses import Launch
from app.bootstrap.service import Service
from app.documents.retention import PinChanged, PrunePlan
from app.documents.runs import RunFacts
from app.domain.schedule import Schedule


router = APIRouter(prefix="/api/admin/backup", tags=["backups"])


@router.post(
    "/prune",
    status_code=202,
    response_model=RunFacts,
    responses={
        **STARTS_RUN,
        200: {
            "model": RunFacts | PrunePlan,
            "description": "What would go; or waited for and done.",
        },
    },
)
async def prune_backups(
    identity: Caller, service: CurrentService, launch: Launch, body: PruneBody | None = None
) -> RunFacts | JSONResponse:
    """
    Delete the backups that no rule keeps; as a dry run, say which would go, and why.

    The last good backup of what it holds never goes, nor one that is pinned or in use. In a store its own
    rules count; a prune that is no dry run lets them delete by themselves from then on.
    """
    body = body or PruneBody()
    body.require_tried()
    program = service.program
    if body.dry_run:
        retention = await asyncio.to_thread(program.retention_of, body.store)
        plan = PrunePlan.of(await retention.plan(await _wanted(service, body)))
        return JSONResponse(plan.model_dump(mode="json"))
    prune, by = program.jobs.prune, identity.name
    make = partial(prune, by, accept_clock=body.accept_clock, store=body.store)
    return await launch(make, identity)


async def _wanted(service: Service, body: PruneBody) -> Schedule | None:
    """Return a schedule with rules that are only tried; None = all are as they are."""
    if body.schedule is None:
        return None
    known = await service.program.schedules.get(body.schedule)
    return replace(known, retention=body.retention.as_policy() if body.retention else None)


@router.post("/pin/{backup_id}", responses=CHANGES)
async def pin_backup(
    backup_id: str,
    identity: Caller,
    service: CurrentService,
    noted: Noted,
    body: PinBody | None = None,
) -> PinChanged:
    """Keep a backup: nobody can delete it until it is unpinned."""
    reason = (body or PinBody()).reason
    notes = await service.program.pins.pin(backup_id, identity.name, reason, noted)
    return PinChanged.of(backup_id, notes)


@router.delete("/pin/{backup_id}", responses=CHANGES)
async def unpin_backup(backup_id: str, service: CurrentService, noted: Noted) -> PinChanged:
    """Let a backup be deleted again; one that is not pinned is fine."""
    notes = await service.program.pins.unpin(backup_id, noted)
    return PinChanged.of(backup_id, notes)
