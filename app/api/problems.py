"""
Errors as HTTP answers: problem details of RFC 9457, one shape for all.

`type` is `urn:backstay:error:CODE`; the codes are those of docs/errors.md, which the command line uses
as well. Source: https://www.rfc-editor.org/rfc/rfc9457
"""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from app import errors
from app.documents.base import RUN_ID, Document
from app.domain.runs.failures import failure
from app.domain.runs.run import Failure


MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[dict[type[errors.AppError], HTTPStatus]] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.AccessError: HTTPStatus.FORBIDDEN,
    errors.NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    errors.TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RefusedError: HTTPStatus.BAD_REQUEST,
    errors.InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidScheduleError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.DatabaseError: HTTPStatus.BAD_GATEWAY,
    errors.NoConnectionLeftError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.ControlUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IntegrityError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DeliveryError: HTTPStatus.BAD_GATEWAY,
    errors.AppError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# What the framework refuses itself, as errors of ours.
OF_FRAMEWORK: Final = {
    HTTPStatus.BAD_REQUEST: errors.InvalidRequestError,
    HTTPStatus.NOT_FOUND: errors.NotFoundError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.TooLargeError,
}
_BUG: Final = HTTPStatus.INTERNAL_SERVER_ERROR
_CANCELLED: Final = "cancelled"
_MOST_FIELDS: Final = 20


class InvalidField(Document):
    """One field of a request that is wrong."""

    field: Annotated[str, Field(examples=["body.compress"])]
    message: Annotated[str, Field(examples=["Input should be a valid boolean"])]


class Problem(Document):
    """What went wrong, as RFC 9457 has it; `code` is stable, the texts are for people."""

    type: Annotated[str, Field(examples=["urn:backstay:error:already-running"])]
    title: Annotated[str, Field(examples=["Already running"])]
    status: Annotated[int, Field(examples=[409])]
    detail: Annotated[str, Field(examples=[f"{RUN_ID} holds the backups of this server"])]
    code: Annotated[str, Field(description="See docs/errors.md.", examples=["already-running"])]
    hint: Annotated[
        str,
        Field(
            description="What to do about it; empty when nothing helps.",
            examples=["Wait until that run is over, or cancel it."],
        ),
    ]
    retryable: Annotated[bool, Field(description="Whether the same request may succeed later.")]
    run_id: Annotated[
        str | None, Field(description="The run it is about, if any.", examples=[RUN_ID])
    ]
    errors: Annotated[
        tuple[InvalidField, ...], Field(description="The fields that are wrong, if it is that.")
    ]


def status_of(error: type[errors.AppError]) -> HTTPStatus:
    """Return the status of the nearest ancestor in `STATUS`."""
    return next(
        STATUS[cls] for cls in error.__mro__ if issubclass(cls, errors.AppError) and cls in STATUS
    )


def status_of_code(code: str) -> HTTPStatus:
    """Return the status of an error by its code; 409 for a cancelled run, 500 for a bug."""
    if code == _CANCELLED:
        return HTTPStatus.CONFLICT
    return _BY_CODE.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)


def answer(
    found: Failure,
    status: HTTPStatus,
    *,
    run_id: str = "",
    fields: tuple[InvalidField, ...] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Make the answer for a failure."""
    problem = Problem(
        type=f"urn:backstay:error:{found.code}",
        title=found.title,
        status=status,
        detail=found.message,
        code=found.code,
        hint=found.hint,
        retryable=found.retryable,
        run_id=run_id or None,
        errors=fields,
    )
    return JSONResponse(problem.model_dump(mode="json"), status, headers, MEDIA_TYPE)


def unhandled(exc: Exception) -> JSONResponse:
    """Make the answer where nothing else has answered; of a bug its class, nothing of what it says."""
    return answer(failure(exc), status_of(type(exc)) if isinstance(exc, errors.AppError) else _BUG)


def install(app: FastAPI) -> None:
    """Let every error of a request end as a problem."""
    app.add_exception_handler(errors.AppError, _render)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(RequestValidationError, _render_invalid)


async def _render(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, errors.AppError)  # noqa: S101 - narrows Starlette's handler type
    request.state.code = exc.code
    headers: dict[str, str] = {}
    if isinstance(exc, errors.NotAuthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(exc, errors.TooManyAttemptsError):
        headers["Retry-After"] = str(exc.seconds)
    run_id = exc.run_id if isinstance(exc, errors.AlreadyRunningError) else ""
    return answer(failure(exc), status_of(type(exc)), run_id=run_id, headers=headers)


async def _render_http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101 - narrows Starlette's handler type
    status = HTTPStatus(exc.status_code)
    kind = OF_FRAMEWORK.get(status)
    if kind is not None:
        found = Failure(kind.code, kind.title, str(exc.detail), "", retryable=False)
        status = status_of(kind)
    else:
        code = status.phrase.lower().replace(" ", "-")
        found = Failure(code, status.phrase, str(exc.detail), "", retryable=False)
    request.state.code = found.code
    headers = dict(exc.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        headers["Allow"] = methods
    return answer(found, status, headers=headers)


def _methods(request: Request) -> str:
    """Name all methods of a path; the framework names those of one route."""
    paths = request.app.openapi()["paths"]
    found = [paths[path] for path in paths if compile_path(path)[0].match(request.scope["path"])]
    methods = {method.upper() for operations in found for method in operations}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _render_invalid(request: Request, exc: Exception) -> JSONResponse:
    """Name the fields that are wrong, and never what was in them."""
    assert isinstance(exc, RequestValidationError)  # noqa: S101 - narrows Starlette's handler type
    kind = errors.InvalidRequestError
    request.state.code = kind.code
    fields = tuple(
        InvalidField(field=".".join(map(_printable, error["loc"])), message=str(error["msg"]))
        for error in exc.errors()[:_MOST_FIELDS]
    )
    first = f"{fields[0].field}: {fields[0].message}" if fields else "not understood"
    found = Failure(kind.code, kind.title, first, "See /docs.", retryable=False)
    return answer(found, status_of(kind), fields=fields)


def _printable(part: object) -> str:
    """Shorten the name of a field, which may be whatever somebody sent."""
    return ascii(str(part))[1:-1][:80]


def _statuses(
    kind: type[errors.AppError] = errors.AppError,
) -> dict[str, HTTPStatus]:
    below = (_statuses(child) for child in kind.__subclasses__())
    return {kind.code: status_of(kind)} | {
        code: status for part in below for code, status in part.items()
    }


_BY_CODE: Final = _statuses()
