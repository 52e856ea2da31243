"""The application: routers, errors and middleware around one service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import Depends, FastAPI

from app.api import openapi, problems
from app.api.access import guard
from app.api.middleware import BodyLimit, ClientLimit, HeadAsGet, SecurityHeaders
from app.api.recorder import Recorder
from app.api.request_id import RequestNames
from app.api.routers import (
    alerts,
    audit,
    auth,
    backups,
    binlog,
    health,
    metrics,
    points,
    recoveries,
    retention,
    runs,
    schedules,
    stores,
    users,
)
from app.bootstrap.bounds import Bounds
from app.bootstrap.service import Service, open_service
from app.concurrency import Bound
from app.config import Settings, load_settings
from app.scheduling.clock import SystemClock
from app.web import application
from app.web.errors import answer_unhandled


_ROUTERS: Final = (
    auth,
    backups,
    retention,
    points,
    recoveries,
    schedules,
    runs,
    alerts,
    binlog,
    stores,
    users,
    audit,
    health,
    metrics,
)

# How long a service that stops waits for messages to leave; others are sent at its next start.
_NOTIFY_SECONDS: Final = 3.0


def create_app(
    settings: Settings | None = None,
    *,
    service: Service | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """
    Make the application.

    Args:
        settings: Of this installation; None = those of the environment.
        service: Opened and closed by the caller; None = by the application's lifespan.
        is_stopping: Whether the server wants to stop, so that endless answers end.

    Returns:
        An ASGI application; its lifespan opens and closes everything.
    """
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.service = service or await stack.enter_async_context(open_service(settings))
            async with _working(app.state.service):
                yield

    app = FastAPI(
        title="Backstay",
        version=version("backstay"),
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would send whoever asks to the host that they named
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.is_stopping = is_stopping
    for module in _ROUTERS:
        app.include_router(module.router, dependencies=[Depends(guard)])
    problems.install(app)
    openapi.install(app)
    application.install(app)
    per_client = service.program.bounds.per_client if service else Bounds.of(settings).per_client
    _install_middleware(app, per_client)
    return app


def _install_middleware(app: FastAPI, per_client: Bound) -> None:
    # The last one added is the first that a request passes.
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        Recorder,
        audit=lambda: app.state.service.access.audit,
        now=SystemClock().now,
        answer=answer_unhandled,
    )
    app.add_middleware(ClientLimit, limit=per_client, answer=answer_unhandled)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestNames)


@asynccontextmanager
async def _working(service: Service) -> AsyncIterator[None]:
    """Let a service work for the length of a block; its runs end with it, and alerts of them are sent."""
    program = service.program
    reconciler = asyncio.create_task(service.reconciler.run_forever(), name="reconciler")
    alerts = asyncio.create_task(program.alerts.run_forever(), name="alerts")
    archiver = asyncio.create_task(_archive_log(service), name="binlog")
    try:
        await service.environment_monitor.begin()
        await service.scheduler.open()
        yield
    finally:
        await service.scheduler.close()
        for task in (reconciler, archiver):
            task.cancel()
        await asyncio.wait([reconciler, archiver])
        await program.runs.close(program.settings.shutdown_seconds)
        await service.access.audit.flush()
        alerts.cancel()
        await asyncio.wait([alerts])
        await program.send_notices(_NOTIFY_SECONDS)


async def _archive_log(service: Service) -> None:
    if service.program.settings.binlog:
        await service.binlog.run_forever()
