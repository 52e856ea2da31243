"""Who makes a request, and whether they may."""

from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer

from app.bootstrap.service import Service
from app.domain.access.audit import ChangeNote
from app.domain.access.user import Identity, Role
from app.domain.rights import least_role
from app.domain.runs.run import Origin, Requester
from app.errors import NotAuthenticatedError, NotAuthorizedError
from app.telemetry.context import bind


# Before the operation in the names of routes that are pages for a browser.
PAGE_PREFIX: Final = "web:"
_SCOPES: Final = {
    Role.VIEWER: "Read everything but the audit.",
    Role.OPERATOR: "Make, verify and test backups, and say when they are made.",
    Role.ADMIN: "Restore, undo, delete, download, keep less; users and the audit.",
}
_bearer: Final = OAuth2PasswordBearer(
    tokenUrl="/api/auth/token",
    refreshUrl="/api/auth/refresh",
    scopes={role.value: text for role, text in _SCOPES.items()},
    description="A login here, or a token of another application with the shared secret.",
    auto_error=False,
)


async def current_service(request: Request) -> Service:
    """Return the service that this application is of."""
    found = request.app.state.service
    assert isinstance(found, Service)  # noqa: S101 - the state of an application is untyped
    return found


CurrentService = Annotated[Service, Depends(current_service)]


async def guard(
    request: Request,
    service: CurrentService,
    token: Annotated[str | None, Depends(_bearer)],
) -> None:
    """
    Tell who makes a request, and refuse when their role is not enough; every route is guarded by it.

    Raises:
        NotAuthenticatedError: No token, or one that is not good.
        NotAuthorizedError: The role does not allow it.
    """
    needed = least_role(operation_of(request))
    if needed is None:
        return
    # Of several headers, whatever stands in front of the service may have looked at another one.
    if not token or len(request.headers.getlist("Authorization")) > 1:
        raise NotAuthenticatedError(
            "no token", hint="Log in, and send one access token with each request."
        )
    identity = await service.sign_ins.identify(token)
    request.state.identity = identity
    bind(user=identity.name)
    if not identity.role.allows(needed):
        raise NotAuthorizedError(
            f"the role {needed} is needed", hint="Ask an admin of this service."
        )


def operation_of(request: Request) -> str:
    """Return the name of the operation that a request asks for, which the table of rights has."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101 - only such routes are guarded
    return operation_name(route)


def operation_name(route: APIRoute) -> str:
    """Return the operation of a route; one of a page is called `web:OPERATION` or `web:OPERATION.part`."""
    return route.name.removeprefix(PAGE_PREFIX).partition(".")[0]


async def _current_identity(request: Request) -> Identity:
    found = request.state.identity
    assert isinstance(found, Identity)  # noqa: S101 - the state of a request is untyped
    return found


async def _noted(request: Request) -> ChangeNote:
    """Let the audit have what a route changes."""
    note = request.state.changes = ChangeNote()
    return note


Noted = Annotated[ChangeNote, Depends(_noted)]


# Of routes that are not for everybody.
Caller = Annotated[Identity, Depends(_current_identity)]


def requester_of(identity: Identity) -> Requester:
    """Name to the history who makes a request."""
    return Requester(identity.name, Origin.API)


async def note_name(name: str, request: Request, service: Service) -> None:
    """Name to the audit who wants to log in; what is no user's name may be a password, typed there."""
    known = await service.sign_ins.find_name(name)
    if known:
        request.state.known_about = known
    else:
        known = f"unknown {await service.access.audit.fingerprint(name)}"
    request.state.about = f" as {known}"


def address(request: Request) -> str:
    """Return where a request comes from; a server in front is asked only where that is trusted."""
    return request.client.host if request.client else ""
