"""The way to a restore: which backup, what and where, a dry run, the last question; and undo."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from app.api.access import CurrentService, address
from app.bootstrap.service import Service
from app.domain.backups.backup import BackupFilter
from app.domain.backups.manifest import Manifest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.domain.stores import Page
from app.errors import (
    DatabaseNotFoundError,
    InvalidRequestError,
    NotAuthenticatedError,
    RunNotFoundError,
    TableNotFoundError,
    TooManyAttemptsError,
)
from app.services.access.browser_logins import BrowserLogin
from app.web.access import SentForm, Viewer
from app.web.days import DayText, span_of
from app.web.filters import opening
from app.web.forms.restore import (
    ambiguity,
    body_of,
    choices_of,
    command_of,
    dry_run_problem,
    fields_of,
    form_errors,
    request_again,
    request_of,
    sentence_of,
    word_to_type,
)
from app.web.launching import find_launched, launch
from app.web.paging import Part, page_of
from app.web.phases import steps_of
from app.web.rendering import path_for, render, render_as, view_of


router = APIRouter()

# More than that nobody ticks; globs choose them.
_TABLES_SHOWN = 300
# Runs of which is known what was asked for.
_ASKED = (RunKind.RESTORE, RunKind.DRILL, RunKind.DRY_RUN)
# After one of them a dry run tells what was.
_CHANGES = (RunKind.RESTORE, RunKind.UNDO)
_MAY_HAVE_CHANGED = tuple(
    state for state in RunState if state not in {RunState.FAILED, RunState.CANCELLED}
)


class ChoiceQuery(BaseModel):
    """Among which backups is chosen; empty = no condition."""

    database: Annotated[str, Field(max_length=200)] = ""
    day: DayText = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@router.get("/restore", name="web:get_recovery_options.choose")
async def choose_backup(
    request: Request, service: CurrentService, query: Annotated[ChoiceQuery, Query()]
) -> Response:
    """Ask which backup is to be restored; the newest good one is the first."""
    zone = ZoneInfo(service.program.settings.timezone)
    since, until = span_of(query.day, zone)
    wanted = BackupFilter(database=query.database, created_after=since, created_before=until)
    found = await service.program.backups.list(wanted, page_of(query.page))
    health = await service.program.health.read()
    asked = query.model_dump(exclude={"page"})
    return render(
        request,
        "restore_backup.html",
        entries=found.entries,
        faults=health.faults,
        part=Part(query.page, found.total, asked),
        locked=len(found.survey.locked),
        names=sorted({name for entry in health.survey.entries for name in entry.databases}),
        query=asked,
        zone=zone.key,
    )


@router.get("/restore/{backup_id}", name="web:get_recovery_options")
async def choose_parts(
    request: Request, service: CurrentService, backup_id: str, database: str = "", again: str = ""
) -> Response:
    """Ask what of a backup is to be restored, and where to; `again` is a run that did so before."""
    manifest = await service.program.backups.info(backup_id)
    run = await _find_run(service, again) if again else None
    if run is not None and run.kind in _ASKED and run.backup_id == manifest.backup_id:
        chosen_before = choices_of(request_again(run), manifest, is_drill=run.kind is RunKind.DRILL)
        return await _choices(request, service, manifest, chosen_before)
    names = [entry.name for entry in manifest.databases]
    chosen = {"scope": "all", "where": "place"}
    if manifest.backup_id in (await service.program.health.read()).faults:
        chosen["scope"] = "tables"  # those that are whole
    elif database in names and len(names) > 1:
        chosen |= {"scope": "databases", "database": database, "preset": database}
    return await _choices(request, service, manifest, FormData(chosen))


@router.post("/restore/{backup_id}/rehearse", name="web:rehearse_restore")
async def dry_run_or_drill(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Make a dry run of a restore, or a drill of it."""
    wanted = request_of(form, backup_id, service.program.settings.threads)
    if (refused := await _refused(request, service, wanted, form)) is not None:
        return refused
    if form.get("where") == "drill":
        return await launch(request, partial(service.program.jobs.drill, wanted), login, form)
    answer = await launch(request, partial(service.program.jobs.dry_run, wanted), login, form)
    run_id = request.state.run_id
    path = path_for(request, "rehearse_restore.result", backup_id=backup_id, run_id=run_id)
    answer.headers["Location"] = path
    return answer


