"""Users: listed, made and changed by an admin; everybody changes their own password under Account."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.api.access import CurrentService, Noted
from app.api.problems import status_of
from app.bootstrap.service import Service
from app.domain.access.user import MIN_PASSWORD, Role
from app.errors import (
    AppError,
    ConflictError,
    InvalidRequestError,
    UserExistsError,
)
from app.web.access import SentForm, Viewer
from app.web.rendering import path_for, render, render_as


router = APIRouter()

_MEANINGS: Final = {
    Role.VIEWER: "sees everything but users and the audit",
    Role.OPERATOR: "also makes, verifies and drills backups, and says when they are made",
    Role.ADMIN: "may do everything: restore, delete, keep less, manage users",
}


@router.get("/users", name="web:list_users")
async def list_users(request: Request, service: CurrentService) -> Response:
    """List who may log in, and what they may do."""
    return render(request, "users.html", users=await service.access.users.list())


@router.get("/new-user", name="web:create_user.form")
async def ask_for_user(request: Request) -> Response:
    """Ask for a new user."""
    return _new_user(request, "", Role.VIEWER.value, {})


@router.post("/users", name="web:create_user")
async def create_user(
    request: Request, service: CurrentService, form: SentForm, noted: Noted
) -> Response:
    """Add a user, who logs in with name and password."""
    name, wanted = str(form.get("name", "")).strip(), str(form.get("role", ""))
    role, errors = _role(wanted), {}
    try:
        if role is None:
            errors["role"] = "Choose a role."
        else:
            password = str(form.get("password", ""))
            await service.access.users.create(name, password, role, noted)
    except UserExistsError as exc:
        errors["name"] = said(exc)
    except InvalidRequestError as exc:
        errors["password" if "password" in str(exc) else "name"] = said(exc)
    if errors:
        request.state.code = InvalidRequestError.code
        return _new_user(request, name, wanted, errors)
    return RedirectResponse(path_for(request, "list_users"), HTTPStatus.SEE_OTHER)


@router.get("/users/{name}", name="web:get_user")
async def show_user(request: Request, service: CurrentService, name: str) -> Response:
    """Show a user, and what of them can be changed."""
    return await _user_page(request, service, name)


@router.post("/users/{name}/role", name="web:change_user.role")
async def change_role(
    request: Request, service: CurrentService, form: SentForm, noted: Noted, name: str
) -> Response:
    """Let a user do more, or less."""
    role = _role(str(form.get("role", "")))
    if role is None:
        return await _user_page(request, service, name, "role", InvalidRequestError("no such role"))
    try:
        await service.access.users.change(name, role=role, note=noted)
    except ConflictError as exc:
        return await _user_page(request, service, name, "role", exc)
    return _back(request, name)


@router.post("/users/{name}/password", name="web:change_user.password")
async def change_password(
    request: Request, service: CurrentService, form: SentForm, noted: Noted, name: str
) -> Response:
    """Give a user another password, which ends their logins."""
    try:
        password = str(form.get("password", ""))
        await service.access.users.change(name, password=password, note=noted)
    except InvalidRequestError as exc:
        return await _user_page(request, service, name, "password", exc)
    return _back(request, name)


@router.post("/users/{name}/disabled", name="web:change_user.disabled")
async def disable_user(
    request: Request,
    service: CurrentService,
    login: Viewer,
    form: SentForm,
    noted: Noted,
    name: str,
) -> Response:
    """Keep a user from logging in, or let them again."""
    disabled = str(form.get("disabled", "")) == "on"
    if disabled and name.lower() == login.identity.name:
        error = ConflictError("you would lock yourself out", hint="Let another admin do it.")
        return await _user_page(request, service, name, "disabled", error)
    try:
        await service.access.users.change(name, disabled=disabled, note=noted)
    except ConflictError as exc:
        return await _user_page(request, service, name, "disabled", exc)
    return _back(request, name)


def said(error: AppError) -> str:
    """Return what went wrong as sentences."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}.{f' {error.hint}' if error.hint else ''}"


def _role(text: str) -> Role | None:
    return next((role for role in Role if role.value == text), None)


def _new_user(request: Request, name: str, role: str, errors: dict[str, str]) -> Response:
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "user_new.html",
        typed={"name": name, "role": role},
        errors=errors,
        meanings=_MEANINGS,
        least=MIN_PASSWORD,
    )


async def _user_page(
    request: Request,
    service: Service,
    name: str,
    field: str = "",
    error: AppError | None = None,
) -> Response:
    user = await service.access.users.get(name)
    status = HTTPStatus.OK
    if error is not None:
        request.state.code = error.code
        is_wrong = isinstance(error, InvalidRequestError)
        status = HTTPStatus.UNPROCESSABLE_ENTITY if is_wrong else status_of(type(error))
    return render_as(
        status,
        request,
        "user.html",
        user=user,
        sessions=await service.sign_ins.list_sessions(user.name),
        errors={field: said(error)} if error else {},
        meanings=_MEANINGS,
        least=MIN_PASSWORD,
    )


def _back(request: Request, name: str) -> Response:
    return RedirectResponse(path_for(request, "get_user", name=name), HTTPStatus.SEE_OTHER)
