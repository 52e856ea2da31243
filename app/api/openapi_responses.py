"""Which problems a route may answer with, for the API's document."""

from http import HTTPStatus
from typing import Final

from app.api.problems import MEDIA_TYPE, Problem
from app.documents.runs import RunFacts


Responses = dict[int | str, dict[str, object]]

_TEXTS: Final = {
    HTTPStatus.BAD_REQUEST: "Well-formed, but refused.",
    HTTPStatus.UNAUTHORIZED: "No token, or one that is not good.",
    HTTPStatus.FORBIDDEN: "The role does not allow it.",
    HTTPStatus.NOT_FOUND: "The identifier names nothing.",
    HTTPStatus.CONFLICT: "Not in a state that allows this now; a run in the way is named.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The range lies outside of the file.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request makes no sense; the wrong fields are named.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many failed logins; `Retry-After` says how long to wait.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Stored bytes are not what was written, or a bug.",
    HTTPStatus.BAD_GATEWAY: "The MySQL or MariaDB server failed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The control database does not answer.",
    HTTPStatus.INSUFFICIENT_STORAGE: "Bytes could not be written or read.",
}


def _headers(texts: dict[str, str]) -> dict[str, object]:
    return {
        name: {"description": text, "required": True, "schema": {"type": "string"}}
        for name, text in texts.items()
    }


# What answers of these statuses always have.
_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: _headers({"WWW-Authenticate": "The scheme, `Bearer`."}),
    HTTPStatus.TOO_MANY_REQUESTS: _headers({"Retry-After": "Seconds."}),
}


def problem_responses(*statuses: HTTPStatus) -> Responses:
    """Describe the problems of a route."""
    return {
        status.value: {
            "description": _TEXTS[status],
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
            },
        }
        for status in sorted(statuses)
    }


_ALWAYS: Final = (
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_GUARDED: Final = (*_ALWAYS, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_STORED: Final = (*_GUARDED, HTTPStatus.INSUFFICIENT_STORAGE)

GUARDED: Final = problem_responses(*_GUARDED)
LOGS_OUT: Final = problem_responses(*_GUARDED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
READS: Final = problem_responses(*_STORED)
READS_ONE: Final = problem_responses(*_STORED, HTTPStatus.NOT_FOUND)
CHANGES: Final = problem_responses(
    *_STORED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
)
LOOKS: Final = problem_responses(
    *_STORED,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.BAD_GATEWAY,
)
_LOCATION: Final = _headers({"Location": "Path of the run."})
STARTS_RUN: Final[Responses] = {
    200: {
        "model": RunFacts,
        "description": "Its end was waited for, and it succeeded.",
        "headers": _LOCATION,
    },
    202: {
        "model": RunFacts,
        "description": "It has begun; `Location` is the run.",
        "headers": _LOCATION,
    },
    **LOOKS,
    **problem_responses(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
}
SIGNS_IN: Final = problem_responses(
    *_ALWAYS,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
)
