"""Storage engines: which keep rows of their own, and what the server knows of those."""

import re
from typing import Final


# Its tables show the rows of others, which are there when it is opened.
MERGE: Final = "MRG_MYISAM"

# They hold no rows of their own: only the definition is kept.
ROWLESS_ENGINES: Final = frozenset({
    MERGE,
    "MRG_MyISAM",
    "FEDERATED",
    "SPIDER",
    "BLACKHOLE",
    "OQGRAPH",
    "SPHINX",
})

# Their rows are covered by a consistent snapshot.
SNAPSHOT_ENGINES: Final = frozenset({"InnoDB", "ROCKSDB", "TokuDB"})

# Of these information_schema tells at once in which second a write was last committed. Aria's files are
# written later, MEMORY has none.
TIMED_ENGINES: Final = frozenset({"InnoDB", "MyISAM"})

# They take no value of a counter below the next one, so that is set by the rows themselves.
ASCENDING_ENGINES: Final = frozenset({"ARCHIVE"})

# Tables of MariaDB's CONNECT keep their rows in a file of the data directory if they are of one of these
# types, or of none, and name no file; all others show what somebody else keeps.
# Source: https://mariadb.com/kb/en/inward-and-outward-tables/
CONNECT: Final = "CONNECT"
_INWARD_TYPES: Final = frozenset({
    "dos",
    "fix",
    "bin",
    "vec",
    "csv",
    "fmt",
    "ini",
    "dbf",
    "xml",
    "json",
    "bson",
})
_OPTION: Final = re.compile(r"`(\w+)`=('[^']*'|\w+)")


def no_rows_of(engine: str) -> str:
    """Say why a table has no rows in a backup."""
    return f"engine {engine} holds no rows of its own"


def shows_others(engine: str, options: str) -> bool:
    """Tell of a CONNECT table, by its CREATE_OPTIONS, whether its rows are somebody else's."""
    if engine != CONNECT:
        return False
    found = {name.lower(): value.strip("'").lower() for name, value in _OPTION.findall(options)}
    return "file_name" in found or found.get("table_type", "dos") not in _INWARD_TYPES
