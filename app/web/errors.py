"""Errors of pages: the same failures, statuses and codes as in the API, as a page that says what to do."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from app.api.access import PAGE_PREFIX
from app.api.problems import status_of
from app.domain.runs.failures import failure
from app.domain.runs.run import Failure
from app.errors import AlreadyRunningError, AppError, InvalidRequestError, TooManyAttemptsError
from app.web.access import LoginNeededError
from app.web.rendering import path_for, render_as


# Ours are all of this kind, as problems.install has made them.
_Handler = Callable[[Request, Exception], Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Let errors of pages end as pages, and leave all others as they are; after `problems.install`."""
    app.add_exception_handler(LoginNeededError, _to_login)
    for kind in (AppError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handler(app.exception_handlers[kind]))


def _handler(other: ExceptionHandler) -> ExceptionHandler:
    async def handle(request: Request, exc: Exception) -> Response:
        if not is_page(request):
            return await cast("_Handler", other)(request, exc)
        return error_page(request, exc)

    return handle


def is_page(request: Request) -> bool:
    """Tell whether a browser's page is asked for; what is not there is one where HTML is wanted."""
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        return route.name.startswith(PAGE_PREFIX)
    wants_page = "text/html" in request.headers.get("Accept", "")
    return wants_page and not request.url.path.startswith("/api/")


def error_page(request: Request, exc: Exception) -> HTMLResponse:
    """Make the page of a failure."""
    found, status = _failure(exc)
    request.state.code = found.code
    run_id = exc.run_id if isinstance(exc, AlreadyRunningError) else ""
    # What a page has asked for is put into it.
    template = "parts/failure.html" if request.headers.get("HX-Request") else "error.html"
    page = render_as(status, request, template, failure=found, status_code=status, run_id=run_id)
    if isinstance(exc, TooManyAttemptsError):
        page.headers["Retry-After"] = str(exc.seconds)
    return page


def _failure(exc: Exception) -> tuple[Failure, HTTPStatus]:
    if isinstance(exc, HTTPException):
        status = HTTPStatus(exc.status_code)
        code = status.phrase.lower().replace(" ", "-")
        return Failure(code, status.phrase, str(exc.detail), "", retryable=False), status
    if isinstance(exc, RequestValidationError):
        kind = InvalidRequestError
        text = "the address of this page holds a value that makes no sense"
        return Failure(kind.code, kind.title, text, "", retryable=False), status_of(kind)
    status = status_of(type(exc)) if isinstance(exc, AppError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return failure(exc), status


async def _to_login(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, LoginNeededError)  # noqa: S101 - narrows Starlette's handler type
    query = f"?{urlencode({'next': exc.wanted})}" if exc.wanted not in {"", "/"} else ""
    return RedirectResponse(path_for(request, "log_in.form") + query, HTTPStatus.SEE_OTHER)
