"""Backups: made, listed, shown, proven, downloaded and deleted."""

import asyncio
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse

from app.api.access import Caller, CurrentService
from app.api.bodies import BackupQuery, CopyBody, CreateBody, RecoveryPointBody, VerifyBody
from app.api.downloads import DOWNLOADS, Download, open_download
from app.api.openapi_responses import READS, READS_ONE, STARTS_RUN
from app.api.run_responses import Launch
from app.documents.backups import BackupInfo, BackupList
from app.documents.runs import RunFacts
from app.domain.backups.backup import BackupFilter
from app.domain.restores.proofs import proven_at
from app.domain.stores import Page
from app.services.backups.check_notes import read_checks
from app.services.backups.options import BackupOptions


router = APIRouter(prefix="/api/admin/backup", tags=["backups"])

# Two files are removed; a medium that takes longer is told by the run.
_DELETION_SECONDS: Final = 60.0


@router.get("/list", responses=READS)
async def list_backups(
    service: CurrentService, query: Annotated[BackupQuery, Query()]
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
    found = await service.program.backups.list(wanted, page)
    return BackupList.of(found, limit=query.limit, offset=query.offset)


@router.get("/info/{backup_id}", responses=READS_ONE)
async def get_backup(backup_id: str, service: CurrentService) -> BackupInfo:
    """Show what a backup holds and how it was made."""
    manifest = await service.program.backups.info(backup_id)
    proofs = await asyncio.to_thread(service.program.catalogue.proofs, backup_id)
    pins = await service.program.pins.read([backup_id])
    checks = await read_checks(service.program.catalogue, manifest)
    return BackupInfo.of(manifest, proven_at(proofs), pins, checks)


@router.post("/create", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def create_backup(
    identity: Caller, service: CurrentService, launch: Launch, body: CreateBody | None = None
) -> RunFacts | JSONResponse:
    """
    Make a backup: one consistent snapshot, proven before it exists.

    One backup runs at a time; the run that is in the way is named.
    """
    body = body or CreateBody()
    options = BackupOptions(
        databases=body.databases,
        tables=body.tables,
        exclude_tables=body.exclude_tables,
        include_data=body.include_data,
        description=body.description,
        codec=body.codec,
        level=body.level,
        compress=body.compress,
        verify=body.verify,
        accounts=body.accounts,
    )
    return await launch(partial(service.program.jobs.backup, options), identity)


@router.post("/recovery-point", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def create_recovery_point(
    identity: Caller,
    service: CurrentService,
    launch: Launch,
    body: RecoveryPointBody | None = None,
) -> RunFacts | JSONResponse:
    """Back up what is there now, before something risky; never counted against other backups."""
    body = body or RecoveryPointBody()
    options = BackupOptions(
        databases=body.databases, description=body.description, recovery_point=True
    )
    return await launch(partial(service.program.jobs.backup, options), identity)


@router.post("/verify/{backup_id}", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def verify_backup(
    backup_id: str,
    identity: Caller,
    service: CurrentService,
    launch: Launch,
    body: VerifyBody | None = None,
) -> RunFacts | JSONResponse:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""
    level = (body or VerifyBody()).level
    return await launch(partial(service.program.jobs.verification, backup_id, level), identity)


@router.post("/copy/{backup_id}", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def copy_backup(
    backup_id: str, body: CopyBody, identity: Caller, service: CurrentService, launch: Launch
) -> RunFacts | JSONResponse:
    """Copy a backup to a store, or from one, and read the copy back from where it lies."""
    copy = service.program.jobs.copy
    make = partial(copy, backup_id, body.source, body.to, rewrap=body.rewrap)
    return await launch(make, identity)


@router.delete("/delete/{backup_id}", response_model=RunFacts, responses=STARTS_RUN)
async def delete_backup(
    backup_id: str, identity: Caller, service: CurrentService, launch: Launch
) -> RunFacts | JSONResponse:
    """Delete a backup; refused while it is restored, verified or downloaded."""
    make = partial(service.program.jobs.deletion, backup_id)
    return await launch(make, identity, wait_seconds=_DELETION_SECONDS)


@router.get("/download/{backup_id}", response_class=FileResponse, responses=DOWNLOADS)
async def download_backup(backup_id: str, identity: Caller, service: CurrentService) -> Download:
    """
    Download the data file of a backup, whole or in ranges.

    `ETag` and `Repr-Digest` hold its SHA-256. The backup cannot be deleted meanwhile, so only some
    downloads go on at once (429), and what nobody reads is ended. So is one whose login has ended.
    """
    confirm = partial(service.sign_ins.confirm, identity)
    return await open_download(service.program, backup_id, confirm)
