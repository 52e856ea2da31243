"""What monitoring reads."""

import secrets
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Depends, Request, Response
from pydantic import SecretStr

from app.api.access import CurrentService
from app.api.exposition import MEDIA_TYPE, exposition
from app.api.openapi_responses import problem_responses
from app.errors import NotAuthenticatedError


router = APIRouter(tags=["health"])

_SCHEME: Final = "Bearer "


async def _require_token(request: Request, service: CurrentService) -> None:
    """
    Refuse whoever does not know the token, if there is one.

    Raises:
        NotAuthenticatedError: It is missing or wrong.
    """
    wanted: SecretStr = service.program.settings.metrics_token
    known = wanted.get_secret_value()
    # Of several headers, whatever stands in front of the service may have looked at another one.
    sent = request.headers.getlist("Authorization")
    if not known:
        return
    token = sent[0].removeprefix(_SCHEME) if len(sent) == 1 and sent[0].startswith(_SCHEME) else ""
    if not secrets.compare_digest(token.encode(), known.encode()):
        raise NotAuthenticatedError(
            "the token of the metrics is needed",
            hint="Send BACKSTAY_METRICS_TOKEN as a bearer token.",
        )


@router.get(
    "/metrics",
    dependencies=[Depends(_require_token)],
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus.",
            "content": {MEDIA_TYPE.partition(";")[0]: {"schema": {"type": "string"}}},
        },
        **problem_responses(
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
)
async def get_metrics(service: CurrentService) -> Response:
    """
    Show all numbers that monitoring needs; where BACKSTAY_METRICS_TOKEN is set, it is asked for.

    Numbers are two seconds old at most. What cannot be read is missing, and `backstay_source_up` says so.
    """
    numbers = exposition(await service.metrics.gather(), service.program.bounds.all)
    return Response(numbers, media_type=MEDIA_TYPE)
