"""Commands that make, show, prove and delete backups."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.edge import perform
from app.cli.options import AsJson, BackupIdArgument, Databases, Tables, Threads
from app.cli.output import (
    Answer,
    Document,
    Json,
    duration,
    note,
    pairs,
    plural,
    say,
    size,
    table,
)
from app.cli.progress import shown


if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from app.archive.catalogue import Survey
    from app.config import Settings
    from app.domain.backup import BackupRequest, CatalogueEntry
    from app.domain.ids import BackupId
    from app.domain.manifest import DatabaseEntry, Manifest

CodecName = Literal["gzip", "zstd", "none"]

app = typer.Typer(name="backup", help="Make, show, prove and delete backups.", no_args_is_help=True)


@app.command()
def create(
    database: Databases = None,
    tables: Tables = None,
    exclude_table: Annotated[
        list[str] | None,
        typer.Option("--exclude-table", metavar="GLOB", help="Leave such tables out. Repeatable."),
    ] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Definitions only, no rows.")] = False,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="Words for people, one line.")
    ] = "",
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

    async def work() -> Answer:
        from app.config import load_settings
        from app.domain.backup import BackupRequest
        from app.domain.manifest import Codec

        settings = load_settings()
        request = BackupRequest(
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            exclude_tables=tuple(exclude_table or ()),
            include_data=not no_data,
            description=" ".join(description.split()),
            codec=Codec(codec or (settings.codec if settings.compress else "none")),
            verify=settings.verify_integrity and not no_verify,
            threads=threads or settings.threads,
            chunk_bytes=settings.chunk_bytes,
            accounts=accounts,
        )
        return await create_backup(settings, request, silent=as_json)

    perform(work, as_json=as_json)


async def create_backup(settings: "Settings", request: "BackupRequest", *, silent: bool) -> Answer:
    """Make a backup and tell of it; old tables of restores whose time is over are dropped as well."""
    from app.bootstrap import program

    async with program(settings) as parts, shown(silent=silent) as progress:
        manifest = await parts.backups.create(request, progress)
        await parts.recoveries.forget_expired()
    full_path = str(settings.backup_dir / manifest.file)
    document: Document = {
        "success": True,
        **summary(manifest, full_path),
        "warnings": manifest.warnings,
    }

    def show() -> None:
        kind = "Recovery point" if request.recovery_point else "Backup"
        say(f"{kind} {manifest.backup_id} created" + (" and verified." if request.verify else "."))
        pairs([
            ("File", full_path),
            ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
            ("Holds", holds(manifest)),
            ("SHA-256", manifest.checksum),
            ("Took", duration(manifest.duration)),
        ])
        for warning in manifest.warnings:
            note(f"Warning: {warning}")

    return Answer(document, show)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the backups, newest first; needs no server."""

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings
        from app.domain.rehearsal import proven_at

        async with program(load_settings(), needs_server=False) as parts:
            survey = await asyncio.to_thread(parts.catalogue.survey)
            proven = {
                entry.backup_id: proven_at(
                    await asyncio.to_thread(parts.catalogue.proofs, entry.backup_id)
                )
                for entry in survey.entries
            }
        document: Document = {
            "success": True,
            "backups": [
                {**_line(entry), "proven_at": _moment(proven[entry.backup_id])}
                for entry in survey.entries
            ],
            "problems": [
                {"file": one.file, "code": one.error.code, "message": str(one.error)}
                for one in survey.problems
            ],
            "orphans": survey.orphans,
        }
        return Answer(document, lambda: _show_survey(survey, proven))

    perform(work, as_json=as_json)


def _line(entry: "CatalogueEntry") -> Document:
    return {
        "backup_id": entry.backup_id,
        "file": entry.file,
        "full_path": entry.full_path,
        "size": entry.size,
        "created_at": f"{entry.created_at:%Y-%m-%d %H:%M:%S}",
        "duration": entry.duration,
        "options": {
            "include_data": entry.include_data,
            "compress": entry.compress,
            "verify": entry.verify,
            "description": entry.description,
        },
        "tables_count": entry.tables_count,
        "checksum": entry.checksum,
        "rows_count": entry.rows_count,
        "raw_size": entry.raw_size,
        "databases": entry.databases,
        "server": entry.server,
        "warnings_count": entry.warnings_count,
        "recovery_point": entry.recovery_point,
    }


def _moment(at: "datetime | None") -> str | None:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else None


