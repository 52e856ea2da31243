"""What a new installation begins with: the first admin, and the server that is backed up."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from app.api.access import CurrentService, Noted, address
from app.bootstrap.service import Service
from app.domain.access.user import MIN_PASSWORD, require_new_name, require_password
from app.domain.monitoring import CheckState, DoctorCheck
from app.engine.flavor import flavor_of
from app.engine.server.address import ServerLogin
from app.engine.server.grants import statements_for_user
from app.errors import (
    AppError,
    InvalidRequestError,
    NotAuthenticatedError,
    TooManyAttemptsError,
)
from app.mysql.tls import TlsMode
from app.services.access.users import FIRST_ADMIN
from app.web.access import SentForm, keep_login
from app.web.pages.people.users import said
from app.web.rendering import path_for, render_as


router = APIRouter()

_STATUSES: Final = {
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
}

# Not more digits than a port has: Python refuses to read numbers of thousands.
_PORT: Final = re.compile(r"[0-9]{1,5}")
_MOST_PORT: Final = 65_535
_FIELDS: Final = ("host", "port", "socket", "user", "database", "ssl_mode", "ssl_ca")
_TLS: Final = {
    TlsMode.PREFERRED: "Encrypted if possible",
    TlsMode.REQUIRED: "Always encrypted",
    TlsMode.VERIFY_CA: "Trusted certificate",
    TlsMode.VERIFY_IDENTITY: "Trusted certificate and host",
    TlsMode.DISABLED: "Never encrypted",
}
# One server of each kind whose accounts differ.
_KINDS: Final = {
    "MariaDB 10.6 to 11.2": "10.11.6-MariaDB",
    "MariaDB 11.3 and newer": "11.8.2-MariaDB",
    "MySQL": "8.4.5",
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
        ("name", require_new_name, sent["name"].lower()),
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


@router.get("/server/connect", name="web:connect_server.form")
async def show_connect(request: Request, service: CurrentService) -> Response:
    """Ask how the server is reached; what was typed before is there, but for the password."""
    login = await service.server_address.login()
    typed = _texts(login) if login else {"host": "127.0.0.1", "ssl_mode": TlsMode.PREFERRED.value}
    return _page(request, service, typed)


@router.post("/server/connect", name="web:connect_server")
async def connect(
    request: Request, service: CurrentService, form: SentForm, noted: Noted
) -> Response:
    """Examine a server, keep its address when it lets us in, and show what else was found."""
    typed = {name: str(form.get(name, "")).strip() for name in _FIELDS}
    errors = _address_errors(typed)
    if errors:
        request.state.code = InvalidRequestError.code
        return _page(request, service, typed, errors=errors)
    try:
        checks = await service.server_address.connect(_login(typed, form), noted)
    except InvalidRequestError as exc:
        request.state.code = exc.code
        return _page(request, service, typed, errors={"host": said(exc)})
    if checks[0].state is CheckState.FAIL:
        request.state.code = checks[0].error.code if checks[0].error else AppError.code
        return _page(request, service, typed, checks=checks)
    return RedirectResponse(path_for(request, "examine_server"), HTTPStatus.SEE_OTHER)


def _address_errors(typed: Mapping[str, str]) -> dict[str, str]:
    """Say what is wrong with each field."""
    errors = {}
    if bool(typed["host"]) == bool(typed["socket"]):
        errors["host"] = "Either a host, or a socket of this machine."
    port = typed["port"]
    if port and not (_PORT.fullmatch(port) and 0 < int(port) <= _MOST_PORT):
        errors["port"] = f"A number from 1 to {_MOST_PORT}."
    if not typed["user"]:
        errors["user"] = "Whose account is it?"
    if typed["ssl_mode"] not in set(TlsMode):
        errors["ssl_mode"] = "One of these."
    return errors


def _login(typed: Mapping[str, str], form: FormData) -> ServerLogin:
    return ServerLogin(
        host=typed["host"],
        port=int(typed["port"]) if typed["port"] else None,
        socket=typed["socket"],
        user=typed["user"],
        password=str(form.get("password", "")),
        database=typed["database"],
        ssl_mode=typed["ssl_mode"],
        ssl_ca=typed["ssl_ca"],
    )


def _texts(login: ServerLogin) -> dict[str, str]:
    return {name: str(getattr(login, name) or "") for name in _FIELDS}


def _page(
    request: Request,
    service: Service,
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    checks: Sequence[DoctorCheck] = (),
) -> Response:
    # Never a 502, as in the API: proxies would put a page of their own in the place of this one.
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors or checks else HTTPStatus.OK,
        request,
        "connect.html",
        typed={name: typed.get(name, "") for name in _FIELDS},
        errors=errors or {},
        checks=checks,
        address=service.server_address,
        tls={mode.value: text for mode, text in _TLS.items()}.items(),
        accounts=_accounts(),
    )


def _accounts() -> list[tuple[str, str, str]]:
    """Return each kind of server with the statements for backups, and for restores as well."""
    return [
        (
            name,
            statements_for_user(flavor_of(version), restores=False),
            statements_for_user(flavor_of(version), restores=True),
        )
        for name, version in _KINDS.items()
    ]
