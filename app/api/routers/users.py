"""Users of the service."""

from fastapi import APIRouter

from app.api.access import CurrentService, Noted
from app.api.bodies import UserBody, UserChangeBody
from app.api.openapi_responses import CHANGES, READS, READS_ONE
from app.documents.access import UserDocument, UserList


router = APIRouter(prefix="/api/admin/users", tags=["users"])


@router.get("", responses=READS)
async def list_users(service: CurrentService) -> UserList:
    """List the users by name."""
    return UserList.of(await service.access.users.list())


@router.post("", status_code=201, responses=CHANGES)
async def create_user(service: CurrentService, noted: Noted, body: UserBody) -> UserDocument:
    """Add a user, who logs in with name and password."""
    password = body.password.get_secret_value()
    user = await service.access.users.create(body.name, password, body.role, noted)
    return UserDocument.of(user)


@router.get("/{name}", responses=READS_ONE)
async def get_user(name: str, service: CurrentService) -> UserDocument:
    """Show a user."""
    return UserDocument.of(await service.access.users.get(name))


@router.patch("/{name}", responses=CHANGES)
async def change_user(
    name: str, service: CurrentService, noted: Noted, body: UserChangeBody
) -> UserDocument:
    """
    Change role or password of a user, or disable them.

    A new password and disabling end their logins at once; the last admin stays one.
    """
    user = await service.access.users.change(
        name,
        role=body.role,
        password=body.password.get_secret_value() if body.password else None,
        disabled=body.disabled,
        note=noted,
    )
    return UserDocument.of(user)
