"""Commands that restore backups, and take that back."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.options import AsJson, BackupIdArgument, Databases, Tables, Threads
from app.cli.output import CommandResult, duration, note, plural, say
from app.cli.runs import perform_run


if TYPE_CHECKING:
    from app.config import Settings
    from app.domain.restores.restore import RestoreRequest, RestoreResult

app = typer.Typer(
    name="restore",
    help="Restore backups, prove the result, and take it back.",
    no_args_is_help=True,
)

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


@app.callback()
def group() -> None:
    """Restore backups, prove the result, and take it back."""


@app.command()
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
    as_json: AsJson = False,
) -> None:
    """Restore a backup beside the live data, prove it, and swap it in by one statement."""

    async def work() -> CommandResult:
        from app.config import load_settings
        from app.domain.restores.restore import RestoreRequest
        from app.errors import InvalidRequestError

        if dry_run and drill:
            raise InvalidRequestError("--dry-run and --drill exclude each other")
        if into == "":  # a script's empty variable must not mean the live database
            raise InvalidRequestError("--into is empty", hint="Leave it out, or give a name.")
        settings = load_settings()
        request = RestoreRequest(
            backup_id=backup_id,
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
            threads=threads or settings.threads,
        )
        act = _rehearse if dry_run else _drill if drill else _restore
        return await act(settings, request, silent=as_json)

    perform(work, as_json=as_json)


async def _restore(
    settings: "Settings", request: "RestoreRequest", *, silent: bool
) -> CommandResult:
    from app.bootstrap.program import open_program
    from app.documents.restores import Restored

    async with open_program(settings, remembers=True) as parts:
        result = await perform_run(parts, await parts.jobs.restore(request), silent=silent)
    return CommandResult(Restored.of(result), lambda: _show(result))


async def _rehearse(
    settings: "Settings", request: "RestoreRequest", *, silent: bool
) -> CommandResult:
    from app.bootstrap.program import open_program
    from app.cli.commands.restore_output import forecast_answer

    async with open_program(settings, remembers=True) as parts:
        order = await parts.jobs.dry_run(request)
        return forecast_answer(await perform_run(parts, order, silent=silent))


async def _drill(settings: "Settings", request: "RestoreRequest", *, silent: bool) -> CommandResult:
    from app.bootstrap.program import open_program
    from app.cli.commands.restore_output import drill_answer

    async with open_program(settings, remembers=True) as parts:
        order = await parts.jobs.drill(request)
        return drill_answer(await perform_run(parts, order, silent=silent))


@app.command()
def options(backup_id: BackupIdArgument, as_json: AsJson = False) -> None:
    """Show what this backup can do here: tables, time, space, proofs, what is in the way."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.cli.commands.restore_output import options_answer
        from app.config import load_settings

        async with open_program(load_settings()) as parts:
            return options_answer(await parts.recoveries.options(backup_id))

    perform(work, as_json=as_json)


@app.command()
def undo(restore_id: _RestoreIdArgument, as_json: AsJson = False) -> None:
    """Take a restore back: the old tables return by one statement; the restored ones are kept."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.restores import Restored

        async with open_program(load_settings(), remembers=True) as parts:
            order = await parts.jobs.undo(restore_id)
            result = await perform_run(parts, order, silent=True)
        return CommandResult(Restored.of(result), lambda: _show_undo(result))

    perform(work, as_json=as_json)


def _show(result: "RestoreResult") -> None:
    proof = "every row was read back and is equal" if result.verified else "NOT read back"
    tables = plural(len(result.restored_tables), "table")
    say(
        f"Backup {result.backup_id} restored into {', '.join(result.databases)}: {tables},"
        f" {plural(result.rows_count, 'row')} in {duration(result.duration)}; {proof}."
    )
    if result.dropped_tables:
        say(f"Not in the backup, so gone: {', '.join(result.dropped_tables)}.")
    if result.recovery_point:
        say(f"Recovery point, with what was there before: backup {result.recovery_point}.")
    _show_rest(result)


def _show_undo(result: "RestoreResult") -> None:
    say(
        f"Undone in {', '.join(result.databases)}: {plural(len(result.restored_tables), 'table')}"
        f" back in {duration(result.duration)}."
    )
    _show_rest(result)


def _show_rest(result: "RestoreResult") -> None:
    if result.undo_until:
        say(
            f"Undo until {result.undo_until:%Y-%m-%d %H:%M} UTC:"
            f" backstay restore undo {result.restore_id}"
        )
    for warning in result.warnings:
        note(f"Warning: {warning}")
