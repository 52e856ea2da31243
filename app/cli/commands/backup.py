"""Commands that make, show, prove and delete backups."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.edge import perform
from app.cli.options import (
    AsJson,
    BackupIdArgument,
    Databases,
    DescriptionText,
    ExcludeTables,
    NoData,
    Tables,
    Threads,
)
from app.cli.output import (
    CommandResult,
    duration,
    note,
    pairs,
    plural,
    say,
    size,
    table,
)
from app.cli.runs import perform_run


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from app.documents.backups import PrintedBackupInfo
    from app.domain.backups.catalogue import Survey
    from app.domain.backups.check_notes import Check, Pin
    from app.domain.backups.manifest import Manifest
    from app.domain.ids import BackupId
    from app.services.jobs import BackupOptions

CodecName = Literal["gzip", "zstd", "none"]

app = typer.Typer(name="backup", help="Make, show, prove and delete backups.", no_args_is_help=True)


@app.command()
def create(
    database: Databases = None,
    tables: Tables = None,
    exclude_table: ExcludeTables = None,
    no_data: NoData = False,
    description: DescriptionText = "",
    codec: Annotated[
        CodecName | None,
        typer.Option("--codec", help="Compression. Default: BACKSTAY_CODEC.", show_default=False),
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not read the file back before publishing it.")
    ] = False,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Include users, roles and grants of the server.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Back up the databases of the server, all in one consistent snapshot."""

    async def work() -> CommandResult:
        from app.domain.backups.manifest import Codec
        from app.services.jobs import BackupOptions

        wish = BackupOptions(
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            exclude_tables=tuple(exclude_table or ()),
            include_data=not no_data,
            description=description,
            codec=Codec(codec) if codec else None,
            verify=False if no_verify else None,
            accounts=accounts,
            threads=threads,
        )
        return await create_backup(wish, silent=as_json)

    perform(work, as_json=as_json)


async def create_backup(wish: "BackupOptions", *, silent: bool) -> CommandResult:
    """Make a backup and tell of it."""
    from app.bootstrap.program import open_program
    from app.config import load_settings
    from app.documents.backups import PrintedBackupCreated

    settings = load_settings()
    async with open_program(settings, remembers=True) as parts:
        manifest = await perform_run(parts, parts.jobs.backup(wish), silent=silent)
    full_path = str(settings.backup_dir / manifest.file)
    document = PrintedBackupCreated.of(manifest, full_path=full_path)

    def show() -> None:
        kind = "Recovery point" if wish.recovery_point else "Backup"
        say(
            f"{kind} {manifest.backup_id} created"
            + (" and verified." if manifest.options.verify else ".")
        )
        pairs([
            ("File", full_path),
            ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
            ("Holds", holds(manifest)),
            ("SHA-256", manifest.checksum),
            ("Took", duration(manifest.duration)),
        ])
        for warning in manifest.warnings:
            note(f"Warning: {warning}")

    return CommandResult(document, show)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the backups, newest first; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.backups import PrintedBackupList
        from app.domain.restores.proofs import proven_at

        async with open_program(load_settings(), needs_server=False) as parts:
            survey = await asyncio.to_thread(parts.catalogue.survey)
            proven = {
                entry.backup_id: proven_at(
                    await asyncio.to_thread(parts.catalogue.proofs, entry.backup_id)
                )
                for entry in survey.entries
            }
            pins = await parts.pins.read([entry.backup_id for entry in survey.entries])
        document = PrintedBackupList.of(survey, proven, pins)
        return CommandResult(document, lambda: _show_survey(survey, proven, pins))

    perform(work, as_json=as_json)


def _moment(at: "datetime | None") -> str | None:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else None


def _show_survey(
    survey: "Survey",
    proven: "Mapping[BackupId, datetime | None]",
    pins: "Mapping[str, Pin | None]",
) -> None:
    if survey.entries:
        headings = (
            "Backup",
            "Created (UTC)",
            "Kind",
            "Databases",
            "Description",
            "Last proven (UTC)",
            "Tables",
            "Rows",
            "Size",
        )
        rows = [
            (
                entry.backup_id,
                f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
                ("recovery point" if entry.recovery_point else "backup")
                + (", pinned" if entry.backup_id in pins else ""),
                ", ".join(entry.databases),
                entry.description,
                _moment(proven[entry.backup_id]) or "-",
                f"{entry.tables_count:,}",
                f"{entry.rows_count:,}",
                size(entry.size),
            )
            for entry in survey.entries
        ]
        table(headings, rows, right=3)
    else:
        say("No backups.")
    for problem in survey.problems:
        note(f"Damaged: {problem.error.title}: {problem.error}")
    for orphan in survey.orphans:
        note(f"Without a manifest: {orphan}; try 'backstay catalog rebuild'")


