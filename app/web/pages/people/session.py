"""Logging in and out, the look of the pages, and what they load."""

from contextlib import suppress
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService, address, note_name
from app.errors import AppError, NotAuthenticatedError, NotFoundError, TooManyAttemptsError
from app.web.access import SentForm, Viewer, cookie_name, keep_login, safe_path
from app.web.assets import assets_by_file
from app.web.pages.people.users import said
from app.web.rendering import path_for, render, render_as


router = APIRouter()

_THEMES: Final = ("auto", "light", "dark")
_YEAR_SECONDS: Final = 31_536_000
_FOR_EVER: Final = f"public, max-age={_YEAR_SECONDS}, immutable"


@router.get("/login", name="web:log_in.form")
async def show_login(request: Request, service: CurrentService, next: str = "/") -> Response:  # noqa: A002 - a name in the address
    """Ask who somebody is; where nobody can log in yet, lead to making the first admin."""
    with suppress(AppError):  # without the control database the page is shown all the same
        if await service.first_admin.is_needed():
            return RedirectResponse(path_for(request, "set_up.form"), HTTPStatus.SEE_OTHER)
    return render(request, "login.html", next=safe_path(next), name="", failure="")


@router.post("/login", name="web:log_in")
async def log_in(request: Request, service: CurrentService, form: SentForm) -> Response:
    """Log a browser in, and lead to the page that was wanted."""
    name, wanted = str(form.get("name", "")), safe_path(str(form.get("next", "/")))
    await note_name(name, request, service)
    try:
        login = await service.browser_logins.open(
            name, str(form.get("password", "")), address(request)
        )
    except (NotAuthenticatedError, TooManyAttemptsError) as exc:
        request.state.code = exc.code
        limited = isinstance(exc, TooManyAttemptsError)
        status = HTTPStatus.TOO_MANY_REQUESTS if limited else HTTPStatus.UNAUTHORIZED
        page = render_as(status, request, "login.html", next=wanted, name=name, failure=said(exc))
        if isinstance(exc, TooManyAttemptsError):
            page.headers["Retry-After"] = str(exc.seconds)
        return page
    request.state.identity = login.identity
    answer = RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
    keep_login(request, answer, login)
    return answer


@router.post("/logout", name="web:log_out")
async def log_out(request: Request, service: CurrentService, login: Viewer) -> Response:
    """Log a browser out."""
    await service.browser_logins.close(login)
    answer = RedirectResponse(path_for(request, "log_in.form"), HTTPStatus.SEE_OTHER)
    answer.delete_cookie(
        cookie_name(request), secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )
    return answer


@router.post("/theme", name="web:who_am_i.theme")
async def choose_theme(request: Request, form: SentForm, login: Viewer) -> Response:  # noqa: ARG001 - who is logged in
    """Keep how bright somebody wants the pages."""
    wanted = str(form.get("theme", ""))
    answer = RedirectResponse(safe_path(str(form.get("next", "/"))), HTTPStatus.SEE_OTHER)
    if wanted in _THEMES:
        answer.set_cookie(
            "theme",
            wanted,
            max_age=_YEAR_SECONDS,
            secure=request.url.scheme == "https",
            samesite="lax",
            httponly=True,
        )
    return answer


@router.get("/assets/{file}", name="web:get_asset")
async def get_asset(request: Request, file: str) -> Response:
    """Send a style or script, which a browser may keep for ever."""
    asset = assets_by_file().get(file)
    if asset is None:
        raise NotFoundError("no such file")
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed, headers=headers, media_type=asset.media_type)
    return Response(asset.body, headers=headers, media_type=asset.media_type)
