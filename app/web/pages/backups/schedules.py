"""Schedules: listed, run, switched, made, changed and deleted; and what rules would do before they are saved."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from app.api.access import CurrentService, Noted
from app.bootstrap.service import Service
from app.domain.access.audit import ChangeNote
from app.domain.rights import Effect, may
from app.domain.schedule import GRACE, Schedule, ScheduleKind
from app.domain.server.inventory import Selection
from app.domain.store_trial import StoreFacts
from app.errors import (
    AppError,
    InvalidRequestError,
    InvalidScheduleError,
    NotAuthorizedError,
)
from app.services.access.browser_logins import BrowserLogin
from app.services.backups.retention_rules import policy_of
from app.web.access import SentForm, Viewer
from app.web.forms.schedule import (
    DueTime,
    RetentionPreview,
    change_of,
    compare,
    errors_of,
    field_of,
    next_times,
    typed_anew,
    typed_in,
    typed_of,
)
from app.web.forms.tables import Choosable, choosable
from app.web.launching import launch
from app.web.rendering import path_for, render, render_as, view_of


router = APIRouter(prefix="/schedules")

# A preview needs no name yet, and nobody calls a schedule that.
_UNNAMED = "not-named-yet"
# Nobody waits longer for a page because of a list that is a help.
_LIST_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class _Preview:
    """
    What a schedule would do.

    Attributes:
        schedule: None where it makes no sense.
        errors: Why it does not, by field.
        times: The next ones.
        retention: What its rules would do with the backups there are.
        selection: Which tables it would take now; None where nobody knows, or none is read.
        unseen: Why nobody knows.
    """

    schedule: Schedule | None
    errors: Mapping[str, str]
    times: tuple[DueTime, ...] = ()
    retention: RetentionPreview | None = None
    selection: Selection | None = None
    unseen: str = ""


@router.get("", name="web:get_schedule")
async def list_schedules(request: Request, service: CurrentService) -> Response:
    """List the schedules: when each is due, and how its last run ended."""
    now = view_of(request).now
    schedules = await service.program.schedules.list()
    rows = [(schedule, schedule.due_by(now), _state(schedule, now)) for schedule in schedules]
    usual = policy_of(service.program.settings)
    return render(request, "schedules.html", rows=rows, usual=usual)


@router.get("/edit", name="web:set_schedule.form")
async def edit_schedule(
    request: Request,
    service: CurrentService,
    login: Viewer,
    name: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Ask when backups are to be made, of what, and which are kept."""
    known = await service.program.schedules.get(name) if name else None
    typed = typed_of(known) if known else typed_anew(service.program.settings.timezone)
    if known is None:
        schedules = await service.program.schedules.list()
        typed["name"] = "" if schedules else "default"
    return await _form(request, service, login, typed, is_new=known is None)


# By GET: it changes nothing, and is asked for again and again while somebody types.
@router.get("/preview", name="web:set_schedule.preview")
async def preview_schedule(request: Request, service: CurrentService, login: Viewer) -> Response:
    """Show what a schedule that is not saved would do: within the form, or the whole page."""
    sent = request.query_params
    typed = typed_in(sent)
    if request.headers.get("HX-Request"):
        preview = await _preview(request, service, login, typed)
        return render(request, "parts/schedule_preview.html", preview=preview)
    return await _form(request, service, login, typed, is_new="is_new" in sent)


@router.post("/edit", name="web:set_schedule")
async def set_schedule(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, noted: Noted
) -> Response:
    """Save a schedule as it was typed."""
    typed, is_new = typed_in(form), "is_new" in form
    if errors := await _save(service, login, typed, noted, is_new=is_new):
        is_refused = "role" in errors
        request.state.code = (NotAuthorizedError if is_refused else InvalidRequestError).code
        return await _form(request, service, login, typed, is_new=is_new, errors=errors)
    request.state.about = f" of {typed['name'].strip()}"
    return _to_list(request)


@router.post("/{name}/run", name="web:run_scheduled")
async def run_scheduled(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, name: str
) -> Response:
    """Make the backup of a schedule now, whether or not it is due."""
    schedule = await service.program.schedules.get(name)
    due = await service.program.schedules.due(
        name=schedule.name, force=True, role=login.identity.role
    )
    return await launch(request, due.require_job, login, form)


@router.post("/{name}/enabled", name="web:set_schedule.enabled")
async def enable_schedule(
    request: Request, service: CurrentService, form: SentForm, noted: Noted, name: str
) -> Response:
    """Switch a schedule on or off, from now on."""
    enabled = str(form.get("enabled", "")) == "on"
    await service.program.schedules.enable(name, enabled=enabled, note=noted)
    return _to_list(request)


@router.post("/{name}/delete", name="web:delete_schedule")
async def delete_schedule(
    request: Request,
    service: CurrentService,
    login: Viewer,
    form: SentForm,
    noted: Noted,
    name: str,
) -> Response:
    """Delete a schedule whose name was typed; its backups stay."""
    schedule = await service.program.schedules.get(name)
    if str(form.get("typed", "")).strip() != schedule.name:
        request.state.code = InvalidRequestError.code
        errors = {"typed": "That is not its name; nothing was deleted."}
        return await _form(request, service, login, typed_of(schedule), is_new=False, errors=errors)
    await service.program.schedules.delete(schedule.name, noted)
    return _to_list(request)


