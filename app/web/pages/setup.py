"""The first page of a new installation: the first admin."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService, Noted, address
from app.domain.access.user import MIN_PASSWORD, require_name, require_password
from app.errors import InvalidRequestError, NotAuthenticatedError, TooManyAttemptsError
from app.services.access.users import FIRST_ADMIN
from app.web.access import SentForm, keep_login
from app.web.rendering import path_for, render_as


router = APIRouter()

_STATUSES: Final = {
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
}


@router.get("/setup", name="web:set_up.form")
async def show_setup(request: Request, service: CurrentService) -> Response:
    """Ask for the token that the service has printed, and who the first admin is."""
    await service.first_admin.require_needed()
    await service.first_admin.invite()
    return _form(request, HTTPStatus.OK, {}, {})


@router.post("/setup", name="web:set_up")
async def set_up(
    request: Request, service: CurrentService, form: SentForm, note: Noted
) -> Response:
    """Make the first admin, log the browser in, and lead to the first page."""
    sent = {name: str(form.get(name, "")) for name in ("token", "name", "password", "again")}
    try:
        await service.first_admin.prove(sent["token"], address(request))
    except (NotAuthenticatedError, TooManyAttemptsError) as exc:
        request.state.code = exc.code
        errors = {"token": f"{exc}. {exc.hint}"}
        return _form(request, _STATUSES[type(exc)], sent, errors)
    if errors := _errors(sent):
        request.state.code = InvalidRequestError.code
        return _form(request, HTTPStatus.UNPROCESSABLE_ENTITY, sent, errors)
    login = await service.first_admin.create(sent["name"], sent["password"], address(request), note)
    request.state.identity = login.identity
    answer = RedirectResponse(path_for(request, "get_status"), HTTPStatus.SEE_OTHER)
    keep_login(request, answer, login)
    return answer


def _errors(sent: Mapping[str, str]) -> dict[str, str]:
    """Say what is wrong with each field."""
    errors = {}
    for field, check, text in (
        ("name", require_name, sent["name"].lower()),
        ("password", require_password, sent["password"]),
    ):
        try:
            check(text)
        except InvalidRequestError as exc:
            errors[field] = str(exc)
    if "password" not in errors and sent["again"] != sent["password"]:
        errors["again"] = "this is not the same password"
    return errors


def _form(
    request: Request, status: HTTPStatus, sent: Mapping[str, str], errors: Mapping[str, str]
) -> Response:
    return render_as(
        status,
        request,
        "setup.html",
        token=sent.get("token", ""),
        name=sent.get("name", FIRST_ADMIN),
        errors=errors,
        min_password=MIN_PASSWORD,
    )
