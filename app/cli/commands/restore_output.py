"""What restores, undos, dry runs, drills and options print."""

from collections.abc import Sequence

from app.cli.exits import exit_code_of
from app.cli.output import (
    CommandResult,
    duration,
    minute,
    moment,
    plural,
    print_bytes_read,
    print_error,
    print_line,
    print_pairs,
    print_warnings,
)
from app.cli.tables import print_table
from app.documents.restores import DrillPassed, DryRun, RecoveryOptions, Restored
from app.domain.places.sizes import size
from app.domain.restores.dry_run import Estimate, Forecast, RestoreOptions, Space
from app.domain.restores.proofs import DrillResult, proven_at
from app.domain.restores.restore import RestoreResult
from app.errors import AppError


def restore_result(result: RestoreResult) -> CommandResult:
    """Make the result of a restore."""
    return CommandResult(Restored.of(result), lambda: _show_restore(result))


def undo_result(result: RestoreResult) -> CommandResult:
    """Make the result of an undo."""
    return CommandResult(Restored.of(result), lambda: _show_undo(result))


def _show_restore(result: RestoreResult) -> None:
    proof = "every row was read back and is equal" if result.verified else "rows were NOT read back"
    tables = plural(len(result.restored_tables), "table")
    print_line(f"Backup {result.backup_id} restored into {', '.join(result.databases)}.")
    rows = plural(result.rows_count, "row")
    print_line(f"{tables}, {rows} in {duration(result.duration)}; {proof}.")
    print_bytes_read(result.bytes_read)
    if result.dropped_tables:
        print_line(f"Dropped, not in the backup: {', '.join(result.dropped_tables)}.")
    if result.recovery_point:
        print_line(f"Recovery point with the state before: backup {result.recovery_point}.")
    _show_undo_until(result)


def _show_undo(result: RestoreResult) -> None:
    print_line(
        f"Restore undone in {', '.join(result.databases)}: {plural(len(result.restored_tables), 'table')}"
        f" returned in {duration(result.duration)}."
    )
    _show_undo_until(result)


def _show_undo_until(result: RestoreResult) -> None:
    if result.undo_until:
        print_line(
            f"Undo until {minute(result.undo_until)} UTC: backstay restore undo {result.restore_id}"
        )
    print_warnings(result.warnings)


def forecast_result(forecast: Forecast) -> CommandResult:
    """Make the result of a dry run; its exit code is that of the restore."""
    return CommandResult(
        DryRun.of(forecast),
        lambda: _show_forecast(forecast),
        exit_code_of(forecast.problems),
    )


def _show_forecast(forecast: Forecast) -> None:
    rows = [
        (
            f"{table.database}.{table.name}",
            table.action.value,
            {None: "", True: "same", False: "differs"}[table.same_definition],
            f"{table.chunks_changed:,} of {table.chunks:,}" if table.chunks else "",
            _number(table.rows_now),
            _number(table.rows_then),
        )
        for table in forecast.tables
    ]
    headings = ("Table", "Action", "Definition", "Changed chunks", "Rows now", "Rows then")
    print_table(headings, rows, right=3)
    changed = [
        (f"{item.database}.{item.name}", item.kind.value, item.action.value)
        for item in forecast.objects
        if item.action.value != "keep"
    ]
    if changed:
        print_table(("Object", "Kind", "Action"), changed)
    if not forecast.compared:
        print_line("What would become of some tables or objects is unknown: rights are missing.")
    kept = len(forecast.objects) - len(changed)
    same = f" Objects that are as in the backup: {kept:,}." if kept else ""
    print_line(f"This was a dry run: nothing was changed.{same}")
    print_pairs([
        ("Backup file", {None: "not checked", True: "whole", False: "DAMAGED"}[forecast.verified]),
        ("Time", _time(forecast.estimate)),
        ("Disk", disk_text(forecast.space)),
        ("Binary log", forecast.binary_log),
        ("Keys from outside", ", ".join(forecast.incoming_foreign_keys) or "none"),
        ("Restore", "would be refused, see below" if forecast.problems else "would pass"),
    ])
    print_bytes_read(forecast.bytes_read)
    print_warnings(forecast.warnings)
    _show_problems(forecast.problems)


def drill_result(result: DrillResult) -> CommandResult:
    """Make the result of a drill."""
    return CommandResult(DrillPassed.of(result), lambda: _show_drill(result))


def _show_drill(result: DrillResult) -> None:
    print_line(
        f"Backup {result.backup_id} can be restored:"
        f" {plural(result.tables_count, 'table')}, {plural(result.rows_count, 'row')} in"
        f" {duration(result.duration)}."
    )
    print_line("Every row was read back and is equal. All of it was dropped again.")
    print_bytes_read(result.bytes_read)
    print_warnings(result.warnings)


def options_result(options: RestoreOptions, store: str) -> CommandResult:
    """Make the result that says what can be done with a backup, of a store if one is named."""
    return CommandResult(RecoveryOptions.of(options), lambda: _show_options(options, store))


def _show_options(options: RestoreOptions, store: str) -> None:
    manifest = options.manifest
    rows = [
        (f"{database.name}.{table.name}", f"{table.rows:,}", size(table.raw_size))
        for database in manifest.databases
        for table in database.tables
    ]
    print_table(("Table", "Rows", "SQL"), rows, right=2)
    proven = proven_at(options.proofs)
    print_pairs([
        ("Restore all", "refused, see below" if options.problems else "possible here"),
        ("Time", _time(options.estimate)),
        ("Disk", disk_text(options.space)),
        ("Last proven", f"{moment(proven)} UTC" if proven else "never; try --drill"),
        *(
            ("Undo", f"{restore.restore_id} until {minute(restore.keep_until)} UTC")
            for restore in options.undoable
            if restore.keep_until
        ),
    ])
    print_line("What you can do:")
    where = f" --store {store}" if store else ""
    run = f"backstay restore run {manifest.backup_id}{where}"
    ways = [
        (f"{run} --dry-run", "what would change"),
        (f"{run} --drill", "prove it"),
        (run, "all, in place"),
        (f"{run} --table 'GLOB'", "some, in place"),
        (f"{run} --into NAME", "beside it"),
        *(
            (f"backstay restore undo {restore.restore_id}", "undo a restore")
            for restore in options.undoable
        ),
    ]
    width = max(len(command) for command, _ in ways)
    for command, meaning in ways:
        print_line(f"  {command:<{width}}  {meaning}")
    _show_problems(options.problems)


def _show_problems(problems: Sequence[AppError]) -> None:
    for problem in problems:
        print_error(problem.title, str(problem), problem.hint)


def _time(estimate: Estimate) -> str:
    measured = {"drill": "as the last drill took", "restore": "as the last restore took"}
    return f"about {duration(estimate.seconds)} ({measured.get(estimate.by, 'at a typical rate')})"


def disk_text(space: Space, where: str = "on the server") -> str:
    """Say how much disk is needed and free somewhere."""
    free = "unknown" if space.free is None else size(space.free)
    return f"about {size(space.needed)} needed, {free} free {where}"


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
