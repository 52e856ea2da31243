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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import ColumnEntry, Manifest, TableEntry
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.engine.load.archived import iter_definitions
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.literals import SLICED_TYPES
from app.engine.sql.quoting import quote, quote_text
from app.errors import PermissionDeniedError


# Bytes of one column in a key, in the formats before DYNAMIC.
_NARROW: Final = 767
_NARROW_FORMATS: Final = frozenset({"compact", "redundant"})
# Bytes of a whole key, by the bytes of a page; larger pages allow no more.
_WHOLE_KEYS: Final = {4096: 768, 8192: 1536}
_MOST: Final = 3072
_MOST_COMPRESSED: Final = 16384
_BLOCK_SIZE: Final = re.compile(r"\bKEY_BLOCK_SIZE=(\d+)")
_KEY: Final = re.compile(r"(?:PRIMARY |UNIQUE )?KEY ")
_ROW_FORMAT: Final = re.compile(r"\bROW_FORMAT=(\w+)")
_LENGTH: Final = re.compile(r"(var)?(char|binary)\((\d+)\)")
_OWN_TABLESPACES: Final = "innodb_"
_PREFIX: Final = re.compile(r"\d+")
# What decides how large a row may be, and how values of it compare. In the older formats the first 768 bytes
# of each long value stay in the row.
_OF_ROWS: Final[Mapping[str, Callable[[str], int]]] = {
    "innodb_default_row_format": lambda name: name.lower() not in _NARROW_FORMATS,
    "innodb_page_size": int,
}
_USUAL: Final = {"innodb_default_row_format": "dynamic", "innodb_page_size": "16384"}
# Bytes of a value in its row: 768 of a long one, and where the rest is; the others, a DECIMAL at most.
_LONG: Final = 768 + 20
_SHORT: Final = 32
_PAGE_OVERHEAD: Final = 256


@dataclass(frozen=True, slots=True)
class _Limits:
    row_format: str
    whole: int
    writes_compressed: bool
    tablespaces: frozenset[str] | None  # None where nobody asks for one, or they cannot be seen
    bytes_per_character: Mapping[str, int]
    needs_key: bool
    page_bytes: int
    refuses_uncompressed: (
        bool  # a table that no page can be compressed for; else it is made all the same
    )

    @property
    def are_usual(self) -> bool:
        has_long_keys = self.row_format not in _NARROW_FORMATS and self.whole >= _MOST
        is_free = self.writes_compressed and self.tablespaces is None and not self.needs_key
        return has_long_keys and is_free and self.page_bytes == _MOST_COMPRESSED


