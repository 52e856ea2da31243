"""Logins."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from app.api.access import Caller, CurrentService, Noted, address, note_name
from app.api.bodies import LogoutBody, RefreshBody
from app.api.openapi_responses import GUARDED, LOGS_OUT, SIGNS_IN
from app.documents.access import GrantedTokens, IdentityFacts
from app.domain.access.user import Identity


router = APIRouter(prefix="/api/auth", tags=["login"])


@router.post("/token", responses=SIGNS_IN)
async def log_in(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], request: Request, service: CurrentService
) -> GrantedTokens:
    """
    Log in with user name and password.

    The answer's access token goes into the header `Authorization: Bearer TOKEN` of every request. It
    is good for some minutes; the refresh token gets the next one.
    """
    await note_name(form.username, request, service)
    grant = await service.sign_ins.sign_in(form.username, form.password, address(request))
    request.state.identity = Identity(form.username.lower(), grant.role)
    return GrantedTokens.of(grant)


@router.post("/refresh", responses=SIGNS_IN)
async def refresh(
    body: RefreshBody, request: Request, service: CurrentService, noted: Noted
) -> GrantedTokens:
    """
    Exchange a refresh token for new tokens.

    A refresh token is good once; one that comes again ends the login, since somebody has a copy.
    """

    def ended(user: str) -> None:
        request.state.about = f" of {user}"
        request.state.has_effect = True
        noted.take({"login": "open"}, {"login": "ended: its refresh token came again"})

    grant = await service.sign_ins.refresh(body.refresh_token, address(request), ended)
    request.state.identity = Identity(grant.user, grant.role)
    request.state.is_renewal = True
    return GrantedTokens.of(grant)


@router.post("/logout", status_code=204, responses=LOGS_OUT)
async def log_out(
    identity: Caller, request: Request, service: CurrentService, body: LogoutBody | None = None
) -> Response:
    """End the login of this token, or of the refresh token in the body."""
    token = body.refresh_token if body else None
    whose = await service.sign_ins.sign_out(token or identity)
    request.state.is_renewal = not whose
    if whose not in {"", identity.name}:
        request.state.about = f" of {whose}"
    return Response(status_code=204)


@router.get("/me", responses=GUARDED)
async def who_am_i(identity: Caller) -> IdentityFacts:
    """Tell whose token this is."""
    return IdentityFacts.of(identity)
