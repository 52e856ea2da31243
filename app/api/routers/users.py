"""Users of the service."""

from dataclasses import asdict

from fastapi import APIRouter

from app.api.access import Admin, Parts
from app.api.answers import UserAnswer, UserFacts, UserList
from app.api.bodies import UserBody, UserChangeBody
from app.api.openapi_responses import CHANGES, READS, READS_ONE
from app.domain.access.user import User


router = APIRouter(prefix="/api/admin/users", tags=["users"])


@router.get("", responses=READS)
async def list_users(_: Admin, parts: Parts) -> UserList:
    """List the users by name."""
    return UserList(success=True, users=tuple(map(_facts, await parts.people.users.list())))


@router.post("", status_code=201, responses=CHANGES)
async def create_user(_: Admin, parts: Parts, body: UserBody) -> UserAnswer:
    """Add a user, who logs in with name and password."""
    password = body.password.get_secret_value()
    user = await parts.people.users.create(body.name, password, body.role)
    return UserAnswer(success=True, user=_facts(user))


@router.get("/{name}", responses=READS_ONE)
async def get_user(name: str, _: Admin, parts: Parts) -> UserAnswer:
    """Show a user."""
    return UserAnswer(success=True, user=_facts(await parts.people.users.get(name)))


@router.patch("/{name}", responses=CHANGES)
async def change_user(name: str, _: Admin, parts: Parts, body: UserChangeBody) -> UserAnswer:
    """
    Change role or password of a user, or disable them.

    A new password and disabling end their logins at once; the last admin stays one.
    """
    user = await parts.people.users.change(
        name,
        role=body.role,
        password=body.password.get_secret_value() if body.password else None,
        disabled=body.disabled,
    )
    return UserAnswer(success=True, user=_facts(user))


def _facts(user: User) -> UserFacts:
    fields = {key: value for key, value in asdict(user).items() if key != "password_hash"}
    return UserFacts.model_validate(fields)
