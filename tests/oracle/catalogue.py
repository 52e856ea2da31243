"""The views of information_schema that describe a database, and the columns that no copy can keep."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class View:
    """
    One view of information_schema.

    Attributes:
        name: Name of the view.
        schema: Column that holds the database name.
        keys: Columns that identify one row within a database; also the order.
        dropped: Columns that differ between equal databases: sizes, statistics, times, the reader's own rights.
    """

    name: str
    schema: str
    keys: tuple[str, ...]
    dropped: frozenset[str] = frozenset()


_SIZES = frozenset([
    "VERSION",
    "TABLE_ROWS",
    "AVG_ROW_LENGTH",
    "DATA_LENGTH",
    "MAX_DATA_LENGTH",
    "INDEX_LENGTH",
    "MAX_INDEX_LENGTH",
    "DATA_FREE",
    "CREATE_TIME",
    "UPDATE_TIME",
    "CHECK_TIME",
    "CHECKSUM",
    "TABLESPACE_NAME",
])

_REMEMBERED = frozenset({"COLUMN_DEFAULT", "IS_NULLABLE"})

CATALOGUE = (
    View("SCHEMATA", "SCHEMA_NAME", ()),
    # AUTO_INCREMENT stays; a live CHECKSUM=1 option shows in CREATE_OPTIONS.
    View("TABLES", "TABLE_SCHEMA", ("TABLE_NAME",), _SIZES),
    View("COLUMNS", "TABLE_SCHEMA", ("TABLE_NAME", "COLUMN_NAME"), frozenset({"PRIVILEGES"})),
    View(
        "STATISTICS",
        "TABLE_SCHEMA",
        ("TABLE_NAME", "INDEX_NAME", "SEQ_IN_INDEX"),
        frozenset({"CARDINALITY"}),
    ),
    View(
        "KEY_COLUMN_USAGE",
        "TABLE_SCHEMA",
        ("TABLE_NAME", "CONSTRAINT_NAME", "ORDINAL_POSITION"),
    ),
    View("TABLE_CONSTRAINTS", "TABLE_SCHEMA", ("TABLE_NAME", "CONSTRAINT_NAME", "CONSTRAINT_TYPE")),
    View("CHECK_CONSTRAINTS", "CONSTRAINT_SCHEMA", ("TABLE_NAME", "LEVEL", "CONSTRAINT_NAME")),
    View("REFERENTIAL_CONSTRAINTS", "CONSTRAINT_SCHEMA", ("TABLE_NAME", "CONSTRAINT_NAME")),
    View(
        "PARTITIONS",
        "TABLE_SCHEMA",
        ("TABLE_NAME", "PARTITION_NAME", "SUBPARTITION_NAME"),
        _SIZES,
    ),
    View("TRIGGERS", "TRIGGER_SCHEMA", ("TRIGGER_NAME",), frozenset({"CREATED"})),
    View(
        "ROUTINES",
        "ROUTINE_SCHEMA",
        ("ROUTINE_TYPE", "ROUTINE_NAME"),
        frozenset({"CREATED", "LAST_ALTERED"}),
    ),
    View(
        "PARAMETERS",
        "SPECIFIC_SCHEMA",
        ("ROUTINE_TYPE", "SPECIFIC_NAME", "ORDINAL_POSITION"),
    ),
    View("VIEWS", "TABLE_SCHEMA", ("TABLE_NAME",)),
    View(
        "EVENTS",
        "EVENT_SCHEMA",
        ("EVENT_NAME",),
        # ORIGINATOR is the server_id that created the event.
        frozenset({"CREATED", "LAST_ALTERED", "LAST_EXECUTED", "ORIGINATOR"}),
    ),
)

# Tables of `mysql` with grants within one database, and the columns that name what they are on.
GRANTS = {
    "db": (),
    "tables_priv": ("Table_name",),
    "columns_priv": ("Table_name", "Column_name"),
    "procs_priv": ("Routine_type", "Routine_name"),
}


def without_remembered(
    rows: list[dict[str, str | None]], views: Collection[str]
) -> list[dict[str, str | None]]:
    """
    Leave out what MySQL remembers of the columns of views: how they were in the session that made each.

    It forgets that when anybody alters or renames a table beneath; what a query says of them is what is true.
    """
    return [
        {key: cell for key, cell in row.items() if key not in _REMEMBERED}
        if row["TABLE_NAME"] in views
        else row
        for row in rows
    ]
