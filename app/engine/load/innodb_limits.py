"""
Tables that a server's InnoDB would not take, found before anything is loaded.

How long the columns of a key may be depends on the row format that InnoDB gives a table which asks for
none, and on the size of its pages; whether compressed tables can be written is a third setting of the
server. No definition shows any of them.

Source: https://mariadb.com/kb/en/innodb-limitations, /innodb-row-formats-overview,
/innodb-system-variables (innodb_read_only_compressed); dev.mysql.com/doc/refman/8.4/en/innodb-limits.html.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import Manifest, TableEntry
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.engine.load.archived import iter_definitions
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.errors import PermissionDeniedError


# Bytes of one column in a key, in the formats before DYNAMIC.
_NARROW: Final = 767
_NARROW_FORMATS: Final = frozenset({"compact", "redundant"})
# Bytes of a whole key, by the bytes of a page; larger pages allow no more.
_WHOLE_KEYS: Final = {4096: 768, 8192: 1536}
_MOST: Final = 3072
_KEY: Final = re.compile(r"(?:PRIMARY |UNIQUE )?KEY ")
_ROW_FORMAT: Final = re.compile(r"\bROW_FORMAT=(\w+)")
_LENGTH: Final = re.compile(r"(var)?(char|binary)\((\d+)\)")
_OWN_TABLESPACES: Final = "innodb_"
_PREFIX: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class _Limits:
    row_format: str
    whole: int
    writes_compressed: bool
    tablespaces: frozenset[str] | None  # None where nobody asks for one, or they cannot be seen
    bytes_per_character: Mapping[str, int]

    @property
    def are_usual(self) -> bool:
        has_long_keys = self.row_format not in _NARROW_FORMATS and self.whole >= _MOST
        return has_long_keys and self.writes_compressed and self.tablespaces is None


async def find_unfit_tables(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[str]:
    """
    Find the tables of a backup that a server would refuse (errors 1036, 1071, 1709 and 3510).

    Args:
        session: On the server.
        source: Members of the backup; read only where the server's limits are not the usual ones.
        manifest: Of the backup.
        loads: What is to be restored.

    Returns:
        A finding for each of them, in words.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    limits = await _read_limits(session, manifest.server.vendor)
    if limits.are_usual:
        return []
    tables = {
        (load.entry.name, entry.name): entry
        for load in loads
        for entry in load.entry.tables
        if entry.engine == "InnoDB" and not entry.sequence and entry.name not in load.definitions
    }
    return [
        f"table {database}.{name} {finding}"
        async for database, name, sql in iter_definitions(source, manifest, tables.keys())
        if (finding := _finding(sql, tables[database, name], limits))
    ]


async def _read_tablespaces(session: Session, vendor: str) -> frozenset[str] | None:
    query = session.flavor.tablespaces
    if not query or vendor != session.flavor.vendor:
        return None
    try:
        return frozenset(name for (name,) in await session.texts(query))
    except PermissionDeniedError:
        return None


async def _read_limits(session: Session, vendor: str) -> _Limits:
    variables = {
        row[0].lower(): row[1]
        for row in await session.texts(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
            " ('innodb_default_row_format', 'innodb_page_size', 'innodb_read_only_compressed')"
        )
    }
    characters = {row[0]: int(row[-1]) for row in await session.texts("SHOW CHARACTER SET")}
    return _Limits(
        row_format=variables.get("innodb_default_row_format", "dynamic").lower(),
        whole=_WHOLE_KEYS.get(int(variables.get("innodb_page_size", "0")), _MOST),
        writes_compressed=variables.get("innodb_read_only_compressed") != "ON",
        tablespaces=await _read_tablespaces(session, vendor),
        bytes_per_character=characters,
    )


def _finding(sql: str, entry: TableEntry, limits: _Limits) -> str:
    """Say what of a definition the server would refuse; empty = nothing."""
    _, items, tail = ddl.split_items(sql)
    tablespace = _tablespace(tail)
    if limits.tablespaces is not None and tablespace not in {"", *limits.tablespaces}:
        return f"is in tablespace {tablespace!r}, which is not on this server"
    options = "".join(ddl.unquoted_parts(tail))
    found = _ROW_FORMAT.search(options)
    row_format = found[1].lower() if found else limits.row_format
    compressed = row_format == "compressed" or "KEY_BLOCK_SIZE=" in options
    if compressed and not limits.writes_compressed:
        return "is compressed, and here such tables are read-only (innodb_read_only_compressed)"
    for lengths in _key_lengths(items, entry, limits):
        if row_format in _NARROW_FORMATS and max(lengths, default=0) > _NARROW:
            return (
                f"has a key over {max(lengths)} bytes of one column; in row format"
                f" {row_format.upper()} it may be {_NARROW} (innodb_default_row_format)"
            )
        if sum(lengths) > limits.whole:
            return f"has a key of {sum(lengths)} bytes; here it may be {limits.whole} (innodb_page_size)"
    return ""


def _tablespace(tail: str) -> str:
    """Return the tablespace that a table asks for by name, empty when that is one of the server's own."""
    parts = ddl.tokens(tail)
    for word, name in itertools.pairwise(parts):
        if not ddl.is_quoted(word) and word.endswith(" TABLESPACE ") and name[0] == "`":
            found = ddl.unquoted_name(name)
            return "" if found.startswith(_OWN_TABLESPACES) else found
    return ""


def _key_lengths(items: Sequence[str], entry: TableEntry, limits: _Limits) -> Iterator[list[int]]:
    """Tell of each key the bytes of its columns, as far as they can be many."""
    sizes = {column.name: _column_bytes(column.column_type) for column in entry.columns}
    charsets = {column.name: column.charset for column in entry.columns}
    for item in filter(_KEY.match, items):
        yield [
            length * limits.bytes_per_character.get(charsets.get(name) or "", 1)
            for name, prefix in _columns_of(item)
            if (length := prefix or sizes.get(name, 0))
        ]


def _column_bytes(column_type: str) -> int:
    """Return the characters or bytes of a column, without a prefix; 0 where they are few."""
    found = _LENGTH.match(column_type)
    return int(found[3]) if found else 0


def _columns_of(item: str) -> Iterator[tuple[str, int]]:
    """Tell the columns of a key with their prefixes, 0 = all of it; expressions have no name."""
    parts = ddl.tokens(item)
    inside = parts[parts.index("(") + 1 :]
    for index, part in enumerate(inside):
        if part.startswith("`"):
            follows = inside[index + 1 : index + 3]
            has_prefix = follows[:1] == ["("] and _PREFIX.fullmatch(follows[-1])
            yield ddl.unquoted_name(part), int(follows[-1]) if has_prefix else 0
