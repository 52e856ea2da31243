"""
What becomes of a backup on a server of the other vendor, found before anything begins.

Definitions hold parts that only one vendor reads, in comments that it executes; the other one passes over
them, and over nothing else. Types, functional keys and modes it does not know are refused by name. What
else it refuses is shown by making everything once, without rows (`app.services.restores.drill`).

Sources: mariadb.com/kb/en/comment-syntax, /sql-mode; dev.mysql.com/doc/refman/8.4/en/comments.html, /sql-mode.html.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.domain.backups.manifest import Manifest, MemberEntry, MemberKind, StatementKind
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.engine.flavor import Flavor, flavor_of, version_number
from app.engine.load.archived import iter_definitions
from app.engine.server.connection import Session
from app.engine.server.description import is_known
from app.engine.sql import ddl
from app.engine.sql.contained import MAKES
from app.engine.sql.quoting import quote_text
from app.errors import StatementError


# Names that are shown of each kind.
_MOST_NAMES: Final = 3
_COMMENT: Final = re.compile(r"/\*(M?)!(\d+)\s+(.*?)\s*\*/", re.DOTALL)
_SESSION: Final = re.compile(
    r"SET SESSION sql_mode = '([\w,]*)', character_set_client = \w+, collation_connection = (\w+)"
)
# What a history is kept by where nobody named it; a restore sees to its end.
_HIDDEN: Final = frozenset({"row_start", "row_end"})
_CHECK: Final = re.compile(r"\bCHECK\b")
_INDEX: Final = re.compile(r"(?:PRIMARY |UNIQUE |FULLTEXT |SPATIAL )?KEY ")
# A part in brackets of its own, not the length behind a column's name.
_FUNCTIONAL: Final = re.compile(r"(?:UNIQUE )?KEY ``(?: USING \w+)? \((?:[^()]|\(\d+\))*?(?<!`)\(")
_LOST: Final = {
    "NOT ENFORCED": "checks that were not enforced are enforced",
    "SRID": "columns are no longer bound to their reference system (SRID)",
    "ENCRYPTION": "tables are no longer encrypted",
}
# No definition tells whether there is such a value.
_CHECKED: Final = (
    "tables have CHECKs, which this server asks of every row; one that breaks its CHECK ends the restore when"
    " it is loaded"
)
_UNTIL: Final = (
    "timestamp columns take moments until {} only; a later one ends the restore when it is loaded"
)
_FULL_VECTORS: Final = "vector columns take values of their full length only; a shorter one ends the restore when it is loaded"


@dataclass(frozen=True, slots=True)
class _Reading:
    """
    How one vendor reads the definitions of the other.

    Attributes:
        passed_over: First and last number of executable comments that it passes over.
        unknown_types: Types of columns that it does not know.
        vectors_since: The first version that has vectors.
        functional_keys: Whether an index may hold expressions.
        full_vectors: Whether a vector must be as long as its column says.
        asks_checks: Whether rows that break a CHECK cannot be loaded.
    """

    passed_over: tuple[int, int]
    unknown_types: frozenset[str]
    vectors_since: tuple[int, int, int]
    functional_keys: bool
    full_vectors: bool
    asks_checks: bool


_READINGS: Final = {
    "mariadb": _Reading(
        (50700, 99999),
        frozenset({"geomcollection"}),
        (11, 7, 0),
        functional_keys=False,
        full_vectors=True,
        asks_checks=False,
    ),
    "mysql": _Reading(
        (100000, 999999),
        frozenset({"uuid", "inet4", "inet6"}),
        (9, 0, 0),
        functional_keys=True,
        full_vectors=False,
        asks_checks=True,
    ),
}


@dataclass(slots=True)
class Differences:
    """
    What the other vendor makes of a backup.

    Attributes:
        refused: Names of what it does not take, by what they are.
        lost: Names of what it takes otherwise, by what becomes of them.
    """

    refused: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def findings(self) -> list[str]:
        """Return one finding for each kind that is refused."""
        return [
            f"this server has no {what} ({_named(names)})" for what, names in self.refused.items()
        ]

    def warnings(self) -> list[str]:
        """Return one warning for each kind that is taken otherwise, with its count."""
        return [f"{len(names)} {what} ({_named(names)})" for what, names in self.lost.items()]


async def find_differences(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> Differences:
    """
    Find what a server of the other vendor does not take, or takes otherwise.

    Args:
        session: On the server; left as it was.
        source: Members of the backup; read only where the vendors differ.
        manifest: Of the backup.
        loads: What is to be restored.

    Returns:
        All of it; nothing on a server of the backup's own vendor, and no older one.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    found = Differences()
    if await is_known(session, manifest):
        return found
    settings = await _read_settings(source, manifest, loads)
    for setting, names in sorted(settings.items()):
        await _look_at_setting(session, found, setting, names)
    _look_at_moments(session.flavor, flavor_of(manifest.server.version), found, loads)
    if session.flavor.vendor == manifest.server.vendor:
        return found
    reading = _READINGS[session.flavor.vendor]
    version = await session.scalar("SELECT VERSION()")
    has_vectors = version_number(version) >= reading.vectors_since
    unknown = reading.unknown_types if has_vectors else reading.unknown_types | {"vector"}
    _look_at_types(unknown, found, loads, has_full_vectors=reading.full_vectors)
    tables = {(load.entry.name, table.name) for load in loads for table in load.entry.tables}
    async for database, name, sql in iter_definitions(source, manifest, tables):
        _look_at_table(reading, found, f"{database}.{name}", sql)
    return found


