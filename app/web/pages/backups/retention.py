"""
Retention: which backups would go now, and why the others stay; and the prune that lets them go.

Of the backup directory, or of a store where one is named.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.backups.pruning import RetentionPlan
from app.domain.store_trial import StoreFacts
from app.errors import AppError, InvalidRequestError, StoreNotFoundError
from app.services.backups.retention_rules import policy_of
from app.web.access import SentForm, Viewer
from app.web.launching import launch
from app.web.paging import PER_PAGE
from app.web.rendering import render_as


router = APIRouter(prefix="/retention")

# More than that nobody reads; the sums count all.
_SHOWN = PER_PAGE


@router.get("", name="web:prune_backups.plan")
async def show_plan(request: Request, service: CurrentService, store: str = "") -> Response:
    """Show what a prune would do now, in a store where one is named."""
    return await _plan_page(request, service, await _plan(service, store), store)


@router.post("", name="web:prune_backups")
async def prune(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Delete what no rule keeps, once somebody has typed how many that are."""
    store = str(form.get("store", ""))
    plan = await _plan(service, store)
    accepts_clock = "accept_clock" in form
    typed = str(form.get("typed", "")).strip()
    errors: dict[str, str] = {}
    if typed != str(len(plan.deleted)):
        errors["typed"] = f"Now {len(plan.deleted)} would go; nothing was deleted."
    if plan.clock and not accepts_clock:
        errors["accept_clock"] = (
            "Say that the clock is right, or put it right; nothing was deleted."
        )
    if errors:
        request.state.code = InvalidRequestError.code
        return await _plan_page(request, service, plan, store, typed, errors)
    name = login.identity.name
    job = await service.program.jobs.prune(name, accept_clock=accepts_clock, store=store)
    return await launch(request, job, login, form)


async def _plan(service: Service, store: str) -> RetentionPlan:
    retention = await asyncio.to_thread(service.program.retention_of, store)
    return await retention.plan()


async def _stores(service: Service, wanted: str) -> Sequence[StoreFacts]:
    """List the stores; where they cannot be read that is no fault of the backup directory's."""
    with suppress(AppError):
        return await service.program.stores.list()
    if wanted:
        raise StoreNotFoundError(wanted)
    return ()


async def _plan_page(
    request: Request,
    service: Service,
    plan: RetentionPlan,
    store: str,
    typed: str = "",
    errors: dict[str, str] | None = None,
) -> Response:
    schedules = await service.program.schedules.list()
    stores = await _stores(service, store)
    settings = service.program.settings
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "retention.html",
        plan=plan,
        going=plan.deleted[:_SHOWN],
        staying=plan.kept[:_SHOWN],
        freed_bytes=sum(decision.item.size for decision in plan.deleted),
        kept_bytes=sum(decision.item.size for decision in plan.kept),
        store=next((found for found in stores if found.name == store), None),
        stores=stores,
        own=[schedule for schedule in schedules if schedule.retention],
        usual=policy_of(settings),
        point_days=settings.recovery_point_days,
        typed=typed,
        errors=errors or {},
    )
