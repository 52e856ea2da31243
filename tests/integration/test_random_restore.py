"""
A restore in place changes what it was asked for and nothing else, whatever has happened since the backup.

`pytest --hypothesis-seed=random` draws other plans; a failure prints the statements, and without the line `phases`
below Hypothesis goes on to look for a smaller scenario.
"""

import glob
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress

import pymysql
import pytest
from hypothesis import given, note

from app.domain.backups.manifest import Manifest
from app.errors import AppError, ConflictError, StatementError
from tests.fixtures.backstay import Backstay
from tests.fixtures.random_changes import Scenario, scenarios
from tests.fixtures.series import drawn, series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import Snapshot, assert_same, quote, snapshot


# About a second and a half for each.
EXAMPLES = series(3, 200)
# Parts of a snapshot whose keys are names of tables, or of sequences.
BY_NAME = ("content", "sequence")
# By the names of views, which are no tables.
OF_VIEWS = "view columns"
# Whether a view can be written to depends on its tables, a foreign key's index on its parent.
DERIVED = {
    "views": {"IS_UPDATABLE"},
    "referential_constraints": {"UNIQUE_CONSTRAINT_NAME"},
}
# Columns that say to which table a row of a snapshot belongs.
TABLE_COLUMNS = ("EVENT_OBJECT_TABLE", "TABLE_NAME")


def belongs(part: str, key: str, row: object) -> str | None:
    """Return the table, or the sequence, that one entry of a snapshot is about; None = no table at all."""
    if part in BY_NAME:
        return key
    if part == OF_VIEWS:
        return None
    if part == "definition":
        kind, _, name = key.partition(" ")
        return name if kind in {"TABLE", "SEQUENCE"} else None
    assert isinstance(row, dict)
    found = (row[column] for column in TABLE_COLUMNS if column in row)
    return next((str(name) for name in found), None)


def owners(state: Snapshot, part: str, name: str) -> dict[str, str]:
    """Return the tables of triggers, or of foreign keys, by the names of these."""
    rows = state[part]
    assert isinstance(rows, dict)
    return {str(row[name]): str(belongs(part, key, row)) for key, row in rows.items()}  # type: ignore[index,call-overload]


def triggers(state: Snapshot) -> dict[str, str]:
    """Return the tables of triggers by their names."""
    return owners(state, "triggers", "TRIGGER_NAME")


def foreign_keys(state: Snapshot) -> dict[str, str]:
    """Return the tables of foreign keys by their names, of which a database has each once."""
    return owners(state, "referential_constraints", "CONSTRAINT_NAME")


def views(state: Snapshot) -> set[str]:
    """Return the names of views."""
    rows = state["views"]
    assert isinstance(rows, dict)
    return set(rows)


def entries(state: Snapshot) -> Iterator[tuple[str, str, str | None, object]]:
    """Yield part, key, table and value of every entry."""
    tables = {f"TRIGGER {name}": table for name, table in triggers(state).items()}
    for part, rows in state.items():
        assert isinstance(rows, dict)
        for key, row in rows.items():
            named = tables.get(key) if part == "definition" else None
            yield part, key, named or belongs(part, key, row), row


def merged(then: Snapshot, before: Snapshot, tables: set[str]) -> Snapshot:
    """Put these tables of a backup into the place of those that are there."""
    found: dict[str, dict[str, object]] = {part: {} for part in before}
    for state, chosen in ((before, False), (then, True)):
        for part, key, table, row in entries(state):
            if (table in tables) is chosen:
                found[part][key] = row
    return found  # type: ignore[return-value]  # the parts of snapshots, in another order


def without_derived(state: Snapshot) -> Snapshot:
    """Leave out what the server finds out by looking at other tables: of views, and of parents."""
    hidden = views(state)
    found: dict[str, dict[str, object]] = {part: {} for part in state}
    for part, key, table, row in entries(state):
        if part != OF_VIEWS and (part not in {"columns", "tables"} or table not in hidden):
            found[part][key] = plain(part, key, row)
    return found  # type: ignore[return-value]  # a snapshot with less in it


def lost_view(database: str, view: str) -> str:
    """Return the words of a warning that names a view."""
    return f"view {database}.{view} could not be created: it was unusable"


