"""Backups: listed, shown, made, proven, pinned, downloaded and deleted."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from app.api.access import CurrentService, Noted
from app.api.downloads import open_download
from app.bootstrap.program import Program
from app.domain.access.user import Identity
from app.domain.backups.backup import BackupFilter
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec, Manifest
from app.domain.restores.proofs import proven_at
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import RunFilter
from app.domain.stores import Page
from app.errors import AppError, InvalidRequestError, NoIdentityError
from app.services.backups.check_notes import read_checks
from app.services.backups.options import BackupOptions
from app.web.access import SentForm, Viewer
from app.web.contents import contents_of
from app.web.days import DayText, span_of
from app.web.forms.tables import choosable
from app.web.launching import launch
from app.web.paging import Part, page_of
from app.web.rendering import path_for, render


router = APIRouter(prefix="/backups")

# What is typed before a backup is deleted.
TYPED_DIGITS: Final = 5
_RUNS_SHOWN: Final = 10
# Nobody waits longer for a page because of a list that is a help.
_LIST_SECONDS: Final = 4.0
_POINTS: Final = {"": None, "yes": True, "no": False}


class BackupsQuery(BaseModel):
    """Which backups are listed; empty = no condition."""

    database: Annotated[str, Field(max_length=200)] = ""
    text: Annotated[str, Field(max_length=200)] = ""
    points: Literal["", "yes", "no"] = ""
    day: DayText = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    def filter(self, zone: ZoneInfo) -> BackupFilter:
        """Return what the catalogue is asked for; the day is one of a zone."""
        since, until = span_of(self.day, zone)
        return BackupFilter(
            database=self.database,
            text=self.text,
            recovery_point=_POINTS[self.points],
            created_after=since,
            created_before=until,
        )


class ContentsQuery(BaseModel):
    """What of a backup's contents is listed; empty = no condition."""

    database: Annotated[str, Field(max_length=200)] = ""
    text: Annotated[str, Field(max_length=200)] = ""
    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@router.get("", name="web:list_backups")
async def list_backups(
    request: Request, service: CurrentService, query: Annotated[BackupsQuery, Query()]
) -> Response:
    """List the backups there are, newest first, with those that are damaged."""
    zone = ZoneInfo(service.program.settings.timezone)
    found, health = await asyncio.gather(
        service.program.backups.list(query.filter(zone), page_of(query.page)),
        service.program.health.read(),
    )
    asked = query.model_dump(exclude={"page"})
    return render(
        request,
        "backups.html",
        found=found,
        faults=health.faults,
        damaged=[entry for entry in health.survey.entries if entry.backup_id in health.faults],
        pins=found.pins,
        part=Part(query.page, found.total, asked),
        names=sorted({name for entry in health.survey.entries for name in entry.databases}),
        query=asked,
        zone=zone.key,
    )


@router.get("/new", name="web:create_backup.form")
async def ask_for_backup(request: Request, service: CurrentService) -> Response:
    """Ask what to back up, of what the server holds now."""
    service.program.server.require_set()
    inventory, problem = None, ""
    try:
        inventory = await service.inventory.read(_LIST_SECONDS)
    except AppError as exc:  # names can be typed
        problem = f"{exc}. {exc.hint}"
    return render(
        request,
        "backup_new.html",
        configured=service.program.server.database,
        choosable=choosable(inventory, problem=problem),
        away=await service.status.server_error(),
    )


@router.post("", name="web:create_backup")
async def create_backup(
    request: Request, service: CurrentService, login: Viewer, form: SentForm
) -> Response:
    """Make a backup, or a recovery point."""
    options = BackupOptions(
        databases=tuple(
            dict.fromkeys([
                *map(str, form.getlist("database")),
                *str(form.get("databases", "")).split(),
            ])
        ),
        description=str(form.get("description", ""))[:200],
        include_data="schema_only" not in form,
        accounts="accounts" in form,
        recovery_point="recovery_point" in form,
    )
    return await launch(request, partial(service.program.jobs.backup, options), login, form)


@router.get("/{backup_id}", name="web:get_backup")
async def show_backup(
    request: Request,
    service: CurrentService,
    backup_id: str,
    query: Annotated[ContentsQuery, Query()],
) -> Response:
    """Show what a backup holds, how it was made, and what has shown that it is good."""
    program = service.program
    try:
        manifest = await program.backups.info(backup_id)
    except NoIdentityError:
        return await _show_locked(request, program, backup_id)
    known = manifest.backup_id
    beside = await asyncio.to_thread(program.catalogue.beside, known)
    health = await program.health.read()
    runs, _ = await program.runs.list(RunFilter(backup_id=known), Page(limit=_RUNS_SHOWN))
    return render(
        request,
        "backup.html",
        manifest=manifest,
        contents=contents_of(manifest, query.database, query.text, query.page),
        query=query,
        proofs=beside.proofs,
        proven_at=proven_at(beside.proofs),
        checks=await read_checks(program.catalogue, manifest),
        pin=await program.pins.read([known]),
        fault=health.faults.get(known, ""),
        runs=runs,
        copies=await _copies(program, known),
        typed=known[-TYPED_DIGITS:],
        by_hand=by_hand(manifest),
    )


