"""Commands that show backups."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.commands.backup_output import contents_of, kind_of
from app.cli.execution import execute_with_program
from app.cli.options import AcceptSigner, AsJson, BackupIdArgument, InStore
from app.cli.output import (
    CommandResult,
    day,
    duration,
    minute,
    moment,
    print_hints,
    print_line,
    print_pairs,
    print_status,
    print_unknown,
    print_warnings,
)
from app.cli.tables import print_table
from app.documents.backups import PrintedBackupInfo, PrintedBackupList
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import LockedBackup, Survey
from app.domain.backups.check_notes import Check, Pin
from app.domain.backups.manifest import Manifest
from app.domain.ids import BackupId
from app.domain.places.sizes import size
from app.domain.restores.proofs import proven_at
from app.services.backups.check_notes import read_checks


def list_(
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the newest N.")
    ] = None,
    accept_signer: AcceptSigner = None,
    store: InStore = "",
    as_json: AsJson = False,
) -> None:
    """List the backups, newest first; needs no server."""

    async def work(program: Program) -> CommandResult:
        reading = await asyncio.to_thread(program.catalogue.read)
        survey = replace(reading.survey, entries=reading.survey.entries[:limit])
        shown = [entry.backup_id for entry in survey.entries]
        proven, pins = reading.proven(shown), reading.pins(shown)
        document = PrintedBackupList.of(survey, proven, pins)
        return CommandResult(document, lambda: _show_survey(survey, proven, pins, store))

    execute_with_program(
        work, as_json=as_json, needs_server=False, store=store, accepted_signers=accept_signer
    )


def _show_survey(
    survey: Survey,
    proven: Mapping[BackupId, datetime | None],
    pins: Mapping[str, Pin | None],
    store: str,
) -> None:
    if survey.entries:
        headings = ("Backup", "Created (UTC)", "Holds", "Proven", "Size")
        rows = [
            (
                entry.backup_id,
                minute(entry.created_at),
                _holds(entry, is_pinned=entry.backup_id in pins),
                day(proven[entry.backup_id]),
                size(entry.size),
            )
            for entry in survey.entries
        ]
        print_table(headings, rows, right=1)
    elif not (survey.locked or survey.unknown):
        print_line("No backups.")
    if survey.locked:
        _show_locked(survey.locked)
    for problem in survey.problems:
        print_status(f"Damaged: {problem.error.title}: {problem.error}")
    print_hints(survey.problems)
    print_unknown(survey.unknown)
    for orphan in survey.orphans:
        where = f" --store {store}" if store else ""
        print_status(f"Without a manifest: {orphan}; try 'backstay catalog rebuild{where}'")


def _show_locked(locked: Sequence[LockedBackup]) -> None:
    """Show the backups that nobody here can read."""
    print_table(
        ("Encrypted for others", "Created (UTC)", "Signed by", "Size"),
        [
            (backup.backup_id, minute(backup.created_at), backup.signer[:12], size(backup.size))
            for backup in locked
        ],
        right=1,
    )


def _holds(entry: CatalogueEntry, *, is_pinned: bool) -> str:
    """Say what a backup holds, and below it what somebody wanted to be known of it."""
    kinds = ["recovery point"] * entry.recovery_point + ["pinned"] * is_pinned
    kinds += ["recovered"] * bool(entry.recovered_from) + ["encrypted"] * entry.is_encrypted
    notes = [", ".join(kinds)] * bool(kinds) + [entry.description] * bool(entry.description)
    return "\n".join([", ".join(entry.databases), ": ".join(notes)]).rstrip()


def info(
    backup_id: BackupIdArgument,
    store: InStore = "",
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Show what a backup holds and how it was made; needs no server."""

    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id)
        manifest = await program.backups.info(found)
        checks = await read_checks(program.catalogue, manifest)
        proven = proven_at(await asyncio.to_thread(program.catalogue.proofs, found))
        pins = await program.pins.read([found])
        full_path = program.catalogue.directory.full_path(manifest.file)
        document = PrintedBackupInfo.of(manifest, proven, pins, checks, full_path=full_path)
        return CommandResult(document, lambda: _show_info(manifest, document, proven, checks))

    execute_with_program(
        work, as_json=as_json, needs_server=False, store=store, accepted_signers=accept_signer
    )


def _show_info(
    manifest: Manifest,
    document: PrintedBackupInfo,
    proven: datetime | None,
    checks: Mapping[str, Check],
) -> None:
    position, pin = manifest.position, document.pin
    binlog = f"{position.binlog_file}:{position.binlog_position} {position.gtid}".strip()
    print_pairs([
        (kind_of(manifest), manifest.backup_id),
        ("Description", manifest.options.description or "-"),
        ("Created", f"{moment(manifest.created_at)} UTC in {duration(manifest.duration)}"),
        ("Server", f"{manifest.server.vendor} {manifest.server.version}"),
        ("Snapshot", _snapshot(manifest)),
        ("Binary log", binlog if position.binlog_file else "-"),
        ("File", document.full_path),
        ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
        ("SHA-256", manifest.checksum),
        ("Last proven", moment(proven, "never; try 'backstay restore run ID --drill'")),
        ("Checked", ", ".join(_check(*item) for item in checks.items()) or "never"),
        ("Pinned", f"by {pin.by} {pin.reason}".strip() if pin else "no"),
        ("Holds", contents_of(manifest)),
    ])
    rows = [
        (f"{database.name}.{table.name}", table.engine, f"{table.rows:,}", size(table.raw_size))
        for database in manifest.databases
        for table in database.tables
    ]
    rows += [
        (f"{database.name}.{item.name}", item.kind.value, "", "")
        for database in manifest.databases
        for item in database.objects
    ]
    print_table(("Name", "Kind", "Rows", "SQL"), rows, right=2)
    print_warnings(manifest.warnings)


def _check(level: str, check: Check) -> str:
    return f"{level} {moment(check.at)}" + (f" ({check.error})" if check.error else "")


def _snapshot(manifest: Manifest) -> str:
    consistent = "one point in time" if manifest.consistency.consistent else "not one point in time"
    return f"{consistent}, by {manifest.consistency.method}"
