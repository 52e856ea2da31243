"""Alerts: what is wrong, who was told, and whether they can be."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.access import Admin, Parts, Viewer
from app.api.alert_answers import AlertFacts, AlertList, AlertQuery, AlertTest
from app.api.openapi_responses import GUARDED
from app.domain.stores import AlertFilter, Page
from app.services.alertfacts import alert_facts, outcome_facts


router = APIRouter(prefix="/api/admin/alerts", tags=["alerts"])


@router.get("", responses=GUARDED)
async def list_alerts(_: Viewer, parts: Parts, query: Annotated[AlertQuery, Query()]) -> AlertList:
    """
    List conditions that last or are over, newest first unless sorted otherwise.

    Each has the newest attempts to tell of it; `at` null = it is still to be made.
    """
    wanted = AlertFilter(query.open, query.kind)
    page = Page(query.limit, query.offset, query.sort)
    found, total = await parts.program.alerts.list(wanted, page)
    return AlertList(
        success=True,
        alerts=tuple(AlertFacts.model_validate(alert_facts(*one)) for one in found),
        total=total,
        limit=query.limit,
        offset=query.offset,
    )


@router.post("/test", responses=GUARDED)
async def send_test_alert(_: Admin, parts: Parts) -> AlertTest:
    """
    Send a message to every target now, and wait for their answers.

    `success` is false when one has not taken it; then its `error` says why.
    """
    return AlertTest.model_validate(outcome_facts(await parts.program.alerts.test()))
