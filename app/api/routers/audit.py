"""The audit."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import Admin, Parts
from app.api.answers import AuditFacts, AuditList
from app.api.bodies import AuditQuery
from app.api.openapi_responses import READS
from app.domain.access.audit import AuditEntry
from app.domain.stores import AuditFilter, Page


router = APIRouter(prefix="/api/admin/audit", tags=["audit"])


@router.get("", responses=READS)
async def list_audit(_: Admin, parts: Parts, query: Annotated[AuditQuery, Query()]) -> AuditList:
    """
    List who changed or was refused what, newest first unless sorted otherwise.

    Each digest covers the one before it; `backstay audit verify` proves the chain.
    """
    wanted = AuditFilter(query.actor, query.action, query.result, query.since, query.until)
    page = Page(query.limit, query.offset, query.sort)
    entries, total = await parts.people.audit.list(wanted, page)
    return AuditList(
        success=True,
        entries=tuple(map(_facts, entries)),
        total=total,
        limit=query.limit,
        offset=query.offset,
    )


def _facts(entry: AuditEntry) -> AuditFacts:
    return AuditFacts.model_validate({
        **asdict(entry.event),
        "run_id": entry.event.run_id or None,
        "number": entry.number,
        "digest": entry.digest,
    })
