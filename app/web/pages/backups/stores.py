"""Stores: where backups can be kept besides the directory, and whether they work."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.api.problems import status_of
from app.bootstrap.service import Service
from app.domain.store_trial import StoreTrial
from app.errors import AlreadyRunningError, AppError, InvalidRequestError, StorageError
from app.web.rendering import render_as


router = APIRouter(prefix="/stores")


@router.get("", name="web:list_stores")
async def list_stores(request: Request, service: CurrentService) -> Response:
    """List the stores, as they are defined."""
    return await _page(request, service)


@router.post("/{name}/test", name="web:test_store")
async def test_store(request: Request, service: CurrentService, name: str) -> Response:
    """Try a store and wait for the end of it; the page shows what was found."""
    try:
        trial = await service.program.stores.test(name)
    except (InvalidRequestError, StorageError, AlreadyRunningError) as exc:
        request.state.code = exc.code
        return await _page(request, service, refusal=exc)
    return await _page(request, service, trial=trial)


async def _page(
    request: Request,
    service: Service,
    trial: StoreTrial | None = None,
    refusal: AppError | None = None,
) -> Response:
    try:
        stores = await service.program.stores.list()
    except (InvalidRequestError, StorageError) as exc:
        stores, refusal = (), exc
    report = await service.program.store_watch.report()
    return render_as(
        status_of(type(refusal)) if refusal else HTTPStatus.OK,
        request,
        "stores.html",
        stores=stores,
        report=report,
        places={place.name: place for place in report.places},
        trial=trial,
        refusal=refusal,
        is_encrypted=bool(service.program.settings.encrypt_to),
    )