async def find_unfit_tables(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> tuple[list[str], list[str]]:
    """
    Find the tables of a backup that a server would refuse (errors 1036, 1071, 1709 and 3510), or not compress.

    Args:
        session: On the server.
        source: Members of the backup; read only where the server's limits are not the usual ones.
        manifest: Of the backup.
        loads: What is to be restored.

    Returns:
        A finding for each that it would refuse, in words; and warnings.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    limits = await _read_limits(session, manifest.server.vendor)
    if limits.are_usual:
        return [], []
    there = dict(manifest.server.settings).get("innodb_page_size", _USUAL["innodb_page_size"])
    findings: list[str] = []
    grown: list[str] = []
    tables = {
        (load.entry.name, entry.name): entry
        for load in loads
        for entry in load.entry.tables
        if entry.engine == "InnoDB" and not entry.sequence and entry.name not in load.definitions
    }
    async for database, name, sql in iter_definitions(source, manifest, tables.keys()):
        if finding := next(_findings(sql, tables[database, name], limits), ""):
            findings.append(f"table {database}.{name} {finding}")
        elif _fits(options := _options(sql), int(there)) and not _fits(options, limits.page_bytes):
            grown.append(f"{database}.{name}")
    if not grown:
        return findings, []
    told = f"tables such as {grown[0]} are compressed as no pages of this server are (innodb_page_size)"
    return findings, [f"{len(grown)} {told}, and take more room here"]


async def rows_at_risk(
    session: Session, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> tuple[frozenset[tuple[str, str]], str]:
    """
    Find tables whose rows may be too large for InnoDB here (error 1118), which no empty table shows.

    Returns:
        Database of the backup and name of each, and why; none where rows may be as large as they were.
    """
    there = {**_USUAL, **dict(manifest.server.settings)}
    names = ", ".join(map(quote_text, _OF_ROWS))
    rows = await session.texts(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    here = {name: value for name, value in rows}  # noqa: C416 - of tuples of any length
    smaller = [
        f"{name} is {value}, and was {there[name]}"
        for name, value in sorted(here.items())
        if _OF_ROWS[name](value) < _OF_ROWS[name](there[name])
    ]
    if not smaller:
        return frozenset(), ""
    limits = await _read_limits(session, manifest.server.vendor)
    # Half a page, but for what stands before and between the rows.
    most = int(here["innodb_page_size"]) // 2 - _PAGE_OVERHEAD
    found = frozenset(
        (load.entry.name, entry.name)
        for load in loads
        for entry in load.entry.tables
        if entry.engine == "InnoDB"
        and load.include_rows
        and sum(_row_bytes(column, limits) for column in entry.columns) > most
    )
    return found, ", ".join(smaller)


def _row_bytes(column: ColumnEntry, limits: _Limits) -> int:
    """Return what a value takes in its row at most, in any format: of a long one only its first bytes."""
    found = _LENGTH.match(column.column_type)
    if not found:
        return _LONG if column.data_type in SLICED_TYPES else _SHORT
    width = limits.bytes_per_character.get(column.charset or "", 1)
    return min(int(found[3]) * width, _LONG) + _SHORT


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
            " ('innodb_default_row_format', 'innodb_page_size', 'innodb_read_only_compressed',"
            " 'innodb_force_primary_key')"
        )
    }
    page_bytes = int(variables.get("innodb_page_size", "0"))
    characters = {row[0]: int(row[-1]) for row in await session.texts("SHOW CHARACTER SET")}
    return _Limits(
        row_format=variables.get("innodb_default_row_format", "dynamic").lower(),
        whole=_WHOLE_KEYS.get(page_bytes, _MOST),
        writes_compressed=variables.get("innodb_read_only_compressed") != "ON",
        tablespaces=await _read_tablespaces(session, vendor),
        bytes_per_character=characters,
        needs_key=variables.get("innodb_force_primary_key") == "ON",
        page_bytes=page_bytes,
        refuses_uncompressed=session.flavor.forgets_compression,
    )


def _findings(sql: str, entry: TableEntry, limits: _Limits) -> Iterator[str]:
    """Say what of a definition the server would refuse, or make otherwise."""
    _, items, tail = ddl.split_items(sql)
    tablespace = _tablespace(tail)
    if limits.tablespaces is not None and tablespace not in {"", *limits.tablespaces}:
        yield f"is in tablespace {tablespace!r}, which is not on this server"
    if limits.needs_key and not _has_whole_key(items, entry):
        yield "has no primary key, and here each must have one (innodb_force_primary_key)"
    options = _options(sql)
    found = _ROW_FORMAT.search(options)
    row_format = found[1].lower() if found else limits.row_format
    if _is_compressed(options) and not limits.writes_compressed:
        yield "is compressed, and here such tables are read-only (innodb_read_only_compressed)"
    if limits.refuses_uncompressed and not _fits(options, limits.page_bytes):
        yield "is compressed as no pages of this server are (innodb_page_size)"
    for lengths in _key_lengths(items, entry, limits):
        if row_format in _NARROW_FORMATS and max(lengths, default=0) > _NARROW:
            yield (
                f"has a key over {max(lengths)} bytes of one column; in row format"
                f" {row_format.upper()} it may be {_NARROW} (innodb_default_row_format)"
            )
        if sum(lengths) > limits.whole:
            yield f"has a key of {sum(lengths)} bytes; here it may be {limits.whole} (innodb_page_size)"


def _options(sql: str) -> str:
    return "".join(ddl.unquoted_parts(ddl.split_items(sql)[2]))


def _is_compressed(options: str) -> bool:
    return "ROW_FORMAT=COMPRESSED" in options or "KEY_BLOCK_SIZE=" in options


def _fits(options: str, page_bytes: int) -> bool:
    """Tell whether pages of a size are compressed as a table asks for, if it does."""
    found = _BLOCK_SIZE.search(options)
    least = int(found[1]) << 10 if found else 0
    return not _is_compressed(options) or least <= page_bytes <= _MOST_COMPRESSED


def _has_whole_key(items: Sequence[str], entry: TableEntry) -> bool:
    """Tell whether a table has a primary key, or a unique one of whole columns that are never NULL."""
    sure = {quote(column.name) for column in entry.columns if not column.nullable}
    keys = (ddl.tokens(item) for item in items if item.startswith("UNIQUE KEY "))
    uniques = (parts[parts.index("(") + 1 : parts.index(")")] for parts in keys)
    return any(item.startswith("PRIMARY KEY ") for item in items) or any(
        {part for part in columns if part != ","} <= sure for columns in uniques
    )


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
