"""Commands that make, show, prove and delete backups."""

from typing import Annotated, Literal

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.commands.backup_output import contents_of, kind_of
from app.cli.execution import execute_with_program
from app.cli.options import (
    AcceptSigner,
    AsJson,
    BackupIdArgument,
    Databases,
    DescriptionText,
    ExcludeTables,
    InStore,
    Level,
    NoData,
    Tables,
    Threads,
)
from app.cli.output import (
    CommandResult,
    duration,
    plural,
    print_bytes_read,
    print_line,
    print_pairs,
    print_warnings,
)
from app.cli.runs import run_job
from app.documents.backups import (
    BackupDeleted,
    BackupVerified,
    PrintedBackupCreated,
)
from app.documents.derived import printed_copy
from app.domain.backups.catalogue import CopiedBackup
from app.domain.backups.check_notes import VerifyLevel, VerifyReport
from app.domain.backups.manifest import Codec, Manifest
from app.domain.places.sizes import size
from app.services.backups.options import BackupOptions


CodecName = Literal["gzip", "zstd", "none"]
_To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="NAME",
        help="Store that gets the copy. Default: the backup directory.",
        show_default=False,
    ),
]
_From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="NAME",
        help="Store that has the backup. Default: the backup directory.",
        show_default=False,
    ),
]


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
    level: Level = None,
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
        level=level,
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


def verify(
    backup_id: BackupIdArgument,
    stored: Annotated[
        bool,
        typer.Option(
            "--stored", help="Only compare the bytes with their SHA-256; needs no identity."
        ),
    ] = False,
    store: InStore = "",
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a backup is what was written, to the last byte and row; needs no server."""

    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id)
        level = VerifyLevel.HASHES if stored else VerifyLevel.CONTENT
        job = await program.jobs.verification(found, level)
        report = await run_job(program, job, silent=as_json)
        return CommandResult(
            BackupVerified.of(found, report), lambda: _show_verified(found, report)
        )

    execute_with_program(
        work,
        as_json=as_json,
        needs_server=False,
        records_runs=True,
        store=store,
        accepted_signers=accept_signer,
    )


def _show_verified(backup_id: str, report: VerifyReport) -> None:
    took = duration(report.seconds)
    if report.level is not VerifyLevel.CONTENT:
        print_line(f"The bytes of backup {backup_id} are whole: {size(report.size)}, {took}.")
    else:
        counted = f"{plural(report.statements, 'statement')}, {plural(report.rows, 'row')}"
        print_line(f"Backup {backup_id} is whole: {size(report.size)}, {counted}, {took}.")
    print_bytes_read(report.bytes_read)


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
    to: _To = "",
    source: _From = "",
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Copy a backup to another store, and read the copy back from there; needs no server."""
    _copy(backup_id, to, source, rewrap=False, signers=accept_signer, as_json=as_json)


def rewrap(
    backup_id: BackupIdArgument,
    to: _To = "",
    source: _From = "",
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Copy an encrypted backup for the recipients of now; the old copy stays as it is. Needs an identity."""
    _copy(backup_id, to, source, rewrap=True, signers=accept_signer, as_json=as_json)


def _copy(
    backup_id: str,
    to: str,
    source: str,
    *,
    rewrap: bool,
    signers: list[str] | None,
    as_json: bool,
) -> None:
    async def work(program: Program) -> CommandResult:
        found = await named(program, backup_id)
        job = await program.jobs.copy(found, source, to, rewrap=rewrap)
        copied = await run_job(program, job, silent=as_json)
        full_path = program.catalogue_of(to).directory.full_path(copied.file)
        return CommandResult(
            printed_copy(copied, full_path), lambda: _show_copied(copied, full_path)
        )

    execute_with_program(
        work,
        as_json=as_json,
        needs_server=False,
        records_runs=True,
        store=source,
        accepted_signers=signers,
    )


def _show_copied(copied: CopiedBackup, full_path: str) -> None:
    kind = kind_of(copied.manifest) if copied.manifest else "Backup"
    print_line(f"{kind} {copied.backup_id} copied, and the copy read back.")
    print_pairs([
        ("File", full_path),
        ("Size", size(copied.size)),
        ("SHA-256", copied.checksum),
    ])