def _show_survey(survey: "Survey", proven: "Mapping[BackupId, datetime | None]") -> None:
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
                "recovery point" if entry.recovery_point else "backup",
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

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings
        from app.domain.rehearsal import proven_at

        settings = load_settings()
        async with program(settings, needs_server=False) as parts:
            manifest = await parts.backups.info(backup_id)
            proven = proven_at(await asyncio.to_thread(parts.catalogue.proofs, backup_id))
        full_path = str(settings.backup_dir / manifest.file)
        document: Document = {
            "success": True,
            **summary(manifest, full_path),
            "description": manifest.options.description,
            "options": {
                "include_data": manifest.options.include_data,
                "compress": manifest.options.compress,
                "verify": manifest.options.verify,
                "description": manifest.options.description,
                "tables": manifest.options.tables,
                "exclude_tables": manifest.options.exclude_tables,
            },
            "server": {"vendor": manifest.server.vendor, "version": manifest.server.version},
            "position": {
                "binlog_file": manifest.position.binlog_file,
                "binlog_position": manifest.position.binlog_position,
                "gtid": manifest.position.gtid,
            },
            "proven_at": _moment(proven),
            "contents": [_contents(one) for one in manifest.databases],
            "warnings": manifest.warnings,
        }
        return Answer(document, lambda: _show_info(manifest, full_path, proven))

    perform(work, as_json=as_json)


def _contents(database: "DatabaseEntry") -> Document:
    return {
        "database": database.name,
        "tables": [
            {
                "name": one.name,
                "engine": one.engine,
                "rows": one.rows,
                "raw_size": one.raw_size,
                "partial": one.partial,
            }
            for one in database.tables
        ],
        "objects": [
            {"kind": one.kind, "name": one.name, "valid": one.valid} for one in database.objects
        ],
    }


def _show_info(manifest: "Manifest", full_path: str, proven: "datetime | None") -> None:
    position = manifest.position
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
        ("File", full_path),
        ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
        ("SHA-256", manifest.checksum),
        ("Last proven", _moment(proven) or "never; try 'backstay restore run ID --drill'"),
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


def _snapshot(manifest: "Manifest") -> str:
    consistent = "one point in time" if manifest.consistency.consistent else "not one point in time"
    return f"{consistent}, by {manifest.consistency.method}"


@app.command()
def verify(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings

        async with (
            program(load_settings(), needs_server=False) as parts,
            shown(silent=as_json) as progress,
        ):
            report = await parts.backups.verify(backup_id, progress=progress)
        document: Document = {
            "success": True,
            "backup_id": backup_id,
            "level": report.level,
            "size": report.size,
            "raw_size": report.raw_size,
            "members": report.members,
            "statements": report.statements,
            "rows_count": report.rows,
            "duration": round(report.seconds, 3),
        }
        counted = f"{plural(report.statements, 'statement')}, {plural(report.rows, 'row')}"
        took = duration(report.seconds)
        return Answer(
            document,
            lambda: say(f"Backup {backup_id} is whole: {size(report.size)}, {counted}, {took}."),
        )

    perform(work, as_json=as_json)


@app.command()
def delete(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Delete a backup, its manifest first; needs no server."""

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings

        async with program(load_settings(), needs_server=False) as parts:
            await parts.backups.delete(backup_id)
        document: Document = {"success": True, "backup_id": backup_id}
        return Answer(document, lambda: say(f"Backup {backup_id} deleted."))

    perform(work, as_json=as_json)


def summary(manifest: "Manifest", full_path: str) -> dict[str, Json]:
    """Describe a backup as every document about one does."""
    return {
        "backup_id": manifest.backup_id,
        "file": manifest.file,
        "full_path": full_path,
        "size": manifest.size,
        "raw_size": manifest.raw_size,
        "checksum": manifest.checksum,
        "created_at": f"{manifest.created_at:%Y-%m-%d %H:%M:%S}",
        "duration": manifest.duration,
        "tables_count": manifest.tables_count,
        "rows_count": manifest.rows_count,
        "databases": [database.name for database in manifest.databases],
        "codec": manifest.options.codec,
        "verified": manifest.options.verify,
        "recovery_point": manifest.options.recovery_point,
        "consistency": {
            "method": manifest.consistency.method,
            "consistent": manifest.consistency.consistent,
            "lock_seconds": manifest.consistency.lock_seconds,
        },
    }


def holds(manifest: "Manifest") -> str:
    """Say how much is in a backup."""
    counts = (
        plural(len(manifest.databases), "database"),
        plural(manifest.tables_count, "table"),
        plural(manifest.rows_count, "row"),
    )
    return ", ".join(counts)
