"""Which backups are kept: pins, and the deletion of old ones."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.access import Admin, Operator, Parts
from app.api.answers import RunAnswer
from app.api.bodies import PinBody, PruneBody
from app.api.catalogue_answers import PinAnswer, PrunePlan
from app.api.openapi_responses import CHANGES, STARTS_RUN
from app.api.run_responses import Launch
from app.services import retention_documents


router = APIRouter(prefix="/api/admin/backup", tags=["backups"])


@router.post(
    "/prune",
    status_code=202,
    response_model=RunAnswer,
    responses={
        **STARTS_RUN,
        200: {
            "model": RunAnswer | PrunePlan,
            "description": "What would go; or waited for and done.",
        },
    },
)
async def prune_backups(
    identity: Admin, parts: Parts, launch: Launch, body: PruneBody | None = None
) -> RunAnswer | JSONResponse:
    """
    Delete the backups that no rule keeps; as a dry run, say which would go, and why.

    The last good backup of what it holds never goes, nor one that is pinned or in use.
    """
    body = body or PruneBody()
    if body.dry_run:
        plan = await parts.program.retention.plan()
        answer = PrunePlan.model_validate(retention_documents.retention_plan(plan))
        return JSONResponse(answer.model_dump(mode="json"))
    order = parts.program.orders.prune(identity.name, accept_clock=body.accept_clock)
    return await launch(order, identity)


@router.post("/pin/{backup_id}", responses=CHANGES)
async def pin_backup(
    backup_id: str, identity: Operator, parts: Parts, body: PinBody | None = None
) -> PinAnswer:
    """Keep a backup: nobody can delete it until it is unpinned."""
    reason = (body or PinBody()).reason
    notes = await parts.program.pins.pin(backup_id, identity.name, reason)
    return PinAnswer.model_validate(retention_documents.pin_changed(backup_id, notes))


@router.delete("/pin/{backup_id}", responses=CHANGES)
async def unpin_backup(backup_id: str, _: Operator, parts: Parts) -> PinAnswer:
    """Let a backup be deleted again; one that is not pinned is fine."""
    notes = await parts.program.pins.unpin(backup_id)
    return PinAnswer.model_validate(retention_documents.pin_changed(backup_id, notes))
