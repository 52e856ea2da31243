"""What a restore is asked for, and what that means for each database of the backup; asks no server."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.domain.backups.manifest import NOT_ASKED_FOR, DatabaseEntry, Manifest
from app.domain.restores.journal import RestoreId, RestoreKind
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestorePlan, RestoreRequest
from app.engine.flavor import SYSTEM_SCHEMAS, VIRTUAL_SCHEMAS
from app.engine.schema.databases import (
    SCRATCH,
    staging_name,
)
from app.engine.sql.quoting import MOST_NAME_CHARACTERS, matches
from app.errors import DatabaseNotFoundError, InvalidRequestError, TableNotFoundError
from app.storage.journals import new_restore_id


def plan_restore(manifest: Manifest, request: RestoreRequest) -> RestorePlan:
    """Plan a restore that loads into staging schemas first; raises what `plan_loads` raises."""
    restore_id = new_restore_id()
    loads = plan_loads(manifest, request, restore_id)
    _refuse_systems_own(loads)
    return RestorePlan(restore_id, RestoreKind.RESTORE, request, manifest, tuple(loads))


def plan_drill(manifest: Manifest, request: RestoreRequest) -> RestorePlan:
    """Plan a drill, whose targets are its staging schemas; raises what `plan_loads` raises."""
    # A drill that proves nothing is none, and nothing live may be read or locked.
    return _plan_in_scratch(manifest, replace(request, into="", verify_after=True))


def plan_trial(plan: RestorePlan, rows_of: Collection[tuple[str, str]] = ()) -> RestorePlan:
    """Plan to make all definitions of a restore beside its targets, and rows of some tables (database, name)."""
    request = replace(plan.request, schema_only=True, verify_before=False, verify_after=True)
    trial = _plan_in_scratch(plan.manifest, request)
    loads = zip(trial.loads, plan.loads, strict=True)
    return replace(trial, loads=tuple(tried.with_rows(meant, rows_of) for tried, meant in loads))


def _plan_in_scratch(manifest: Manifest, request: RestoreRequest) -> RestorePlan:
    restore_id = new_restore_id()
    loads = [
        replace(load, target=load.staging) for load in plan_loads(manifest, request, restore_id)
    ]
    request = replace(request, into="")
    return RestorePlan(restore_id, RestoreKind.DRILL, request, manifest, tuple(loads))


def plan_loads(
    manifest: Manifest, request: RestoreRequest, restore_id: RestoreId | None = None
) -> list[DatabaseLoad]:
    """
    Reduce a backup to what is asked for, and name the targets.

    Args:
        manifest: Of the backup.
        request: What is asked for.
        restore_id: Of the restore that loads into staging schemas first; None = no staging.

    Returns:
        One load a database with anything to restore.

    Raises:
        DatabaseNotFoundError: The backup has no such database.
        TableNotFoundError: A pattern matches no table of the backup.
        InvalidRequestError: Several databases into one, a name that no database can have, or options
            that exclude each other.
    """
    if manifest.server.lower_case_table_names == 1:
        request = request.in_lower_case()
    _check_options(manifest, request)
    chosen = _chosen(manifest, request)
    if request.into and len(chosen) > 1:
        raise InvalidRequestError(
            f"another name is for one database, and {len(chosen)} are to be restored",
            hint="Choose one of them (--database).",
        )
    options = manifest.options
    partial = bool(request.tables or options.tables or options.exclude_tables or request.data_only)
    targets = [request.into or database.name for database in chosen]
    loads = []
    for database, target in zip(chosen, targets, strict=True):
        staging = staging_name(target, restore_id, targets) if restore_id else ""
        loads.append(
            DatabaseLoad(
                _without_rows(database) if request.schema_only else database,
                target,
                staging,
                whole=not partial,
                include_rows=not request.schema_only,
            )
        )
    return loads


def _refuse_systems_own(loads: Sequence[DatabaseLoad]) -> None:
    """Refuse to replace the tables that a server works with while it runs."""
    for load in loads:
        # A name in other letters is another database, where the server lets it be one.
        if load.target == "mysql" or load.target.lower() in VIRTUAL_SCHEMAS:
            raise InvalidRequestError(
                f"{load.target!r} belongs to the server, and cannot be replaced while it runs",
                hint="Restore it beside with --into, and copy from there what you need; --accounts"
                " brings back users and roles.",
            )


def _check_options(manifest: Manifest, request: RestoreRequest) -> None:
    name = request.into
    if len(name) > MOST_NAME_CHARACTERS or name != name.rstrip() or "\0" in name:
        raise InvalidRequestError(
            f"no database can be named {name[:80]!r}",
            hint=f"Names have at most {MOST_NAME_CHARACTERS} characters and do not end in a space.",
        )
    if name in SYSTEM_SCHEMAS or name.lower() in VIRTUAL_SCHEMAS or SCRATCH.search(name):
        raise InvalidRequestError(
            f"{name!r} is a name of the server, or one that restores give to their own databases",
            hint="Choose another name.",
        )
    if request.schema_only and request.data_only:
        raise InvalidRequestError("--schema-only and --data-only exclude each other")
    if request.data_only and request.into:
        raise InvalidRequestError(
            "--data-only keeps the definitions of tables that are there, --into names a new place"
        )
    if request.data_only and not manifest.options.include_data:
        raise InvalidRequestError("--data-only, but the backup was made without rows")


def _chosen(manifest: Manifest, request: RestoreRequest) -> list[DatabaseEntry]:
    for name in request.databases:
        if name not in {database.name for database in manifest.databases}:
            raise DatabaseNotFoundError(f"the backup holds no database {name!r}")
    chosen = [
        _reduced(database, request.tables)
        for database in manifest.databases
        if not request.databases or database.name in request.databases
    ]
    for pattern in request.tables:
        if not any(
            matches(database.name, table.name, pattern)
            for database in chosen
            for table in database.tables
        ):
            raise TableNotFoundError(f"no table of the backup matches {pattern!r}")
    return [database for database in chosen if database.tables or not request.tables]


def _reduced(database: DatabaseEntry, patterns: Sequence[str]) -> DatabaseEntry:
    """Keep the tables that match, with their triggers; all with everything when there is no pattern."""
    if not patterns:
        return database
    tables = tuple(
        table
        for table in database.tables
        if any(matches(database.name, table.name, pattern) for pattern in patterns)
    )
    names = {table.name for table in tables}
    return replace(
        database,
        tables=tables,
        objects=tuple(entry for entry in database.objects if entry.table in names),
    )


def _without_rows(database: DatabaseEntry) -> DatabaseEntry:
    tables = tuple(
        table if table.sequence else replace(table, rows=0, raw_size=0, partial=NOT_ASKED_FOR)
        for table in database.tables
    )
    return replace(database, tables=tables)


def not_proven(manifest: Manifest, loads: Sequence[DatabaseLoad]) -> list[str]:
    """Say what the proof of a restore does not cover because an earlier version made the backup."""
    computed = [
        entry
        for load in loads
        for entry in load.entry.tables
        if any(column.generated for column in entry.columns) and entry.rows
    ]
    if "stored columns" in manifest.covers or not computed:
        return []
    return [
        (
            "an earlier version made this backup: the values of generated columns are not proven"
            f" ({len(computed)} tables)"
        )
    ]
