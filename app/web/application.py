"""The pages, as part of an application that has the API already."""

from typing import Final

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from app.web import errors
from app.web.access import guard
from app.web.pages.backups import backups, retention, schedules, stores
from app.web.pages.people import account, audit, session, setup, users
from app.web.pages.recovery import points, restores
from app.web.pages.watch import alerts, overview, runbook, runs, server, settings
from app.web.streams import Streams


_PAGES: Final = (
    session,
    setup,
    overview,
    backups,
    runs,
    restores,
    points,
    schedules,
    retention,
    alerts,
    server,
    stores,
    users,
    account,
    audit,
    settings,
    runbook,
)
PAGE_ROUTES: Final = tuple(
    route for module in _PAGES for route in module.router.routes if isinstance(route, APIRoute)
)


def install(app: FastAPI) -> None:
    """Add the pages; after the API's routes and errors."""
    for module in _PAGES:
        app.include_router(module.router, dependencies=[Depends(guard)], include_in_schema=False)
    app.state.streams = Streams()
    errors.install(app)
