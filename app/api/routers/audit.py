"""The audit."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import CurrentService
from app.api.bodies import AuditQuery
from app.api.openapi_responses import READS
from app.documents.access import AuditList
from app.domain.stores import AuditFilter, Page


router = APIRouter(prefix="/api/admin/audit", tags=["audit"])


@router.get("", responses=READS)
async def list_audit(service: CurrentService, query: Annotated[AuditQuery, Query()]) -> AuditList:
    """
    List who changed or was refused what, newest first unless sorted otherwise.

    Each digest covers the one before it; `backstay audit verify` proves the chain.
    """
    wanted = AuditFilter(query.actor, query.action, query.result, query.since, query.until)
    page = Page(query.limit, query.offset, query.sort)
    entries, total = await service.access.audit.list(wanted, page)
    return AuditList.of(entries, total=total, limit=query.limit, offset=query.offset)