async def _show_locked(request: Request, program: Program, backup_id: str) -> Response:
    """Show what is known of a backup that nobody here can read."""
    published = await asyncio.to_thread(program.catalogue.published, backup_id)
    known = published.name.backup_id
    survey = (await program.health.read()).survey
    runs, _ = await program.runs.list(RunFilter(backup_id=known), Page(limit=_RUNS_SHOWN))
    return render(
        request,
        "backup_locked.html",
        published=published,
        entry=next((entry for entry in survey.entries if entry.backup_id == known), None),
        locked=next((backup for backup in survey.locked if backup.backup_id == known), None),
        runs=runs,
        copies=await _copies(program, known),
        typed=known[-TYPED_DIGITS:],
    )


async def _copies(program: Program, backup_id: str) -> dict[str, bool | None]:
    """Say in which stores a copy is; a definition that makes no sense is told on the page of stores."""
    try:
        stores = [store.name for store in await program.stores.list()]
    except AppError:
        return {}
    return await program.copies.where(backup_id, stores)


@router.post("/{backup_id}/copy", name="web:copy_backup")
async def copy_backup(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Copy a backup to a store."""
    make = partial(service.program.jobs.copy, backup_id, "", str(form.get("to", ""))[:40])
    return await launch(request, make, login, form)


@router.post("/{backup_id}/verify", name="web:verify_backup")
async def verify_backup(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Read a backup to its end, and count what is in it."""
    level = VerifyLevel.HASHES if "stored" in form else VerifyLevel.CONTENT
    make = partial(service.program.jobs.verification, backup_id, level)
    return await launch(request, make, login, form)


@router.post("/{backup_id}/drill", name="web:rehearse_restore.drill")
async def drill_backup(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Restore a backup into scratch schemas, prove it, and drop them."""
    wanted = RestoreRequest(backup_id=backup_id, threads=service.program.settings.threads)
    return await launch(request, partial(service.program.jobs.drill, wanted), login, form)


@router.post("/{backup_id}/pin", name="web:pin_backup")
async def pin_backup(
    request: Request,
    service: CurrentService,
    login: Viewer,
    form: SentForm,
    noted: Noted,
    backup_id: str,
) -> Response:
    """Keep a backup from being deleted."""
    reason = str(form.get("reason", ""))[:200]
    await service.program.pins.pin(backup_id, login.identity.name, reason, noted)
    return _back(request, backup_id)


@router.post("/{backup_id}/unpin", name="web:unpin_backup")
async def unpin_backup(
    request: Request, service: CurrentService, noted: Noted, backup_id: str
) -> Response:
    """Let a backup be deleted when no rule keeps it."""
    await service.program.pins.unpin(backup_id, noted)
    return _back(request, backup_id)


@router.post("/{backup_id}/delete", name="web:delete_backup")
async def delete_backup(
    request: Request, service: CurrentService, login: Viewer, form: SentForm, backup_id: str
) -> Response:
    """Delete a backup whose last characters were typed."""
    _require_typed(form, backup_id)
    return await launch(request, partial(service.program.jobs.deletion, backup_id), login, form)


# A form, unlike a link, is in the audit.
@router.post("/{backup_id}/download", name="web:download_backup")
async def download_backup(service: CurrentService, login: Viewer, backup_id: str) -> Response:
    """Send the data file of a backup; as long as it takes, the login is used."""

    async def confirm() -> Identity:
        return (await service.browser_logins.identify(login.cookie)).identity

    return await open_download(service.program, backup_id, confirm)


def by_hand(manifest: Manifest) -> str:
    """Return the commands that restore a backup with the vendor's client alone."""
    readers = {Codec.GZIP: "gzip -dc", Codec.ZSTD: "zstd -dc", Codec.NONE: "cat"}
    client = "mysql" if manifest.server.vendor == "mysql" else "mariadb"
    reader, file = readers[manifest.options.codec], manifest.file
    text = f"age -d -i key.txt {file} | {reader}" if manifest.recipients else f"{reader} {file}"
    return f"sha256sum {file}\n{text} | {client} -u root -p"


def _require_typed(form: SentForm, backup_id: str) -> None:
    if str(form.get("typed", "")).strip() != backup_id[-TYPED_DIGITS:]:
        raise InvalidRequestError(
            f"the last {TYPED_DIGITS} characters of the backup's id were not typed; nothing was deleted",
            hint="Go back, and type them as they are shown.",
        )


def _back(request: Request, backup_id: str) -> Response:
    path = path_for(request, "get_backup", backup_id=backup_id)
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
