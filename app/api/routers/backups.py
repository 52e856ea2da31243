"""Backups: made, listed, shown, proven, downloaded and deleted."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse

from app.api.access import Admin, Operator, Parts, Viewer
from app.api.answers import RunAnswer
from app.api.bodies import BackupQuery, CreateBody, RecoveryPointBody, VerifyBody
from app.api.catalogue_answers import BackupInfo, BackupList
from app.api.downloads import DOWNLOADS, Download
from app.api.openapi_responses import READS, READS_ONE, STARTS_RUN
from app.api.run_responses import Launch
from app.domain.backups.backup import BackupFilter
from app.domain.restores.dry_run import proven_at
from app.domain.stores import Page
from app.services import documents, health_documents
from app.services.backups.check_notes import read_checks
from app.services.jobs import BackupOptions
from app.services.retention_documents import pin_of


router = APIRouter(prefix="/api/admin/backup", tags=["backups"])

# Two files are removed; a medium that takes longer is told by the run.
_DELETION_SECONDS: Final = 60.0


@router.get("/list", responses=READS)
async def list_backups(
    _: Viewer, parts: Parts, query: Annotated[BackupQuery, Query()]
) -> BackupList:
    """List the backups there are, a page at a time, with those that are damaged."""
    wanted = BackupFilter(
        database=query.database,
        text=query.text,
        recovery_point=query.recovery_point,
        created_after=query.created_after,
        created_before=query.created_before,
    )
    page = Page(query.limit, query.offset, query.sort)
    found = await parts.program.backups.list(wanted, page)
    pins = await parts.program.pins.look([entry.backup_id for entry, _ in found.entries])
    return BackupList.model_validate({
        "success": True,
        "backups": [
            {**documents.backup_line(entry, proven), "pin": pin_of(entry.backup_id, pins)}
            for entry, proven in found.entries
        ],
        "total": found.total,
        "limit": query.limit,
        "offset": query.offset,
        **documents.survey_problems(found.survey),
    })


@router.get("/info/{backup_id}", responses=READS_ONE)
async def get_backup(backup_id: str, _: Viewer, parts: Parts) -> BackupInfo:
    """Show what a backup holds and how it was made."""
    manifest = await parts.program.backups.info(backup_id)
    proofs = await asyncio.to_thread(parts.program.catalogue.proofs, backup_id)
    pins = await parts.program.pins.look([backup_id])
    return BackupInfo.model_validate({
        **documents.backup_details(manifest, proven_at(proofs)),
        "pin": pin_of(backup_id, pins),
        "checks": health_documents.checks(await read_checks(parts.program.catalogue, manifest)),
    })


@router.post("/create", status_code=202, response_model=RunAnswer, responses=STARTS_RUN)
async def create_backup(
    identity: Operator, parts: Parts, launch: Launch, body: CreateBody | None = None
) -> RunAnswer | JSONResponse:
    """
    Make a backup: one consistent snapshot, proven before it exists.

    One backup runs at a time; the run that is in the way is named.
    """
    body = body or CreateBody()
    wish = BackupOptions(
        databases=body.databases,
        tables=body.tables,
        exclude_tables=body.exclude_tables,
        include_data=body.include_data,
        description=body.description,
        codec=body.codec,
        compress=body.compress,
        verify=body.verify,
        accounts=body.accounts,
    )
    return await launch(parts.program.orders.backup(wish), identity)


@router.post("/recovery-point", status_code=202, response_model=RunAnswer, responses=STARTS_RUN)
async def create_recovery_point(
    identity: Operator, parts: Parts, launch: Launch, body: RecoveryPointBody | None = None
) -> RunAnswer | JSONResponse:
    """Back up what is there now, before something risky; never counted against other backups."""
    body = body or RecoveryPointBody()
    wish = BackupOptions(
        databases=body.databases, description=body.description, recovery_point=True
    )
    return await launch(parts.program.orders.backup(wish), identity)


@router.post("/verify/{backup_id}", status_code=202, response_model=RunAnswer, responses=STARTS_RUN)
async def verify_backup(
    backup_id: str,
    identity: Operator,
    parts: Parts,
    launch: Launch,
    body: VerifyBody | None = None,
) -> RunAnswer | JSONResponse:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""
    level = (body or VerifyBody()).level
    return await launch(await parts.program.orders.verification(backup_id, level), identity)


@router.delete("/delete/{backup_id}", response_model=RunAnswer, responses=STARTS_RUN)
async def delete_backup(
    backup_id: str, identity: Admin, parts: Parts, launch: Launch
) -> RunAnswer | JSONResponse:
    """Delete a backup; refused while it is restored, verified or downloaded."""
    order = await parts.program.orders.deletion(backup_id)
    return await launch(order, identity, wait_seconds=_DELETION_SECONDS)


@router.get("/download/{backup_id}", response_class=FileResponse, responses=DOWNLOADS)
async def download_backup(backup_id: str, _: Admin, parts: Parts) -> Download:
    """
    Download the data file of a backup, whole or in ranges.

    `ETag` and `Repr-Digest` hold its SHA-256. The backup cannot be deleted meanwhile.
    """
    return Download(await asyncio.to_thread(parts.program.catalogue.open, backup_id))