@router.get("/restore/{backup_id}/dry-run/{run_id}", name="web:rehearse_restore.result")
async def show_dry_run(
    request: Request, service: CurrentService, backup_id: str, run_id: str
) -> Response:
    """Show what a restore would do, as soon as it is known."""
    run = await service.program.runs.get(run_id)
    if run.kind is not RunKind.DRY_RUN:
        raise RunNotFoundError(f"{run_id!r} is no dry run")
    manifest, wanted = await service.program.backups.info(backup_id), request_again(run)
    return render(
        request, "restore_dry_run.html", run=run, manifest=manifest, steps=steps_of(run),
        undoable=None, may_repeat=False, chosen_again=not run.store, fields=tuple(fields_of(wanted)),
        command_line=f"{command_of(wanted)} --dry-run", body=body_of(wanted),
    )  # fmt: skip


@router.post("/restore/{backup_id}/confirm", name="web:restore_backup.confirm")
async def ask_to_confirm(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Ask the last question before a restore."""
    wanted = request_of(form, backup_id, service.program.settings.threads)
    if (refused := await _refused(request, service, wanted, form, restores=True)) is not None:
        return refused
    return await _last_question(request, service, login, wanted, form)


@router.post("/restore/{backup_id}", name="web:restore_backup")
async def restore(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Restore, when everything was typed that must be."""
    wanted = request_of(form, backup_id, service.program.settings.threads)
    if form_errors(form, restores=True):
        raise InvalidRequestError(
            "the form does not say what is to be restored, or where to; nothing was begun",
            hint="Go back, and choose it once more.",
        )
    # Sent twice: what was tried before the restore has changed by it.
    if launched := await find_launched(request, login, form):
        return launched
    plan = await service.program.recoveries.plan(wanted)
    errors: dict[str, str] = {}
    if str(form.get("typed", "")).strip() != word_to_type(plan):
        errors["typed"] = "That is not what is to be typed."
    if "skip" not in form:
        run = await _find_run(service, str(form.get("dry_run", "")))
        if problem := await _dry_run_problem(request, service, run, wanted):
            errors["dry_run"] = problem
    if not errors and (problem := await prove_again(request, service, login, form)):
        errors["password"] = problem
    if errors:
        return await _last_question(request, service, login, wanted, form, errors)
    return await launch(request, partial(service.program.jobs.restore, wanted), login, form)


@router.get("/undo/{restore_id}", name="web:undo_restore.form")
async def ask_to_undo(
    request: Request, service: CurrentService, login: Viewer, restore_id: str
) -> Response:
    """Ask before a restore is taken back."""
    return await _undo_question(request, service, login, restore_id)


@router.post("/undo/{restore_id}", name="web:undo_restore")
async def undo(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, restore_id: str
) -> Response:
    """Take a restore back."""
    if problem := await prove_again(request, service, login, form):
        return await _undo_question(request, service, login, restore_id, problem)
    return await launch(request, partial(service.program.jobs.undo, restore_id), login, form)


async def _refused(
    request: Request,
    service: Service,
    wanted: RestoreRequest,
    form: SentForm,
    *,
    restores: bool = False,
) -> Response | None:
    """Return the choices again, with what is wrong with them; None = nothing is."""
    errors = await _choice_errors(service, wanted, form, restores=restores)
    if not errors:
        return None
    manifest = await service.program.backups.info(wanted.backup_id)
    return await _choices(request, service, manifest, form, errors)


async def prove_again(
    request: Request, service: Service, login: BrowserLogin, form: SentForm
) -> str:
    """Take the password once more, unless it was given lately; returns what is wrong with it."""
    if service.browser_logins.is_proven(login):
        return ""
    try:
        await service.browser_logins.prove(login, str(form.get("password", "")), address(request))
    except (NotAuthenticatedError, TooManyAttemptsError) as exc:
        limited = isinstance(exc, TooManyAttemptsError)
        return str(exc) if limited else "That is not your password."
    return ""


async def _choice_errors(
    service: Service, wanted: RestoreRequest, form: FormData, *, restores: bool
) -> dict[str, str]:
    """Say what is wrong with what was chosen; a backup that is not there is raised."""
    if errors := form_errors(form, restores=restores):
        return errors
    try:
        plan = await service.program.recoveries.plan(wanted)
    except (DatabaseNotFoundError, TableNotFoundError, InvalidRequestError) as exc:
        what = "where" if wanted.into and isinstance(exc, InvalidRequestError) else "scope"
        return {what: opening(f"{exc}. {exc.hint}".rstrip())}
    problem = ambiguity(form, plan)
    return {"scope": problem} if problem else {}


async def _choices(
    request: Request,
    service: Service,
    manifest: Manifest,
    form: FormData,
    errors: Mapping[str, str] | None = None,
) -> Response:
    """Show what can be chosen of a backup, with what was chosen."""
    health = await service.program.health.read()
    tables = [(entry.name, table) for entry in manifest.databases for table in entry.tables]
    request.state.code = InvalidRequestError.code if errors else "ok"
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "restore_what.html",
        manifest=manifest,
        fault=health.faults.get(manifest.backup_id, ""),
        tables=tables if len(tables) <= _TABLES_SHOWN else (),
        tables_count=len(tables),
        away=await service.status.server_error(),
        form=form,
        ticked=frozenset(map(str, [*form.getlist("table"), *form.getlist("database")])),
        errors=errors or {},
    )