async def _read_settings(
    source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> dict[tuple[str, str], list[str]]:
    """Return the names of the chosen objects by each mode and collation that they are made in."""
    databases = {load.entry.name for load in loads}
    objects = {(load.entry.name, entry.name) for load in loads for entry in load.entry.objects}
    settings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for member in manifest.members:
        if member.kind is MemberKind.OBJECTS and member.database in databases:
            for setting, name in _settings(member, await source.read(member)):
                if (member.database, name) in objects:
                    settings[setting].append(f"{member.database}.{name}")
    return settings


def _look_at_moments(
    live: Flavor, saved: Flavor, found: Differences, loads: Sequence[DatabaseLoad]
) -> None:
    """Name the columns that may hold a moment later than the last one that a server knows."""
    year = live.last_moment[:4]
    names = [
        f"{load.entry.name}.{table.name}.{column.name}"
        for load in loads
        if load.include_rows
        for table in load.entry.tables
        for column in table.columns
        if column.data_type == "timestamp" and not (table.history and column.name in _HIDDEN)
    ]
    if names and year < saved.last_moment[:4]:
        found.lost[_UNTIL.format(year)] += names


def _look_at_types(
    unknown: Collection[str],
    found: Differences,
    loads: Sequence[DatabaseLoad],
    *,
    has_full_vectors: bool,
) -> None:
    for load in loads:
        for table in load.entry.tables:
            for column in table.columns:
                name = f"{load.entry.name}.{table.name}.{column.name}"
                if column.data_type in unknown:
                    found.refused[f"type {column.data_type}"].append(name)
                elif column.data_type == "vector" and has_full_vectors:
                    found.lost[_FULL_VECTORS].append(name)


def _look_at_table(reading: _Reading, found: Differences, label: str, sql: str) -> None:
    """Sort out what one CREATE TABLE says to its own vendor alone."""
    _, items, tail = ddl.split_items(sql)
    if reading.asks_checks and _CHECK.search("".join(ddl.unquoted_parts(sql))):
        found.lost[_CHECKED].append(label)
    for item in [*items, tail]:
        parts = ddl.tokens(item)
        plain = "".join(part[0] * 2 if ddl.is_quoted(part) else part for part in parts)
        is_index = bool(_INDEX.match(item))
        name = (
            f"{label}.{parts[0 if item.startswith('`') else 1][1:-1]}" if item in items else label
        )
        if is_index and not reading.functional_keys and _FUNCTIONAL.match(plain):
            found.refused["functional indexes"].append(name)
        for own, number, words in _COMMENT.findall(plain):
            lowest, highest = reading.passed_over
            if own or lowest <= int(number) <= highest:
                found.lost[_what(words, is_index=is_index)].append(name)


def _what(words: str, *, is_index: bool) -> str:
    if words == "INVISIBLE":
        return "invisible indexes are used" if is_index else "invisible columns become visible"
    return next(
        (lost for begin, lost in _LOST.items() if words.startswith(begin)),
        f"times {words.partition('=')[0].strip()[:40]} is passed over",
    )


def _settings(member: MemberEntry, texts: Sequence[bytes]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield each mode and collation of each object that a member makes, once."""
    current: list[tuple[str, str]] = []
    seen: set[tuple[tuple[str, str], str]] = set()
    for listed, text in zip(member.statements, texts, strict=True):
        if listed.kind is StatementKind.SESSION and (
            found := _SESSION.match(text.decode("utf-8", "replace"))
        ):
            current = [("sql_mode", mode) for mode in found[1].split(",") if mode]
            current.append(("collation_connection", found[2]))
        elif listed.kind in MAKES:
            made = {(setting, listed.name) for setting in current} - seen
            seen |= made
            yield from sorted(made)


async def _look_at_setting(
    session: Session, found: Differences, setting: tuple[str, str], names: list[str]
) -> None:
    """Find out whether a server knows a mode or a collation; some modes say what it always does."""
    variable, value = setting
    if value in session.flavor.needless_modes:
        found.lost[f"objects lose sql_mode {value}, which this server always keeps to"] += names
        return
    before = await session.scalar(f"SELECT @@SESSION.{variable}")
    try:
        await session.query(f"SET SESSION {variable} = {quote_text(value)}")
    except StatementError:
        found.refused[f"{variable} {value}"] += names
    await session.query(f"SET SESSION {variable} = {quote_text(before)}")


def _named(names: Sequence[str]) -> str:
    more = f", {len(names)} in all" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
