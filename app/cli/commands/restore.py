"""Commands that restore backups, and undo restores."""

from typing import Annotated

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.commands.restore_output import (
    drill_result,
    forecast_result,
    options_result,
    restore_result,
    undo_result,
)
from app.cli.execution import execute_with_program
from app.cli.options import (
    AcceptSigner,
    AsJson,
    BackupIdArgument,
    Databases,
    InStore,
    Tables,
    Threads,
)
from app.cli.output import CommandResult
from app.cli.runs import run_job
from app.domain.restores.restore import RestoreRequest
from app.errors import InvalidRequestError


_RestoreIdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="Restore id, as 'backstay restore run' prints it, or the backup's id."
    ),
]
_Into = Annotated[
    str | None,
    typer.Option(
        "--into",
        metavar="NAME",
        help="Another database, where nothing is overwritten. Default: in place.",
        show_default=False,
    ),
]
_SchemaOnly = Annotated[
    bool, typer.Option("--schema-only", help="Definitions only: the tables are empty.")
]
_DataOnly = Annotated[
    bool, typer.Option("--data-only", help="Rows only: the tables keep their definitions.")
]
_NoRecoveryPoint = Annotated[
    bool, typer.Option("--no-recovery-point", help="Do not back up first what is there.")
]
_NoVerifyBefore = Annotated[
    bool, typer.Option("--no-verify-before", help="Do not check the whole file first.")
]
_NoVerifyAfter = Annotated[
    bool, typer.Option("--no-verify-after", help="Do not read the restored rows back.")
]
_Accounts = Annotated[
    bool, typer.Option("--accounts", help="Create users and roles of the backup that are not here.")
]
_SkipBinlog = Annotated[
    bool, typer.Option("--skip-binlog", help="Keep the restore out of the server's binary log.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would happen.")]
_Drill = Annotated[
    bool, typer.Option("--drill", help="Restore into scratch schemas, prove, and drop them again.")
]


def run(
    backup_id: BackupIdArgument,
    into: _Into = None,
    database: Databases = None,
    tables: Tables = None,
    schema_only: _SchemaOnly = False,
    data_only: _DataOnly = False,
    no_recovery_point: _NoRecoveryPoint = False,
    no_verify_before: _NoVerifyBefore = False,
    no_verify_after: _NoVerifyAfter = False,
    accounts: _Accounts = False,
    skip_binlog: _SkipBinlog = False,
    dry_run: _DryRun = False,
    drill: _Drill = False,
    threads: Threads = None,
    store: InStore = "",
    accept_signer: AcceptSigner = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup beside the live data, prove it, and swap it in by one statement."""
    if dry_run and drill:
        raise InvalidRequestError("--dry-run and --drill exclude each other")
    if into == "":  # a script's empty variable must not mean the live database
        raise InvalidRequestError("--into is empty", hint="Leave it out, or give a name.")

    async def work(program: Program) -> CommandResult:
        request = RestoreRequest(
            backup_id=await named(program, backup_id),
            into=into or "",
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            schema_only=schema_only,
            data_only=data_only,
            accounts=accounts,
            verify_before=not no_verify_before,
            verify_after=not no_verify_after,
            create_backup=not no_recovery_point,
            skip_binlog=skip_binlog,
            threads=threads or program.settings.threads,
        )
        perform = _dry_run if dry_run else _drill if drill else _restore
        return await perform(program, request, silent=as_json)

    execute_with_program(
        work,
        as_json=as_json,
        records_runs=True,
        store=store,
        accepted_signers=accept_signer,
    )


async def _restore(program: Program, request: RestoreRequest, *, silent: bool) -> CommandResult:
    job = await program.jobs.restore(request)
    return restore_result(await run_job(program, job, silent=silent))


async def _dry_run(program: Program, request: RestoreRequest, *, silent: bool) -> CommandResult:
    job = await program.jobs.dry_run(request)
    return forecast_result(await run_job(program, job, silent=silent))


async def _drill(program: Program, request: RestoreRequest, *, silent: bool) -> CommandResult:
    job = await program.jobs.drill(request)
    return drill_result(await run_job(program, job, silent=silent))


def options(backup_id: BackupIdArgument, store: InStore = "", as_json: AsJson = False) -> None:
    """Show what this backup can do here: tables, time, space, proofs, what is in the way."""

    async def work(program: Program) -> CommandResult:
        return options_result(
            await program.recoveries.options(await named(program, backup_id)), store
        )

    execute_with_program(work, as_json=as_json, store=store)


def undo(restore_id: _RestoreIdArgument, as_json: AsJson = False) -> None:
    """Undo a restore: the old tables return by one statement; the restored ones are kept."""

    async def work(program: Program) -> CommandResult:
        job = await program.jobs.undo(restore_id)
        return undo_result(await run_job(program, job, silent=True))

    execute_with_program(work, as_json=as_json, records_runs=True)
