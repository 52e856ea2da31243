"""Account: the password and the logins of whoever looks."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService, Noted, address
from app.bootstrap.service import Service
from app.domain.access.user import MIN_PASSWORD, require_password
from app.errors import InvalidRequestError, NotAuthenticatedError, TooManyAttemptsError
from app.services.access.browser_logins import BrowserLogin
from app.web.access import SentForm, Viewer, keep_login
from app.web.pages.people.users import said
from app.web.rendering import path_for, render_as


router = APIRouter(prefix="/account")

# A program that logs in every few minutes has thousands, which end by themselves.
_LOGINS_SHOWN: Final = 50


@router.get("", name="web:change_password.form")
async def show_account(
    request: Request,
    service: CurrentService,
    login: Viewer,
    changed: bool = False,  # noqa: FBT001, FBT002 - a word in the address
) -> Response:
    """Show the own role and logins, and ask for another password."""
    return await _page(request, service, login, {}, is_changed=changed)


@router.post("/password", name="web:change_password")
async def change_password(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, noted: Noted
) -> Response:
    """Change the own password, which ends all own logins but a new one of this browser."""
    name, new = login.identity.name, str(form.get("new", ""))
    if new != str(form.get("again", "")):
        return await _page(request, service, login, {"again": "That is another one."})
    try:
        require_password(new)
    except InvalidRequestError as exc:
        return await _page(request, service, login, {"new": said(exc)})
    try:
        await service.browser_logins.prove(login, str(form.get("old", "")), address(request))
    except NotAuthenticatedError:
        return await _page(request, service, login, {"old": "That is not your password."})
    except TooManyAttemptsError as exc:
        return await _page(request, service, login, {"old": said(exc)})
    await service.access.users.change(name, password=new, note=noted)
    fresh = await service.browser_logins.open(name, new, address(request))
    path = f"{path_for(request, 'change_password.form')}?changed=true"
    answer = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    keep_login(request, answer, fresh)
    return answer


@router.post("/logins/end", name="web:change_password.end")
async def end_login(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """End an own login; the page goes on with the one of this browser."""
    wanted = str(form.get("login", ""))
    is_ended = await service.sign_ins.end_session(login.identity.name, wanted)
    request.state.is_renewal = not is_ended
    return RedirectResponse(path_for(request, "change_password.form"), HTTPStatus.SEE_OTHER)


async def _page(
    request: Request,
    service: Service,
    login: BrowserLogin,
    errors: dict[str, str],
    *,
    is_changed: bool = False,
) -> Response:
    if errors:
        request.state.code = InvalidRequestError.code
    current = login.identity.session_id
    sessions = await service.sign_ins.list_sessions(login.identity.name)
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "account.html",
        sessions=sorted(sessions, key=lambda each: each.session_id != current)[:_LOGINS_SHOWN],
        sessions_count=len(sessions),
        current=current,
        errors=errors,
        is_changed=is_changed,
        least=MIN_PASSWORD,
    )