async def _last_question(
    request: Request,
    service: Service,
    login: BrowserLogin,
    wanted: RestoreRequest,
    form: SentForm,
    errors: dict[str, str] | None = None,
) -> Response:
    plan = await service.program.recoveries.plan(wanted)
    run = None if "skip" in form else await _find_run(service, str(form.get("dry_run", "")))
    if "skip" not in form and (problem := await _dry_run_problem(request, service, run, wanted)):
        errors, run = {"dry_run": problem, **(errors or {})}, None
    request.state.code = "invalid-request" if errors else "ok"
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "restore_confirm.html",
        manifest=plan.manifest,
        sentence=sentence_of(plan, plan.manifest, run),
        fields=tuple(fields_of(wanted)),
        wanted=wanted,
        run=run,
        is_skipped="skip" in form,
        command_line=command_of(wanted),
        body=body_of(wanted),
        word=word_to_type(plan),
        typed=str(form.get("typed", "")),
        errors=errors or {},
        is_proven=service.browser_logins.is_proven(login),
        password_error=(errors or {}).get("password", ""),
        server=service.program.server.title,
    )


async def _dry_run_problem(
    request: Request, service: Service, run: Run | None, wanted: RestoreRequest
) -> str:
    """Tell why a dry run does not allow a restore; empty = it does."""
    problem = dry_run_problem(run, wanted, view_of(request).now)
    if run is None or problem:
        return problem
    changing = RunFilter(kinds=_CHANGES, states=_MAY_HAVE_CHANGED, since=run.created_at)
    _, changes = await service.program.runs.list(changing, Page(limit=1))
    return (
        "Something was restored or undone since the dry run; make another one." if changes else ""
    )


async def _undo_question(
    request: Request, service: Service, login: BrowserLogin, restore_id: str, problem: str = ""
) -> Response:
    journal = await service.program.recoveries.find_undoable(restore_id)
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        request,
        "undo.html",
        journal=journal,
        is_proven=service.browser_logins.is_proven(login),
        password_error=problem,
    )


async def _find_run(service: Service, run_id: str) -> Run | None:
    try:
        return await service.program.runs.get(run_id)
    except RunNotFoundError:
        return None
