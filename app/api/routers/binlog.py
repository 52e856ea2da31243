"""The archive of the binary log: what it has, and what happened when."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.api.access import CurrentService
from app.api.disconnects import while_connected
from app.api.instants import Instant
from app.api.openapi_responses import READS
from app.documents.monitoring import BinlogStatus, BinlogTransactions
from app.domain.restores.log_archive import TransactionQuery


router = APIRouter(prefix="/api/admin/binlog", tags=["binlog"])


@router.get("/status", responses=READS)
async def get_binlog_status(service: CurrentService) -> BinlogStatus:
    """Tell what the archiver of the binary log does, and which points in time can be reached."""
    return BinlogStatus.of(await service.binlog.status())


@router.get("/transactions", responses=READS)
async def list_binlog_transactions(
    service: CurrentService,
    request: Request,
    *,
    since: Annotated[Instant | None, Query(description="Committed then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Committed then or before.")] = None,
    database: Annotated[str, Query(description="One that they changed.")] = "",
    table: Annotated[str, Query(description="One that they changed or named.")] = "",
    match: Annotated[str, Query(description="Text in the statement, whatever its case.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> BinlogTransactions:
    """
    List transactions of the archive in the order of the log, to find the one to stop before.

    Times without a zone are UTC. Statements are shown without their values.
    """
    query = TransactionQuery(since, until, database, table, match, limit)
    found = await while_connected(request, service.binlog.transactions(query))
    return BinlogTransactions.of(found)
