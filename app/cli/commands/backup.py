"""Commands that make, show, prove and delete backups."""

from typing import Annotated, Literal

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.commands.listing import contents_of, kind_of
from app.cli.execution import execute_with_program
from app.cli.options import (
    AsJson,
    BackupIdArgument,
    Databases,
    DescriptionText,
    ExcludeTables,
    InStore,
    NoData,
    Tables,
    Threads,
)
from app.cli.output import (
    CommandResult,
    duration,
    plural,
    print_line,
    print_pairs,
    print_warnings,
    size,
)
from app.cli.runs import run_job
from app.documents.backups import (
    BackupDeleted,
    BackupVerified,
    PrintedBackupCreated,
)
from app.domain.backups.manifest import Codec, Manifest
from app.services.backups.options import BackupOptions


CodecName = Literal["gzip", "zstd", "none"]


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
    store: InStore = "",
    as_json: AsJson = False,
) -> None:
    """Back up the databases of the server, all in one consistent snapshot."""
    options = BackupOptions(
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
    create_backup(options, store=store, as_json=as_json)


def create_backup(options: BackupOptions, *, store: str = "", as_json: bool) -> None:
    """Make a backup or a recovery point, and show it."""

    async def work(program: Program) -> CommandResult:
        manifest = await run_job(program, program.jobs.backup(options), silent=as_json)
        full_path = program.catalogue.directory.full_path(manifest.file)
        document = PrintedBackupCreated.of(manifest, full_path=full_path)
        return CommandResult(document, lambda: _show_created(manifest, full_path))

    execute_with_program(work, as_json=as_json, records_runs=True, store=store)


def _show_created(manifest: Manifest, full_path: str) -> None:
    verified = " and verified" if manifest.options.verify else ""
    print_line(f"{kind_of(manifest)} {manifest.backup_id} created{verified}.")
    print_pairs([
        ("File", full_path),
        ("Size", f"{size(manifest.size)} ({size(manifest.raw_size)} of SQL)"),
        ("Holds", contents_of(manifest)),
        ("SHA-256", manifest.checksum),
        ("Took", duration(manifest.duration)),
    ])
    print_warnings(manifest.warnings)


def verify(backup_id: BackupIdArgument, store: InStore = "", as_json: AsJson = False) -> None:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""

    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id)
        job = await program.jobs.verification(found)
        report = await run_job(program, job, silent=as_json)
        counted = f"{plural(report.statements, 'statement')}, {plural(report.rows, 'row')}"
        took = duration(report.seconds)
        return CommandResult(
            BackupVerified.of(found, report),
            lambda: print_line(f"Backup {found} is whole: {size(report.size)}, {counted}, {took}."),
        )

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True, store=store)


def delete(backup_id: BackupIdArgument, store: InStore = "", as_json: AsJson = False) -> None:
    """Delete a backup, its manifest first; needs no server."""

    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id, may_move=False)
        await run_job(program, await program.jobs.deletion(found), silent=True)
        return CommandResult(
            BackupDeleted.of(found), lambda: print_line(f"Backup {found} deleted.")
        )

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True, store=store)


def copy(
    backup_id: BackupIdArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME",
            help="Store that gets the copy. Default: the backup directory.",
            show_default=False,
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Store that has the backup. Default: the backup directory.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Copy a backup to another store, and read the copy back from there; needs no server."""

    async def work(program: Program) -> CommandResult:
        job = await program.jobs.copy(await named(program, backup_id), source, to)
        manifest = await run_job(program, job, silent=as_json)
        full_path = program.catalogue_of(to).directory.full_path(manifest.file)
        document = PrintedBackupCreated.of(manifest, full_path=full_path)
        return CommandResult(document, lambda: _show_copied(manifest, full_path))

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True, store=source)


def _show_copied(manifest: Manifest, full_path: str) -> None:
    print_line(f"{kind_of(manifest)} {manifest.backup_id} copied, and the copy read back.")
    print_pairs([
        ("File", full_path),
        ("Size", size(manifest.size)),
        ("SHA-256", manifest.checksum),
    ])
