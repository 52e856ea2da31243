"""What dry runs, drills and options print."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from app.cli import exits
from app.cli.output import Answer, Document, Json, duration, note, pairs, plural, say, size, table


if TYPE_CHECKING:
    from datetime import datetime

    from app.domain.rehearsal import Compatibility, Estimate, Forecast, Proof, Space, TableForecast
    from app.errors import AppError
    from app.services.rehearsals import DrillResult, Options


def forecast_answer(forecast: "Forecast") -> Answer:
    """Tell of a dry run; the exit code is that of the restore."""
    problems = forecast.problems
    document: Document = {
        "success": not problems,
        "dry_run": True,
        "backup_id": forecast.backup_id,
        "verified": forecast.verified,
        "problems": _problems(problems),
        "restored_tables": [
            f"{one.database}.{one.name}" for one in forecast.tables if one.rows_then is not None
        ],
        "rows_count": sum(one.rows_then or 0 for one in forecast.tables),
        "tables": [_table(one) for one in forecast.tables],
        "objects": [
            {"database": one.database, "kind": one.kind, "name": one.name, "action": one.fate}
            for one in forecast.objects
        ],
        "incoming_foreign_keys": forecast.incoming_foreign_keys,
        "missing_rights": forecast.missing_rights,
        **_compatibility(forecast.compatibility),
        "disk": _space(forecast.space),
        "estimated_duration": forecast.estimate.seconds,
        "estimated_by": forecast.estimate.by,
        "binary_log": forecast.binary_log,
        "duration": forecast.duration,
    }
    code = exits.exit_code(problems[0]) if problems else exits.OK
    return Answer(document, lambda: _show_forecast(forecast), code)


def _table(one: "TableForecast") -> Mapping[str, Json]:
    return {
        "database": one.database,
        "name": one.name,
        "action": one.fate,
        "rows_now": one.rows_now,
        "rows_then": one.rows_then,
        "same_definition": one.same_definition,
        "chunks": one.chunks,
        "chunks_changed": one.chunks_changed,
    }


def _show_forecast(forecast: "Forecast") -> None:
    rows = [
        (
            f"{one.database}.{one.name}",
            f"{one.fate}",
            {None: "", True: "same", False: "differs"}[one.same_definition],
            f"{one.chunks_changed:,} of {one.chunks:,}" if one.chunks else "",
            _number(one.rows_now),
            _number(one.rows_then),
        )
        for one in forecast.tables
    ]
    headings = ("Table", "Action", "Definition", "Changed chunks", "Rows now", "Rows then")
    table(headings, rows, right=3)
    others = [one for one in forecast.objects if one.fate.value != "keep"]
    if others:
        lines = [(f"{one.database}.{one.name}", one.kind.value, one.fate.value) for one in others]
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


def drill_answer(result: "DrillResult") -> Answer:
    """Tell of a drill."""
    document: Document = {
        "success": True,
        "drill": True,
        "backup_id": result.backup_id,
        "databases": result.databases,
        "tables_count": result.tables_count,
        "rows_count": result.rows_count,
        "verified": True,
        "duration": result.duration,
        "warnings": result.warnings,
    }

    def show() -> None:
        say(
            f"Backup {result.backup_id} can be restored:"
            f" {plural(result.tables_count, 'table')}, {plural(result.rows_count, 'row')} in"
            f" {duration(result.duration)}; every row was read back and is equal. All of it was"
            " dropped again."
        )
        for warning in result.warnings:
            note(f"Warning: {warning}")

    return Answer(document, show)


def options_answer(options: "Options") -> Answer:
    """Tell what can be done with a backup."""
    document: Document = {
        "success": True,
        "backup_id": options.manifest.backup_id,
        "recovery_point": options.manifest.options.recovery_point,
        "description": options.manifest.options.description,
        "full_restore": not options.problems,
        "problems": _problems(options.problems),
        "databases": [
            {
                "database": database.name,
                "tables": [
                    {
                        "name": one.name,
                        "rows": one.rows,
                        "raw_size": one.raw_size,
                        "has_rows": not one.partial,
                    }
                    for one in database.tables
                ],
                "objects_count": len(database.objects),
            }
            for database in options.manifest.databases
        ],
        "missing_rights": options.missing_rights,
        **_compatibility(options.compatibility),
        "disk": _space(options.space),
        "estimated_duration": options.estimate.seconds,
        "estimated_by": options.estimate.by,
        "proven_at": _moment(proven(options.proofs)),
        "proofs": [_proof(one) for one in options.proofs],
        "undoable": [
            {"restore_id": one.recovery_id, "until": _moment(one.keep_until)}
            for one in options.undoable
        ],
    }
    return Answer(document, lambda: _show_options(options))


def _show_options(options: "Options") -> None:
    manifest = options.manifest
    rows = [
        (f"{database.name}.{one.name}", f"{one.rows:,}", size(one.raw_size))
        for database in manifest.databases
        for one in database.tables
    ]
    table(("Table", "Rows", "SQL"), rows, right=2)
    at = proven(options.proofs)
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
        say(f"  backstay restore undo {one.recovery_id}    take its restore back{until}")
    _show_problems(options.problems)


def proven(proofs: Sequence["Proof"]) -> "datetime | None":
    """Return when all of a backup was last restored and equal."""
    from app.domain.rehearsal import proven_at

    return proven_at(tuple(proofs))


def _proof(one: "Proof") -> Mapping[str, Json]:
    return {
        "at": _moment(one.at),
        "by": one.by,
        "success": one.success,
        "duration": one.seconds,
        "server": one.server,
        "tables_count": one.tables,
        "rows_count": one.rows,
        "whole": one.whole,
        "error": one.error or None,
    }


def _compatibility(found: "Compatibility") -> Mapping[str, Json]:
    return {
        "missing_engines": found.missing_engines,
        "missing_collations": found.missing_collations,
        "missing_features": (*found.missing_features, *found.clashing_names),
        "packet": {"needed": found.packet_needed, "allowed": found.packet_allowed},
    }


def _space(space: "Space") -> Mapping[str, Json]:
    return {"needed": space.needed, "free": space.free}


def _problems(problems: Sequence["AppError"]) -> Sequence[Mapping[str, Json]]:
    return [
        {"code": one.code, "title": one.title, "message": str(one), "hint": one.hint}
        for one in problems
    ]


def _show_problems(problems: Sequence["AppError"]) -> None:
    for one in problems:
        note(f"{one.title}: {one}")
        if one.hint:
            note(f"Hint: {one.hint}")


def _time(estimate: "Estimate") -> str:
    measured = {"drill": "as the last drill took", "restore": "as the last restore took"}
    return f"about {duration(estimate.seconds)} ({measured.get(estimate.by, 'at a typical rate')})"


def _disk(space: "Space") -> str:
    free = "unknown" if space.free is None else size(space.free)
    return f"about {size(space.needed)} needed, {free} free on the server"


def _moment(at: "datetime | None") -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
