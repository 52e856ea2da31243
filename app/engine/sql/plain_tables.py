"""
Whether a definition, as SHOW CREATE TABLE prints it, is of the table that was planned: pure text.

Columns and keys are read from information_schema before anything else is known of a table. Asking
again would make the server open every table once more, so the definition itself is compared: it
proves the plan, or leaves it open, and then the server is asked. Only a plain table of plain columns
is proven; whatever is printed beyond the patterns below leaves it open, never refutes it.
"""

import re
from typing import Final

from app.domain.backups.manifest import ColumnEntry, TableEntry
from app.engine.sql import ddl
from app.engine.sql.quoting import quote


# What may follow the last item; partitions and system versioning may not.
_TAIL: Final = re.compile(
    r"\) ENGINE=(\w+)(?: AUTO_INCREMENT=\d+)? DEFAULT CHARSET=(\w+) COLLATE=(\w+)"
    r"(?: ROW_FORMAT=\w+)?(?: COMMENT='(?:[^'\\]|\\.|'')*')?",
    re.DOTALL,
)
# What may follow a column's type. A generated column, or one of a period, says so in the place of
# the NULL; whatever comes after these says nothing about how the column is read.
_COLUMN: Final = re.compile(
    r"(?: CHARACTER SET (\w+))?(?: COLLATE (\w+))?( NOT NULL| NULL)?"
    r"(?:\Z| DEFAULT | AUTO_INCREMENT| COMMENT )"
)
# What an index to follow is printed as; others that begin so cannot be followed, or were passed over.
_UNIQUE: Final = ("PRIMARY KEY ", "UNIQUE KEY ")


def proves(definition: str, entry: TableEntry) -> bool:
    """
    Tell whether a definition proves what was planned for a table.

    Args:
        definition: What SHOW CREATE TABLE prints.
        entry: What information_schema said.

    Returns:
        True when it would say so again: the same columns in the same order, of the same types, and
        the same index to follow. False when the text does not show it.
    """
    _, items, tail = ddl.split_items(definition)
    found = _TAIL.fullmatch(tail)
    if found is None or found[1] != entry.engine or entry.ordered or entry.history:
        return False
    columns = [item for item in items if item.startswith("`")]
    return (
        len(columns) == len(entry.columns)
        and all(
            _is_column(item, column, found[2], found[3])
            for item, column in zip(columns, entry.columns, strict=True)
        )
        and _has_index(items, entry)
    )


def _is_column(item: str, column: ColumnEntry, charset: str, collation: str) -> bool:
    """Compare one column; `charset` and `collation` are the table's."""
    beginning = f"{quote(column.name)} {column.column_type}"
    if column.generated or not item.startswith(beginning):
        return False
    found = _COLUMN.match(item, len(beginning))
    if found is None or column.nullable is (found[3] == " NOT NULL"):
        return False
    if not column.charset:
        return not (found[1] or found[2])
    own = (found[1], found[2]) if found[1] else (charset, found[2] or collation)
    return own == (column.charset, column.collation)


def _has_index(items: list[str], entry: TableEntry) -> bool:
    """Tell whether the index to follow is there; none is to be followed where there is no unique one."""
    if not entry.index:
        return not any(item.startswith(_UNIQUE) for item in items)
    kind = "PRIMARY KEY" if entry.index == "PRIMARY" else f"UNIQUE KEY {quote(entry.index)}"
    return f"{kind} ({','.join(map(quote, entry.key))})" in items
