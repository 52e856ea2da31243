"""Restores: looked at, tried, done and taken back."""

from functools import partial

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.access import Caller, CurrentService
from app.api.bodies import RestoreBody, TestRestoreBody
from app.api.openapi_responses import LOOKS, STARTS_RUN
from app.api.run_responses import Launch
from app.documents.restores import RecoveryOptions
from app.documents.runs import RunFacts
from app.domain.restores.restore import RestoreRequest


router = APIRouter(prefix="/api/admin/backup", tags=["restores"])


@router.get("/recovery-options/{backup_id}", responses=LOOKS)
async def get_recovery_options(backup_id: str, service: CurrentService) -> RecoveryOptions:
    """Show what a backup can do here: tables, time, space, proofs, what is in the way."""
    return RecoveryOptions.of(await service.program.recoveries.options(backup_id))


@router.post("/restore/{backup_id}", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def restore_backup(
    backup_id: str,
    identity: Caller,
    service: CurrentService,
    launch: Launch,
    body: RestoreBody | None = None,
) -> RunFacts | JSONResponse:
    """
    Restore a backup beside the live data, prove it, and swap it in by one statement.

    Until then the live database is not touched, and what it replaced is kept for `undo`. One restore
    of a database runs at a time; the run that is in the way is named.
    """
    request = _request(backup_id, body or RestoreBody(), service)
    return await launch(partial(service.program.jobs.restore, request), identity)


@router.post(
    "/test-restore/{backup_id}",
    name="rehearse_restore",
    status_code=202,
    response_model=RunFacts,
    responses=STARTS_RUN,
)
async def try_restore(
    backup_id: str,
    identity: Caller,
    service: CurrentService,
    launch: Launch,
    body: TestRestoreBody | None = None,
) -> RunFacts | JSONResponse:
    """
    Find out what a restore would do, without changing anything.

    With `drill` everything is restored into scratch schemas, proven and dropped again.
    """
    body = body or TestRestoreBody()
    request = _request(backup_id, body, service)
    if body.drill:
        return await launch(partial(service.program.jobs.drill, request), identity)
    return await launch(partial(service.program.jobs.dry_run, request), identity)


@router.post("/undo/{restore_id}", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def undo_restore(
    restore_id: str, identity: Caller, service: CurrentService, launch: Launch
) -> RunFacts | JSONResponse:
    """
    Take a restore back: the old tables return by one statement.

    `restore_id` is that of the restore, or the backup's id for its newest restore. What the restore
    brought is kept, so an undo can itself be undone.
    """
    return await launch(partial(service.program.jobs.undo, restore_id), identity)


def _request(backup_id: str, body: RestoreBody, service: CurrentService) -> RestoreRequest:
    return RestoreRequest(
        backup_id=backup_id,
        into=body.into or "",
        databases=body.databases,
        tables=body.tables,
        schema_only=body.schema_only,
        data_only=body.data_only,
        accounts=body.accounts,
        verify_before=body.verify_before,
        verify_after=body.verify_after,
        create_backup=body.create_backup,
        skip_binlog=body.skip_binlog,
        threads=service.program.settings.threads,
    )
