"""Commands that restore backups."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.options import AsJson, BackupIdArgument, Databases, Tables, Threads
from app.cli.output import Answer, Document, duration, note, plural, say
from app.cli.progress import shown


if TYPE_CHECKING:
    from app.config import Settings
    from app.services.recoveries import RestoreRequest, RestoreResult

app = typer.Typer(
    name="restore", help="Restore backups, and prove the result.", no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Restore backups, and prove the result."""


@app.command()
def run(
    backup_id: BackupIdArgument,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="NAME",
            help="A database that is new or empty. Default: each under its own name.",
            show_default=False,
        ),
    ] = None,
    database: Databases = None,
    tables: Tables = None,
    no_verify_before: Annotated[
        bool, typer.Option("--no-verify-before", help="Do not check the whole file first.")
    ] = False,
    no_verify_after: Annotated[
        bool, typer.Option("--no-verify-after", help="Do not read the restored rows back.")
    ] = False,
    accounts: Annotated[
        bool,
        typer.Option("--accounts", help="Create users and roles of the backup that are not here."),
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into new or empty databases, then read it back and compare."""

    async def work() -> Answer:
        from app.config import load_settings
        from app.errors import InvalidRequestError
        from app.services.recoveries import RestoreRequest

        if into == "":  # a script's empty variable must not mean the live database
            raise InvalidRequestError("--into is empty", hint="Leave it out, or give a name.")
        settings = load_settings()
        request = RestoreRequest(
            backup_id=backup_id,
            into=into or "",
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            verify_before=not no_verify_before,
            verify_after=not no_verify_after,
            threads=threads or settings.threads,
            accounts=accounts,
        )
        return await _restore(settings, request, silent=as_json)

    perform(work, as_json=as_json)


async def _restore(settings: "Settings", request: "RestoreRequest", *, silent: bool) -> Answer:
    from app.bootstrap import program

    async with program(settings) as parts, shown(silent=silent) as progress:
        result = await parts.recoveries.restore(request, progress)
    document: Document = {
        "success": True,
        "backup_id": result.backup_id,
        "databases": result.databases,
        "restored_tables": result.restored_tables,
        "rows_count": result.rows_count,
        "verified": result.verified,
        "duration": result.duration,
        "warnings": result.warnings,
    }
    return Answer(document, lambda: _show(result))


def _show(result: "RestoreResult") -> None:
    proof = "every row was read back and is equal" if result.verified else "NOT read back"
    tables = plural(len(result.restored_tables), "table")
    say(
        f"Backup {result.backup_id} restored into {', '.join(result.databases)}: {tables},"
        f" {plural(result.rows_count, 'row')} in {duration(result.duration)}; {proof}."
    )
    for warning in result.warnings:
        note(f"Warning: {warning}")