def without_views(state: Snapshot, names: set[str]) -> Snapshot:
    """Leave out everything of some views."""
    found: dict[str, dict[str, object]] = {part: {} for part in state}
    for part, key, _, row in entries(state):
        of_view = isinstance(row, dict) and row.get("TABLE_NAME") in names
        by_name = part in {"definition", OF_VIEWS} and key.removeprefix("VIEW ") in names
        if not (of_view or by_name):
            found[part][key] = row
    return found  # type: ignore[return-value]  # a snapshot with less in it


def plain(part: str, key: str, row: object) -> object:
    """Return one entry without what depends on other tables."""
    if part == "definition" and key.startswith("VIEW "):
        # The server qualifies the columns of a view that it cannot use.
        return str(row).replace("<db>.", "")
    lost = DERIVED.get(part, ())
    return (
        {name: cell for name, cell in row.items() if name not in lost}
        if isinstance(row, dict)
        else row
    )


def refusal(then: Snapshot, before: Snapshot, tables: set[str]) -> type[AppError] | None:
    """Tell how a restore ends that needs a name of something that stays; None = it needs none."""

    def clash(names: Callable[[Snapshot], dict[str, str]]) -> bool:
        taken = names(before)
        return any(
            table in tables and taken.get(name, table) not in tables
            for name, table in names(then).items()
        )

    if tables & views(before) or clash(triggers):
        return ConflictError
    return StatementError if clash(foreign_keys) else None


def change(sql: Sql, scenario: Scenario) -> None:
    """Do what happens after the backup, as far as the server lets it happen."""
    for statement in scenario.changed:
        with suppress(pymysql.MySQLError):
            sql.run(statement)


def scratch(sql: Sql) -> set[str]:
    """Return the names of schemas that restores made."""
    return {name for (name,) in sql.run("SHOW DATABASES") if "__bk_" in name}


@pytest.mark.long
@drawn(EXAMPLES)
@given(scenario=scenarios())
async def test_a_restore_changes_what_it_names_and_nothing_else(scenario, server, tmp_path):
    """These tables are as in the backup, all else is untouched; an undo, and its undo, are exact."""
    note(str(scenario))
    name = f"r_{uuid.uuid4().hex[:12]}{scenario.suffix}"
    backstay = Backstay(server.url, tmp_path / uuid.uuid4().hex / "backups")
    with Sql(server.url) as sql:
        foreign = scratch(sql)
        sql.script([f"CREATE DATABASE {quote(name)} CHARACTER SET utf8mb4", f"USE {quote(name)}"])
        try:
            sql.script(scenario.made)
            manifest = await backstay.backup(name)
            then = snapshot(server.url, name)
            change(sql, scenario)
            before = snapshot(server.url, name)
            error = scenario.tables and refusal(then, before, set(scenario.tables))
            if error:
                with pytest.raises(error):
                    await backstay.restore(manifest, tables=patterns(scenario))
                assert_same(before, snapshot(server.url, name))
                assert scratch(sql) == foreign
            else:
                await replace(backstay, manifest, scenario, then, before)
        finally:
            for schema in {name} | (scratch(sql) - foreign):
                sql.run(f"DROP DATABASE {quote(schema)}")
            await backstay.close()


async def replace(
    backstay: Backstay, manifest: Manifest, scenario: Scenario, then: Snapshot, before: Snapshot
) -> None:
    """Restore, undo, and undo that."""
    name = manifest.databases[0].name
    result = await backstay.restore(manifest, tables=patterns(scenario))
    assert result.verified
    after = snapshot(backstay.url, name)
    if scenario.tables is None:
        assert_same(then, after)
    else:
        expected = merged(then, before, set(scenario.tables))
        assert_same(without_derived(expected), without_derived(after))
    undone = await backstay.recoveries.undo(result.restore_id)
    # A view on a table that was not there cannot be made again; the undo names it.
    lost = {view for view in views(before) if lost_view(name, view) in " ".join(undone.warnings)}
    assert_same(without_views(before, lost), snapshot(backstay.url, name))
    await backstay.recoveries.undo(undone.restore_id)
    assert_same(after, snapshot(backstay.url, name))


def patterns(scenario: Scenario) -> tuple[str, ...]:
    """Return globs that mean the plan's tables alone."""
    return tuple(glob.escape(name) for name in scenario.tables or ())
