"""Alerts: what is wrong, who was told, and whether they can be."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import CurrentService
from app.api.bodies import AlertQuery
from app.api.openapi_responses import GUARDED
from app.documents.alerts import AlertPage, AlertTest
from app.domain.stores import AlertFilter, Page


router = APIRouter(prefix="/api/admin/alerts", tags=["alerts"])


@router.get("", responses=GUARDED)
async def list_alerts(service: CurrentService, query: Annotated[AlertQuery, Query()]) -> AlertPage:
    """
    List conditions that last or are over, newest first unless sorted otherwise.

    Each has the newest attempts to tell of it; `at` null = it is still to be made.
    """
    wanted = AlertFilter(query.open, query.kind)
    page = Page(query.limit, query.offset, query.sort)
    found, total = await service.program.alerts.list(wanted, page)
    return AlertPage.of(found, total, limit=query.limit, offset=query.offset)


@router.post("/test", responses=GUARDED)
async def send_test_alert(service: CurrentService) -> AlertTest:
    """
    Send a message to every target now, and wait for their answers.

    `success` is false when a target has not taken it; then its `error` says why.
    """
    return AlertTest.of(await service.program.alerts.test())
