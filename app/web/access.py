"""Who looks at a page, and whether they may."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.access import CurrentService, operation_of
from app.bootstrap.service import Service
from app.domain.rights import least_role
from app.domain.runs.run import Origin, Requester
from app.errors import AppError, NotAuthenticatedError, NotAuthorizedError
from app.services.access.browser_logins import BrowserLogin
from app.services.monitoring.overview import Counts
from app.telemetry.context import bind
from app.web import csrf


_SAFE: Final = frozenset({"GET", "HEAD"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = "application/x-www-form-urlencoded"
# Longer forms are no forms of ours.
_MAX_FIELDS: Final = 2000
# Browsers take no longer headers than some kilobytes; quoting makes three characters of one.
_MOST_PATH: Final = 1000


class LoginNeededError(Exception):
    """Somebody looks for a page who is not logged in: no failure, they are led to the login and back."""

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


async def guard(request: Request, service: CurrentService) -> None:
    """
    Tell who looks at a page, and refuse when their role is not enough; every page is guarded by it.

    Raises:
        LoginNeededError: Nobody is logged in who looks for a page.
        NotAuthenticatedError: Nobody is logged in who sends a form.
        NotAuthorizedError: The role does not allow it, or a form comes from elsewhere.
    """
    request.state.login = None
    is_change = request.method not in _SAFE
    if is_change:
        csrf.require_same_site(request)
    needed = least_role(operation_of(request))
    if needed is None:
        return
    if is_change:
        request.state.is_unproven = True
    login = await _login(request, service)
    request.state.login, request.state.identity = login, login.identity
    bind(user=login.identity.name)
    await _tell_menu(request, service)
    if is_change:
        form = await read_form(request)
        csrf.require_token(str(form.get(csrf.FIELD, "")), login.secret)
        request.state.is_unproven = False
    if not login.identity.role.allows(needed):
        raise NotAuthorizedError(f"the role {needed} is needed", hint="Ask an admin.")


async def recognise(request: Request, service: Service) -> None:
    """Tell who looks at what is no page, where nobody was asked, so that the way back is theirs."""
    request.state.login = None
    with suppress(AppError):
        request.state.login = await _identify(request, service)
        await _tell_menu(request, service)


async def _tell_menu(request: Request, service: Service) -> None:
    """Keep what is above and beside every page."""
    request.state.counts = await _counts(service)
    server = service.program.server
    request.state.where = server.where if server.is_set else ""


async def _counts(service: Service) -> Counts | None:
    """Count what the menu shows; None where the history does not answer, which other pages tell."""
    try:
        return await service.overview.counts()
    except AppError:
        return None


async def _login(request: Request, service: CurrentService) -> BrowserLogin:
    try:
        return await _identify(request, service)
    except NotAuthenticatedError as exc:
        # A part of a page that is there already leads nowhere: it says so in its place.
        if request.method not in _SAFE or request.headers.get("HX-Request"):
            raise
        query = f"?{request.url.query}" if request.url.query else ""
        raise LoginNeededError(request.url.path + query) from exc


async def _identify(request: Request, service: Service) -> BrowserLogin:
    return await service.browser_logins.identify(request.cookies.get(cookie_name(request), ""))


def cookie_name(request: Request) -> str:
    """Return the name of the login's cookie; without TLS with the port in it, which cookies ignore."""
    if request.url.scheme == "https":
        return "__Host-backstay"
    port = request.url.port or _DEFAULT_PORTS.get(request.url.scheme, 0)
    return f"backstay-{port}"


async def _current_login(request: Request) -> BrowserLogin:
    login = request.state.login
    assert isinstance(login, BrowserLogin)  # noqa: S101 - the state of a request is untyped
    return login


async def read_form(request: Request) -> FormData:
    """Read what was sent, once; raises HTTPException."""
    # As a browser sends those of our pages. In others the request names the codec of its text, such as `punycode`,
    # whose errors the parser does not know.
    if not request.headers.get("Content-Type", "").startswith(_FORM):
        return FormData()
    try:
        return await request.form(max_fields=_MAX_FIELDS)
    except ClientDisconnect as exc:  # as the framework answers for the API: nobody hears it
        raise HTTPException(HTTPStatus.BAD_REQUEST) from exc


# Of pages that are not for everybody.
Viewer = Annotated[BrowserLogin, Depends(_current_login)]
# What was sent; read once.
SentForm = Annotated[FormData, Depends(read_form)]


def keep_login(request: Request, answer: Response, login: BrowserLogin) -> None:
    """Let the browser keep a login, where scripts and other sites do not get at it."""
    answer.set_cookie(
        cookie_name(request),
        login.cookie,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def requester_of(login: BrowserLogin) -> Requester:
    """Name to the history who sends a form."""
    return Requester(login.identity.name, Origin.WEB)


def safe_path(path: str) -> str:
    """Return where to go after a login: a path of ours, whatever was asked for."""
    is_ours = (
        path.startswith("/")
        and not path.startswith(("//", "/\\"))
        and path.isprintable()
        and len(path) <= _MOST_PATH
    )
    return quote(path, safe="/?=&%:+,.-_~#") if is_ours else "/"
