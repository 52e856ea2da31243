"""What balancers and supervisors ask."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.access import CurrentService
from app.documents.monitoring import Alive, Ready


router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> Alive:
    """Tell that the process is alive; nothing is looked at."""
    return Alive(status="ok")


@router.get(
    "/readyz",
    responses={503: {"model": Ready, "description": "Something is missing; its check says what."}},
)
async def is_ready(response: Response, service: CurrentService) -> Ready:
    """Tell whether control database, backup directory, state directory and server can be used."""
    readiness = await service.status.ready()
    if not readiness.is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Ready.of(readiness)
