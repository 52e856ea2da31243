"""The command that makes a backup of a point in time."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from app.bootstrap.program import Program
from app.cli.backup_names import named
from app.cli.commands.restore_output import disk_text
from app.cli.execution import execute_with_program
from app.cli.exits import exit_code_of
from app.cli.options import AsJson, Databases, Threads
from app.cli.output import (
    CommandResult,
    duration,
    minute,
    plural,
    print_error,
    print_line,
    print_pairs,
    print_warnings,
)
from app.cli.runs import run_job
from app.documents.derived import RecoveryDrilled, RecoveryPlanned
from app.domain.backups.manifest import Manifest
from app.domain.places.sizes import size
from app.domain.restores.log_archive import LoggedTransaction
from app.domain.restores.points import (
    RecoverPlan,
    RecoverRequest,
    RecoveryDrill,
    parse_point,
)
from app.errors import InvalidRequestError


_ToTime = Annotated[
    str,
    typer.Option(
        "--to-time",
        metavar="TIME",
        help="The last transaction committed by then, such as 2024-01-31T14:30:15Z; UTC without a zone.",
    ),
]
_ToGtid = Annotated[
    str, typer.Option("--to-gtid", metavar="GTID", help="With this transaction, and none after it.")
]
_BeforeGtid = Annotated[
    str, typer.Option("--before-gtid", metavar="GTID", help="Just before this transaction.")
]
_ToPosition = Annotated[
    str,
    typer.Option(
        "--to-position", metavar="FILE:POS", help="Where a transaction of the binary log ends."
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say where it would begin and end; start no server.")
]
_Drill = Annotated[
    str | None,
    typer.Option(
        "--drill",
        metavar="ID",
        help="Prove that this backup, or the 'latest', is what an older one and the log give.",
        show_default=False,
    ),
]


def recover(
    to_time: _ToTime = "",
    to_gtid: _ToGtid = "",
    before_gtid: _BeforeGtid = "",
    to_position: _ToPosition = "",
    database: Databases = None,
    dry_run: _DryRun = False,
    drill: _Drill = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Make a backup of a point in time, from a backup before it and the binary log since then."""
    given = (to_time, to_gtid, before_gtid, to_position)
    if drill is not None and (any(given) or database or dry_run):
        raise InvalidRequestError("--drill takes no point, no database and no --dry-run")
    point = None if drill is not None else parse_point(_instant(to_time), *given[1:])

    async def work(program: Program) -> CommandResult:
        connections = threads or program.settings.threads
        if point is None:
            return await _drill(program, drill or "", connections, silent=as_json)
        request = RecoverRequest(point, tuple(database or ()), connections)
        perform = _plan if dry_run else _recover
        return await perform(program, request, silent=as_json)

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True)


async def _recover(program: Program, request: RecoverRequest, *, silent: bool) -> CommandResult:
    job = program.recovery_jobs.recovery(request)
    manifest = await run_job(program, job, silent=silent)
    return CommandResult(job.document(manifest), lambda: _show_recovered(manifest))


async def _plan(program: Program, request: RecoverRequest, *, silent: bool) -> CommandResult:
    plan = await run_job(program, program.recovery_jobs.dry_run(request), silent=silent)
    code = exit_code_of(plan.problems)
    return CommandResult(RecoveryPlanned.of(plan), lambda: _show_plan(plan), code)


async def _drill(program: Program, name: str, connections: int, *, silent: bool) -> CommandResult:
    backup_id = "" if name == "latest" else await named(program, name)
    job = program.recovery_jobs.drill(backup_id, connections)
    result = await run_job(program, job, silent=silent)
    return CommandResult(RecoveryDrilled.of(result), lambda: _show_drill(result))


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidRequestError(
            f"--to-time: {text[:80]!r} is no time",
            hint="Write it as 2024-01-31T14:30:15Z, or with an offset such as +01:00.",
        ) from exc


def _show_recovered(manifest: Manifest) -> None:
    position = manifest.position
    print_line(f"Backup {manifest.backup_id} holds what was there at that point.")
    print_line(
        f"{plural(manifest.tables_count, 'table')}, {plural(manifest.rows_count, 'row')}, from backup"
        f" {manifest.recovered_from} and the binary log to"
        f" {position.binlog_file}:{position.binlog_position}."
    )
    print_line(
        f"Restore of it: backstay restore run {manifest.backup_id} [--table NAME] [--into NAME]"
    )
    print_warnings(manifest.warnings)


def _show_plan(plan: RecoverPlan) -> None:
    cut = plan.cut
    print_pairs([
        ("Base", f"{plan.base.backup_id} of {minute(plan.base.created_at)} UTC"),
        ("Databases", ", ".join(plan.databases) or "all"),
        ("Replays", f"{plural(cut.transactions, 'transaction')}, {size(plan.log_bytes)}"),
        ("Ends at", f"{cut.file}:{cut.place.position} {cut.position.gtid}".rstrip()),
        ("Last in", _transaction(cut.last)),
        ("First out", _transaction(cut.following)),
        *([("Disk", disk_text(plan.space, "in the state directory"))] if plan.space else []),
    ])
    print_warnings([f"backup {name} is no base: {reason}" for name, reason in plan.passed_over])
    print_warnings(plan.cautions)
    for problem in plan.problems:
        print_error(f"Would be refused: {problem.title}", str(problem), problem.hint)


def _transaction(found: LoggedTransaction | None) -> str:
    if found is None:
        return "none"
    at = found.committed_at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{found.gtid or f'{found.file}:{found.start}'} of {at} UTC"


def _show_drill(result: RecoveryDrill) -> None:
    print_line(
        f"Backup {result.backup_id} is what backup {result.base} and"
        f" {plural(result.transactions, 'transaction')} of the binary log give:"
        f" {plural(result.tables_count, 'table')} compared in {duration(result.duration)}."
    )
