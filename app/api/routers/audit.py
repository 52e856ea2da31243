"""The audit."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import CurrentService
from app.api.bodies import AuditQuery
from app.api.openapi_responses import READS
from app.documents.access import AuditList, AuditVerified
from app.domain.stores import AuditFilter, Page


router = APIRouter(prefix="/api/admin/audit", tags=["audit"])


@router.get("", responses=READS)
async def list_audit(service: CurrentService, query: Annotated[AuditQuery, Query()]) -> AuditList:
    """
    List who changed or was refused what, newest first unless sorted otherwise.

    Each digest covers the one before it, by a key that is not in the database.
    """
    wanted = AuditFilter(query.actor, query.action, query.result, query.since, query.until)
    page = Page(query.limit, query.offset, query.sort)
    entries, total = await service.access.audit.list(wanted, page)
    return AuditList.of(entries, total=total, limit=query.limit, offset=query.offset)


@router.get("/verify", responses=READS)
async def verify_audit(service: CurrentService) -> AuditVerified:
    """
    Prove the audit: 500 `audit-broken` says what is wrong.

    It is read as a whole; `backstay audit verify` does the same, also when the service is down.
    """
    return AuditVerified.of(await service.access.audit.verify())
