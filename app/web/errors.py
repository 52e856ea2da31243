"""Errors of pages: the same failures, statuses and codes as in the API, as a page that says what to do."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, cast
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from app.api import problems
from app.api.access import PAGE_PREFIX, current_service
from app.api.middleware import MAX_BODY_BYTES
from app.api.problems import status_of
from app.domain.places.sizes import size
from app.domain.runs.failures import failure
from app.domain.runs.run import Failure
from app.errors import (
    AlreadyRunningError,
    AppError,
    ControlUnavailableError,
    DatabaseError,
    InvalidRequestError,
    NotAuthenticatedError,
    StorageError,
    TooManyAttemptsError,
)
from app.web.access import LoginNeededError, recognise, safe_path
from app.web.forms.unsent import unsent_form
from app.web.rendering import path_for, render_as
from app.web.streams import LOGIN_OVER, MEDIA_TYPE


# They say that a part of the service does not work, and nothing of the others.
_PART_ERRORS: Final = (StorageError, ControlUnavailableError, DatabaseError)
# As the readiness of the service calls it.
_CONTROL: Final = "control database"
# Where the framework has a word for programs only.
_TEXTS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.NOT_FOUND: "there is no page at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this page comes after a form, and cannot be opened by its address",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "this form holds more than is taken, and nothing was done",
}
_HINTS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"It may have {size(MAX_BODY_BYTES)}: go back, and shorten what was typed."
}
_REPORT: Final = (
    "Look whether what you wanted was done. Please report this, with what the log of the service says of the request"
    " below."
)
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
        if isinstance(exc, NotAuthenticatedError) and _is_stream(request):
            # A page that was cut off asks again, and would do so for ever.
            return Response(LOGIN_OVER, media_type=MEDIA_TYPE)
        if not hasattr(request.state, "login"):
            await recognise(request, await current_service(request))
        parts = await _parts(request, exc) if isinstance(exc, _PART_ERRORS) else {}
        if isinstance(exc, AppError):  # what the framework refuses can be read no second time
            request.state.unsent = await unsent_form(request, is_retryable=exc.is_passing)
        return error_page(request, exc, parts)

    return handle


def is_page(request: Request) -> bool:
    """Tell whether a browser's page is asked for; what is not there is one where HTML is wanted."""
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        return route.name.startswith(PAGE_PREFIX)
    wants_page = "text/html" in request.headers.get("Accept", "")
    return wants_page and not request.url.path.startswith("/api/")


def _is_stream(request: Request) -> bool:
    return MEDIA_TYPE in request.headers.get("Accept", "")


def answer_unhandled(request: Request, exc: Exception) -> Response:
    """Answer for a bug, for what could not be written down, or for one request too many: where nothing else has."""
    if is_page(request):
        return error_page(request, exc)
    return problems.unhandled(exc)


async def _parts(request: Request, exc: Exception) -> dict[str, str]:
    """Tell what of the service works, and why something does not."""
    service = await current_service(request)
    checks = dict((await service.status.ready()).checks)
    if isinstance(exc, ControlUnavailableError):  # it may answer, and have lost a part
        checks[_CONTROL] = exc.code
    return checks


def error_page(
    request: Request,
    exc: Exception,
    parts: Mapping[str, str] = MappingProxyType({}),
) -> HTMLResponse:
    """
    Make the page of a failure.

    Args:
        request: That failed.
        exc: Why.
        parts: Those of the service, with why one does not work.

    Returns:
        It, with the status of the failure.
    """
    found, status = _failure(exc)
    request.state.code = found.code
    run_id = exc.run_id if isinstance(exc, AlreadyRunningError) else ""
    # What a page has asked for is put into it.
    template = "parts/failure.html" if request.headers.get("HX-Request") else "error.html"
    page = render_as(
        status,
        request,
        template,
        failure=found,
        status_code=status,
        run_id=run_id,
        parts=parts,
        # Also where the refusal itself could not be written down, and its body is gone.
        unsent=getattr(request.state, "unsent", None),
        form_path=_form_path(request),
    )
    if isinstance(exc, TooManyAttemptsError):
        page.headers["Retry-After"] = str(exc.seconds)
    return page


def _form_path(request: Request) -> str:
    """Return where the form stands that was sent; empty = it was none of ours, or does not say."""
    referer = urlsplit(request.headers.get("Referer", ""))
    if (
        request.method != "POST"
        or not referer.path
        or referer.netloc != request.headers.get("Host")
    ):
        return ""
    return safe_path(referer.path + (f"?{referer.query}" if referer.query else ""))


def _failure(exc: Exception) -> tuple[Failure, HTTPStatus]:
    if isinstance(exc, HTTPException):
        status = HTTPStatus(exc.status_code)
        kind = problems.OF_FRAMEWORK.get(status)
        code = kind.code if kind else status.phrase.lower().replace(" ", "-")
        title = kind.title if kind else status.phrase.capitalize()
        text = _TEXTS.get(status, str(exc.detail))
        return Failure(code, title, text, _HINTS.get(status, ""), retryable=False), status
    if isinstance(exc, RequestValidationError):
        kind = InvalidRequestError
        text = "the address of this page holds a value that makes no sense"
        return Failure(kind.code, kind.title, text, "", retryable=False), status_of(kind)
    if isinstance(exc, AppError):
        return failure(exc), status_of(type(exc))
    bug = failure(exc)
    told = replace(bug, message=f"this is a fault of Backstay: {bug.message}", hint=_REPORT)
    return told, HTTPStatus.INTERNAL_SERVER_ERROR


async def _to_login(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, LoginNeededError)  # noqa: S101 - narrows Starlette's handler type
    query = f"?{urlencode({'next': exc.wanted})}" if exc.wanted not in {"", "/"} else ""
    return RedirectResponse(path_for(request, "log_in.form") + query, HTTPStatus.SEE_OTHER)
