"""What dry runs, drills and options print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.cli import exits
from app.cli.output import CommandResult, duration, note, pairs, plural, say, size, table


if TYPE_CHECKING:
    from app.domain.restores.dry_run import Estimate, Forecast, RestoreOptions, Space
    from app.domain.restores.proofs import DrillResult
    from app.errors import AppError


def forecast_answer(forecast: "Forecast") -> CommandResult:
    """Tell of a dry run; the exit code is that of the restore."""
    from app.documents.restores import DryRun

    problems = forecast.problems
    code = exits.exit_code(problems[0]) if problems else exits.OK
    return CommandResult(DryRun.of(forecast), lambda: _show_forecast(forecast), code)


def _show_forecast(forecast: "Forecast") -> None:
    rows = [
        (
            f"{one.database}.{one.name}",
            f"{one.action}",
            {None: "", True: "same", False: "differs"}[one.same_definition],
            f"{one.chunks_changed:,} of {one.chunks:,}" if one.chunks else "",
            _number(one.rows_now),
            _number(one.rows_then),
        )
        for one in forecast.tables
    ]
    headings = ("Table", "Action", "Definition", "Changed chunks", "Rows now", "Rows then")
    table(headings, rows, right=3)
    others = [one for one in forecast.objects if one.action.value != "keep"]
    if others:
        lines = [
            (f"{other.database}.{other.name}", other.kind.value, other.action.value)
            for other in others
        ]
        table(("Object", "Kind", "Action"), lines)
    kept = len(forecast.objects) - len(others)
    same = f" Objects that are as in the backup: {kept:,}." if kept else ""
    say(f"This was a dry run: nothing was changed.{same}")
    pairs([
        ("Backup file", {None: "not checked", True: "whole", False: "DAMAGED"}[forecast.verified]),
        ("Time", _time(forecast.estimate)),
        ("Disk", _disk(forecast.space)),
        ("Binary log", forecast.binary_log),
        ("Keys from outside", ", ".join(forecast.incoming_foreign_keys) or "none"),
        ("Restore", "would be refused, see below" if forecast.problems else "would pass"),
    ])
    _show_problems(forecast.problems)


def drill_answer(result: "DrillResult") -> CommandResult:
    """Tell of a drill."""
    from app.documents.restores import DrillPassed

    def show() -> None:
        say(
            f"Backup {result.backup_id} can be restored:"
            f" {plural(result.tables_count, 'table')}, {plural(result.rows_count, 'row')} in"
            f" {duration(result.duration)}; every row was read back and is equal. All of it was"
            " dropped again."
        )
        for warning in result.warnings:
            note(f"Warning: {warning}")

    return CommandResult(DrillPassed.of(result), show)


def options_answer(options: "RestoreOptions") -> CommandResult:
    """Tell what can be done with a backup."""
    from app.documents.restores import RecoveryOptions

    return CommandResult(RecoveryOptions.of(options), lambda: _show_options(options))


def _show_options(options: "RestoreOptions") -> None:
    from app.domain.restores.proofs import proven_at

    manifest = options.manifest
    rows = [
        (f"{database.name}.{one.name}", f"{one.rows:,}", size(one.raw_size))
        for database in manifest.databases
        for one in database.tables
    ]
    table(("Table", "Rows", "SQL"), rows, right=2)
    at = proven_at(options.proofs)
    pairs([
        ("Restore all", "refused, see below" if options.problems else "possible here"),
        ("Time", _time(options.estimate)),
        ("Disk", _disk(options.space)),
        ("Last proven", f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never; try --drill"),
    ])
    name = manifest.backup_id
    say("What you can do:")
    say(f"  backstay restore run {name} --dry-run         what would change")
    say(f"  backstay restore run {name} --drill           prove it beside the live data")
    say(f"  backstay restore run {name}                   all, in place")
    say(f"  backstay restore run {name} --table 'GLOB'    some tables, in place")
    say(f"  backstay restore run {name} --into NAME       beside it, under another name")
    for one in options.undoable:
        until = f", until {one.keep_until:%Y-%m-%d %H:%M} UTC" if one.keep_until else ""
        say(f"  backstay restore undo {one.restore_id}    take its restore back{until}")
    _show_problems(options.problems)


def _show_problems(problems: Sequence["AppError"]) -> None:
    for problem in problems:
        note(f"{problem.title}: {problem}")
        if problem.hint:
            note(f"Hint: {problem.hint}")


def _time(estimate: "Estimate") -> str:
    measured = {"drill": "as the last drill took", "restore": "as the last restore took"}
    return f"about {duration(estimate.seconds)} ({measured.get(estimate.by, 'at a typical rate')})"


def _disk(space: "Space") -> str:
    free = "unknown" if space.free is None else size(space.free)
    return f"about {size(space.needed)} needed, {free} free on the server"


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
