"""Stores of backups: which there are, and whether they can be used."""

from fastapi import APIRouter

from app.api.access import CurrentService
from app.api.openapi_responses import CHANGES, READS
from app.documents.stores import StoreList, StoreTested


router = APIRouter(prefix="/api/admin/stores", tags=["stores"])


@router.get("", responses=READS)
async def list_stores(service: CurrentService) -> StoreList:
    """List the stores by name, as they are defined; no secret is shown."""
    return StoreList.of(await service.program.stores.list())


@router.post("/{name}/test", responses=CHANGES)
async def test_store(name: str, service: CurrentService) -> StoreTested:
    """
    Write, read, list and delete in a store what a backup would, and wait for the end of it.

    `success` is false when backups cannot be kept there; the checks say why, and what to do.
    """
    return StoreTested.of(await service.program.stores.test(name))