async def _save(
    service: Service,
    login: BrowserLogin,
    typed: Mapping[str, str],
    noted: ChangeNote,
    *,
    is_new: bool,
) -> dict[str, str]:
    """Save what was typed; returns what is wrong with it, and then nothing was saved."""
    schedules = service.program.schedules
    try:
        change = change_of(typed, may_keep_less=_may_keep_less(login))
        if is_new and change.name in {schedule.name for schedule in await schedules.list()}:
            return {"name": "There is one of this name: change that, or choose another name."}
        await schedules.set(change, login.identity.role, noted)
    except (ValidationError, InvalidScheduleError, NotAuthorizedError) as exc:
        return _errors(exc)
    return {}


async def _form(
    request: Request,
    service: Service,
    login: BrowserLogin,
    typed: dict[str, str],
    *,
    is_new: bool,
    errors: Mapping[str, str] | None = None,
) -> Response:
    chosen_from = await _choosable(service, typed)
    preview = await _preview(request, service, login, typed)
    found = {**preview.errors, **(errors or {})} if _is_sent(request) else {}
    refused = HTTPStatus.FORBIDDEN if "role" in found else HTTPStatus.UNPROCESSABLE_ENTITY
    usual = policy_of(service.program.settings)
    names = {schedule.name for schedule in await service.program.schedules.list()}
    return render_as(
        refused if found else HTTPStatus.OK,
        request,
        "schedule_edit.html",
        typed=typed,
        errors=found,
        is_new=is_new or typed["name"] not in names,
        preview=preview,
        usual=usual,
        kept=preview.schedule.retention if preview.schedule else None,
        may_keep_less=_may_keep_less(login),
        stores=await _stores(service, typed),
        is_encrypted=bool(service.program.settings.encrypt_to),
        choosable=chosen_from,
        command_text=_command(typed),
    )


async def _stores(service: Service, typed: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name the stores that can be chosen, and what was chosen that nobody defines any more."""
    try:
        known = await service.program.stores.list()
    except AppError:  # its page says why
        known = ()
    names = {store.name for store in known}
    chosen = {*typed["copies"].split(), typed["store"].strip()} - {"", *names}
    return [
        *((store.name, f"{store.name} ({_kind_of(store)})") for store in known),
        *((name, f"{name}, not defined") for name in sorted(chosen)),
    ]


def _kind_of(store: StoreFacts) -> str:
    return f"{store.kind}, off-site" if store.is_offsite else f"{store.kind}, not off-site"


def _is_sent(request: Request) -> bool:
    """Tell whether somebody has typed what the form holds."""
    return request.method == "POST" or request.url.path.endswith("/preview")


async def _preview(
    request: Request, service: Service, login: BrowserLogin, typed: Mapping[str, str]
) -> _Preview:
    program = service.program
    typed = {**typed, "name": typed["name"].strip() or _UNNAMED}
    try:
        change = change_of(typed, may_keep_less=_may_keep_less(login))
        wanted = await program.schedules.preview(change, login.identity.role)
    except (ValidationError, InvalidScheduleError, NotAuthorizedError) as exc:
        return _Preview(None, _errors(exc))
    plans = await program.retention.compare(wanted)
    times = tuple(next_times(wanted, view_of(request).now))
    selection, unseen = await _selection(service, wanted)
    return _Preview(wanted, {}, times, compare(*plans, wanted.name), selection, unseen)


async def _selection(service: Service, wanted: Schedule) -> tuple[Selection | None, str]:
    """Tell which tables a schedule would take now, or why nobody knows."""
    if wanted.kind is ScheduleKind.SYNTHETIC:
        return None, ""
    options = wanted.options
    names = options.databases, options.tables, options.exclude_tables
    try:
        return await service.inventory.select(*names, within=_LIST_SECONDS, anew=False), ""
    except AppError as exc:
        return None, f"{_sentence(exc)} {exc.hint}"


async def _choosable(service: Service, typed: Mapping[str, str]) -> Choosable:
    """Return what of the server can be ticked now."""
    try:
        return choosable(await service.inventory.read(_LIST_SECONDS), typed)
    except AppError as exc:
        return choosable(None, typed, f"{_sentence(exc)} {exc.hint}")


def _errors(
    error: ValidationError | InvalidScheduleError | NotAuthorizedError,
) -> dict[str, str]:
    """Return what is wrong, by field; `role` = the role of whoever asks is not enough."""
    match error:
        case ValidationError():
            return errors_of(error)
        case NotAuthorizedError():
            return {"role": f"{_sentence(error)} {error.hint}"}
        case _:
            return {field_of(error): f"{_sentence(error)} {error.hint}"}


def _sentence(error: AppError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _state(schedule: Schedule, now: datetime) -> str:
    """Say how a schedule does, in a word that its page knows."""
    due = schedule.due_by(now)
    if not schedule.enabled:
        return "off"
    if due is not None and due <= now:
        return "due" if now - due < GRACE else "overdue"
    return "failed" if schedule.last_error else "on"


def _may_keep_less(login: BrowserLogin) -> bool:
    return may(login.identity.role, Effect.KEEP_LESS)


def _command(typed: Mapping[str, str]) -> str:
    """Return the command that does the same, as far as it is about times and places."""
    when = typed["when"]
    kind = ["--kind", typed["kind"]] if typed["kind"] == "synthetic" else []
    times = ["--cron", typed["cron"]] if when == "cron" else ["--frequency", when]
    zone = ["--timezone", typed["timezone"]] if typed["timezone"] else []
    places = ["--store", typed["store"]] if typed["store"] else []
    places += [word for name in typed["copies"].split() for word in ("--copies", name)]
    name = typed["name"] or "default"
    return shlex.join(["backstay", "schedule", "set", name, *kind, *times, *zone, *places])


def _to_list(request: Request) -> Response:
    return RedirectResponse(path_for(request, "get_schedule"), HTTPStatus.SEE_OTHER)
