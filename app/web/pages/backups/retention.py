"""
Retention: which backups would go now, and why the others stay; and the prune that lets them go.

Of the backup directory, or of a store where one is named.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from app.api.access import CurrentService
from app.bootstrap.service import Service
from app.domain.backups.pruning import RetentionPlan
from app.domain.store_trial import StoreFacts
from app.errors import AppError, InvalidRequestError, StoreNotFoundError
from app.services.backups.retention_rules import policy_of
from app.web.access import SentForm, Viewer
from app.web.launching import find_launched, launch
from app.web.paging import Part
from app.web.rendering import render_as


router = APIRouter(prefix="/retention")

_PAGE = Annotated[int, Field(ge=1, le=1_000_000)]


class RetentionQuery(BaseModel):
    """Which place it is about, and which part of what goes and of what stays is listed."""

    store: Annotated[str, Field(max_length=100)] = ""
    going: _PAGE = 1
    staying: _PAGE = 1

    def part(self, key: str, total: int) -> Part:
        """Return the part of one of both lists; the other stays where it is."""
        others = {
            name: str(value)
            for name, value in self.model_dump(exclude={key}, exclude_defaults=True).items()
        }
        return Part(getattr(self, key), total, others, anchor=key, key=key)


@router.get("", name="web:prune_backups.plan")
async def show_plan(
    request: Request, service: CurrentService, query: Annotated[RetentionQuery, Query()]
) -> Response:
    """Show what a prune would do now, in a store where one is named."""
    return await _plan_page(request, service, await _plan(service, query.store), query)


@router.post("", name="web:prune_backups")
async def prune(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Delete what no rule keeps, once somebody has typed how many that are."""
    # Sent twice: what would have gone is gone.
    if launched := await find_launched(request, login, form):
        return launched
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
        return await _plan_page(request, service, plan, RetentionQuery(store=store), typed, errors)
    prune, name = service.program.jobs.prune, login.identity.name
    make = partial(prune, name, accept_clock=accepts_clock, store=store)
    return await launch(request, make, login, form)


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
    query: RetentionQuery,
    typed: str = "",
    errors: dict[str, str] | None = None,
) -> Response:
    schedules = await service.program.schedules.list()
    stores = await _stores(service, query.store)
    settings = service.program.settings
    going, staying = plan.deleted, plan.kept
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "retention.html",
        clock=plan.clock,
        going=going,
        going_part=query.part("going", len(going)),
        staying=staying,
        staying_part=query.part("staying", len(staying)),
        freed_bytes=sum(decision.item.size for decision in going),
        kept_bytes=sum(decision.item.size for decision in staying),
        store=next((found for found in stores if found.name == query.store), None),
        stores=stores,
        own=[schedule for schedule in schedules if schedule.retention],
        usual=policy_of(settings),
        point_days=settings.recovery_point_days,
        typed=typed,
        errors=errors or {},
    )