@app.command()
def info(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Show what a backup holds and how it was made; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.backups import PrintedBackupInfo
        from app.domain.restores.proofs import proven_at
        from app.services.backups.check_notes import read_checks

        settings = load_settings()
        async with open_program(settings, needs_server=False) as parts:
            manifest = await parts.backups.info(backup_id)
            found = await read_checks(parts.catalogue, manifest)
            proven = proven_at(await asyncio.to_thread(parts.catalogue.proofs, backup_id))
            pins = await parts.pins.read([backup_id])
        full_path = str(settings.backup_dir / manifest.file)
        document = PrintedBackupInfo.of(manifest, proven, pins, found, full_path=full_path)
        return CommandResult(document, lambda: _show_info(manifest, document, proven, found))

    perform(work, as_json=as_json)


def _show_info(
    manifest: "Manifest",
    document: "PrintedBackupInfo",
    proven: "datetime | None",
    checks: "Mapping[str, Check]",
) -> None:
    position = manifest.position
    pin = document.pin
    binlog = f"{position.binlog_file}:{position.binlog_position} {position.gtid}".strip()
    pairs([
        ("Recovery point" if manifest.options.recovery_point else "Backup", manifest.backup_id),
        ("Description", manifest.options.description or "-"),
        (
            "Created",
            f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC in {duration(manifest.duration)}",
        ),
        ("Server", f"{manifest.server.vendor} {manifest.server.version}"),
        ("Snapshot", _snapshot(manifest)),
        ("Binary log", binlog if position.binlog_file else "-"),
        ("File", document.full_path),
        ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
        ("SHA-256", manifest.checksum),
        ("Last proven", _moment(proven) or "never; try 'backstay restore run ID --drill'"),
        ("Checked", ", ".join(_check(*one) for one in checks.items()) or "never"),
        ("Pinned", f"by {pin.by} {pin.reason}".strip() if pin else "no"),
        ("Holds", holds(manifest)),
    ])
    rows = [
        (f"{database.name}.{one.name}", one.engine, f"{one.rows:,}", size(one.raw_size))
        for database in manifest.databases
        for one in database.tables
    ]
    rows += [
        (f"{database.name}.{one.name}", one.kind.value, "", "")
        for database in manifest.databases
        for one in database.objects
    ]
    table(("Name", "Kind", "Rows", "SQL"), rows, right=2)
    for warning in manifest.warnings:
        note(f"Warning: {warning}")


def _check(level: str, found: "Check") -> str:
    return f"{level} {_moment(found.at)}" + (f" ({found.error})" if found.error else "")


def _snapshot(manifest: "Manifest") -> str:
    consistent = "one point in time" if manifest.consistency.consistent else "not one point in time"
    return f"{consistent}, by {manifest.consistency.method}"


@app.command()
def verify(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.backups import BackupVerified

        async with open_program(load_settings(), needs_server=False, remembers=True) as parts:
            order = await parts.jobs.verification(backup_id)
            report = await perform_run(parts, order, silent=as_json)
        counted = f"{plural(report.statements, 'statement')}, {plural(report.rows, 'row')}"
        took = duration(report.seconds)
        return CommandResult(
            BackupVerified.of(backup_id, report),
            lambda: say(f"Backup {backup_id} is whole: {size(report.size)}, {counted}, {took}."),
        )

    perform(work, as_json=as_json)


@app.command()
def delete(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Delete a backup, its manifest first; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.backups import BackupDeleted

        async with open_program(load_settings(), needs_server=False, remembers=True) as parts:
            await perform_run(parts, await parts.jobs.deletion(backup_id), silent=True)
        return CommandResult(
            BackupDeleted.of(backup_id), lambda: say(f"Backup {backup_id} deleted.")
        )

    perform(work, as_json=as_json)


def holds(manifest: "Manifest") -> str:
    """Say how much is in a backup."""
    counts = (
        plural(len(manifest.databases), "database"),
        plural(manifest.tables_count, "table"),
        plural(manifest.rows_count, "row"),
    )
    return ", ".join(counts)
