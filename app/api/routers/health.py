"""What balancers and supervisors ask."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from app.api.access import Parts
from app.api.answers import Health, Ready


router = APIRouter(tags=["health"])


@router.get("/healthz")
async def is_alive() -> Health:
    """Tell that the process is alive; nothing is looked at."""
    return Health(status="ok")


@router.get(
    "/readyz",
    responses={503: {"model": Ready, "description": "Something is missing; its check says what."}},
)
async def is_ready(response: Response, parts: Parts) -> Ready:
    """Tell whether control database, backup directory and server can be used."""
    found = await parts.status.ready()
    if not found.is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    checks = {name: code or "ok" for name, code in found.checks.items()}
    return Ready(status="ready" if found.is_ready else "not ready", checks=checks)


# Balancers like to ask without a body.
for path, look in (("/healthz", is_alive), ("/readyz", is_ready)):
    router.head(path, include_in_schema=False)(look)
