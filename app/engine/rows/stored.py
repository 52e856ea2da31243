"""
Stored generated columns: which session computes them as they are.

The server keeps their values with the rows, and those of virtual ones in indexes, as the session that
wrote a row computed them: `DATE(ts)` is a day of its time zone. A restore can only have them computed
again. So a backup looks for a session that does it equally, and the manifest names what is special about
it; a digest of the values proves the result.

1. Each value is compared with its expression in the session of a restore, in one scan.
2. Where rows differ, other sessions are tried: with the global settings of the server, then with one
   variable otherwise. Only the first rows of a large table are looked at for that.
3. What was found is tried on all rows.

MySQL reads texts in an expression as the session does that opens the table: under NO_BACKSLASH_ESCAPES each
backslash that it prints twice is two. Another session may use what was opened, so such values are unrepeatable.

Not guaranteed: that the comparison is exact for each type; it only chooses the session. Where no session
computes all rows, because they are of different ones, the column is reported as unrepeatable.
"""

import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import DUMP_SESSION, LOAD_SESSION
from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.engine.server.variables import literal
from app.engine.sql import columns
from app.engine.sql.literals import INTEGER_TYPES
from app.engine.sql.quoting import quote, same_name
from app.errors import PermissionDeniedError, StatementError


Settings = tuple[tuple[str, str], ...]

# Rows that candidates are tried on; the one that is chosen is tried on all, and if it fails there,
# others on more.
_SAMPLE_ROWS: Final = (5_000, 200_000)
# Counted where the server refuses to compute an expression, such as a difference below 0.
_FAILED: Final = 1 << 62
_VARIABLES: Final = (
    "time_zone",
    "div_precision_increment",
    "default_week_format",
    "lc_time_names",
    "sql_mode",
)
_BASE: Final = {name: LOAD_SESSION[name] for name in _VARIABLES}
# Of the modes of a server those that change what an expression gives, and not how it is read.
_MODES: Final = (
    "PAD_CHAR_TO_FULL_LENGTH",
    "NO_UNSIGNED_SUBTRACTION",
    "TIME_ROUND_FRACTIONAL",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
)
_WHOLE_ZONES: Final = tuple(f"{sign}{hours:02}:00" for hours in range(1, 15) for sign in "-+")
# Those of this world that are no whole hours.
_ODD_ZONES: Final = (
    *("+05:30", "-03:30", "+09:30", "+03:30", "+04:30", "+05:45", "+06:30", "-02:30", "+10:30"),
    *("-09:30", "+12:45", "+13:45", "+08:45"),
)
_LOCALES: Final = (
    *("en_GB", "de_DE", "fr_FR", "es_ES", "es_MX", "it_IT", "pt_BR", "pt_PT", "nl_NL", "pl_PL"),
    *("ru_RU", "uk_UA", "ja_JP", "zh_CN", "zh_TW", "ko_KR", "sv_SE", "da_DK", "no_NO", "nb_NO"),
    *("fi_FI", "cs_CZ", "sk_SK", "hu_HU", "ro_RO", "bg_BG", "el_GR", "tr_TR", "ar_SA", "ar_EG"),
    *("he_IL", "hi_IN", "th_TH", "vi_VN", "id_ID", "de_AT", "de_CH", "fr_CA", "fr_BE", "fr_CH"),
)
_NAMED_ZONES: Final = (
    "SELECT Name FROM mysql.time_zone_name WHERE Name LIKE '%/%' AND Name NOT LIKE 'posix/%'"
    " AND Name NOT LIKE 'right/%' AND Name NOT LIKE 'Etc/%'"
)
_PLAIN: Final = INTEGER_TYPES | {"year", "bit"}
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_DATES: Final = {"date": "DATE", "datetime": "DATETIME", "timestamp": "DATETIME", "time": "TIME"}


def _mode(modes: Iterator[str] | Sequence[str]) -> str:
    return ",".join((_BASE["sql_mode"], *modes))


# As a restore's, but for dates that do not exist.
_STRICTER_DATES: Final = tuple(
    f"NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION{more}"
    for more in ("", ",NO_ZERO_DATE,NO_ZERO_IN_DATE", ",NO_ZERO_DATE", ",NO_ZERO_IN_DATE")
)
_UNESCAPED: Final = (("sql_mode", _mode(["NO_BACKSLASH_ESCAPES"])),)
# Which expressions ask a variable, and what else it may be.
_FAMILIES: Final = (
    ("time_zone", ("unix",), ("SYSTEM", *_WHOLE_ZONES, *_ODD_ZONES)),
    ("div_precision_increment", ("/",), tuple(map(str, range(31)))),
    ("default_week_format", ("week",), tuple(map(str, range(1, 8)))),
    ("sql_mode", ("",), (*(_mode([mode]) for mode in _MODES), *_STRICTER_DATES)),
    ("lc_time_names", ("name", "format", "str_to_date"), _LOCALES),
)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """
    How the stored generated columns of one table are computed again.

    Attributes:
        session: What a session must be set to beyond that of a restore.
        unrepeatable: Columns that no session computes as they are.
    """

    session: Settings = ()
    unrepeatable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Test:
    """
    A column, and the condition for a row in which it is not what its expression gives now.

    Attributes:
        source: What follows FROM, where the column is read from an index; else empty.
    """

    column: str
    expression: str
    differs: str
    source: str = ""


async def find_session(session: Session, sql: TableSql, definition: str) -> Repeatable:
    """
    Find a session that computes the stored generated columns of a table as they are.

    Args:
        session: In the state of a dump, and left so unless an error is raised.
        sql: Queries of the table.
        definition: CREATE TABLE with all texts as they are.

    Returns:
        What was found.

    Raises:
        DatabaseError: The server fails us.
    """
    await _set(session, _BASE)
    indexed = await _indexed(session, sql)
    tests = [
        test
        for column in sql.table.entry.columns
        if (column.stored or column.name in indexed)
        and (test := _test(column, columns.generated_expression(definition, column.name), indexed))
        and (await _count(session, [test], sql.source, " LIMIT 0"))[0] != _FAILED
    ]
    found = await _search(session, sql, tests)
    await _set(session, {**_BASE, "sql_mode": DUMP_SESSION["sql_mode"]})
    return found


@asynccontextmanager
async def computing(session: Session, settings: Settings) -> AsyncGenerator[None]:
    """Give a loading session other settings for a block; after an error it must not be used again."""
    if settings:
        await _set(session, dict(settings))
    yield
    if settings:
        await _set(session, {name: _BASE[name] for name, _ in settings if name in _BASE})


def without_zone(settings: Settings) -> Settings:
    """Return what may be set while rows come in, whose instants are written in UTC."""
    return tuple(setting for setting in settings if setting[0] != "time_zone")


def settings_sql(settings: Settings) -> tuple[str, str]:
    """Return what makes these settings in the mysql client, and what takes them back; no terminators."""
    return _assignments(dict(settings)), _assignments({name: _BASE[name] for name, _ in settings})


def together(found: Iterable[Settings]) -> Settings:
    """Return what a session is set to that is like each of some; each may need a mode of its own."""
    chosen: dict[str, str] = {}
    base = set(_BASE["sql_mode"].split(","))
    for name, value in itertools.chain.from_iterable(found):
        so_far, own = set(chosen.get(name, value).split(",")), set(value.split(","))
        modes = (so_far | own) - (base - (so_far & own))
        chosen[name] = ",".join(sorted(modes)) if name == "sql_mode" else value
    return tuple(sorted(chosen.items()))


class _Search:
    """Looks for the sessions of the columns of one table; used once."""

    def __init__(self, session: Session, tests: Sequence[_Test], rows: Sequence[int]) -> None:
        self._session = session
        self._tests = tests
        self._best: list[tuple[int, Settings]] = [(count, ()) for count in rows]
        self.zoned: set[str] = set()

    async def run(self, source: str, hints: str) -> Settings:
        """Try candidates until one makes all columns equal; return the best for each, together."""
        async for settings in _candidates(self._session, hints):
            found = await _try(self._session, settings, self._tests, source)
            for place, rows in enumerate(found):
                self._judge(place, rows, settings)
            if not any(rows for rows, _ in self._best):
                break
        return together(settings for _, settings in self._best)

    def _judge(self, place: int, rows: int, settings: Settings) -> None:
        least, _ = self._best[place]
        is_zone = settings[0][0] == "time_zone" and len(settings) == 1
        if is_zone and rows not in {least, _FAILED}:
            self.zoned.add(self._tests[place].column)
        if rows < least:
            self._best[place] = rows, settings


async def _search(session: Session, sql: TableSql, tests: Sequence[_Test]) -> Repeatable:
    first = await _count(session, tests, sql.source) if tests else []
    differing = [(test, rows) for test, rows in zip(tests, first, strict=True) if rows]
    misread = [
        test.column
        for test, rows in differing
        if "\\" in test.expression
        and (await _try(session, _UNESCAPED, [test], sql.source))[0] < rows
    ]
    if misread or not differing:
        return Repeatable(unrepeatable=tuple(misread))
    found = Repeatable()
    for limit in _SAMPLE_ROWS:
        found = await _search_in(session, sql, tests, differing, limit)
        if not found.unrepeatable:
            break
    return found


async def _search_in(
    session: Session,
    sql: TableSql,
    tests: Sequence[_Test],
    differing: Sequence[tuple[_Test, int]],
    limit: int,
) -> Repeatable:
    """Search in the first rows, and try what is found on all."""
    wanted = [test for test, _ in differing]
    source = _sample(sql, limit)
    counts = await _count(session, wanted, source)
    if not all(counts):
        source, counts = sql.source, [rows for _, rows in differing]
    search = _Search(session, wanted, counts)
    has_instants = any(column.data_type == "timestamp" for column in sql.table.entry.columns)
    hints = " ".join([*(test.expression for test in wanted), "unix" * has_instants])
    settings = await search.run(source, hints)
    left = await _try(session, settings, tests, sql.source)
    wrong = {test.column for test, rows in zip(tests, left, strict=True) if rows}
    # A column that differs alike in every time zone may be one that is compared wrongly here.
    steady = {test.column for test in wanted} - search.zoned
    return Repeatable(settings, tuple(sorted(wrong - steady)))


async def _candidates(session: Session, hints: str) -> AsyncGenerator[Settings]:
    """Yield what to set, the likeliest first; `hints` are the expressions in small letters."""
    names = ", ".join(f"@@GLOBAL.{name}" for name in _VARIABLES)
    row = (await session.texts(f"SELECT {names}"))[0]
    usual = dict(zip(_VARIABLES, row, strict=True))
    usual["sql_mode"] = _mode(mode for mode in _MODES if mode in usual["sql_mode"].split(","))
    special = {name: value for name, value in usual.items() if value != _BASE[name]}
    for name, value in special.items():
        yield ((name, value),)
    if special:
        yield tuple(special.items())
    for settings in _variations(hints):
        yield settings
        if rest := {name: value for name, value in special.items() if name != settings[0][0]}:
            yield (*settings, *rest.items())
    if "unix" not in hints:
        return
    try:
        zones = await session.texts(_NAMED_ZONES)
    except (PermissionDeniedError, StatementError):
        return
    for (zone,) in zones:
        yield (("time_zone", zone),)


def _variations(hints: str) -> Iterator[Settings]:
    """Yield sessions in which one variable is set otherwise, of those that the expressions may ask."""
    for name, words, values in _FAMILIES:
        if any(word in hints for word in words):
            yield from (((name, value),) for value in values)


async def _try(
    session: Session, settings: Settings, tests: Sequence[_Test], source: str
) -> list[int]:
    try:
        await _set(session, dict(settings))
    except StatementError:  # this server knows no such zone, locale or mode
        return [_FAILED] * len(tests)
    found = await _count(session, tests, source)
    await _set(session, _BASE)
    return found


async def _set(session: Session, settings: Mapping[str, str]) -> None:
    if settings:
        await session.query(_assignments(settings))


def _assignments(settings: Mapping[str, str]) -> str:
    parts = (f"SESSION {name} = {literal(value)}" for name, value in settings.items())
    return f"SET {', '.join(parts)}"


async def _indexed(session: Session, sql: TableSql) -> dict[str, str]:
    """
    Find indexes on virtual columns, which hold what the session of a row's writer computed.

    Returns:
        By column, a source of what is in the index as `backstay_value` beside the row.
    """
    entry, table = sql.table.entry, sql.table
    virtual = {column.name for column in entry.columns if column.generated and not column.stored}
    if not virtual or entry.index != "PRIMARY" or entry.history:
        return {}
    rows = await session.texts(
        "SELECT COLUMN_NAME, MIN(INDEX_NAME) FROM information_schema.STATISTICS"
        f" WHERE {same_name('TABLE_SCHEMA', table.database)} AND {same_name('TABLE_NAME', table.name)}"
        " AND INDEX_TYPE = 'BTREE' AND SUB_PART IS NULL GROUP BY COLUMN_NAME"
    )
    keys = [f"{quote(name)} AS backstay_{number}" for number, name in enumerate(entry.key)]
    joined = [f"t.{quote(name)} = i.backstay_{number}" for number, name in enumerate(entry.key)]
    return {
        column: f"(SELECT {', '.join([f'{quote(column)} AS backstay_value', *keys])} FROM {table.sql}"
        f" FORCE INDEX ({quote(index)})) AS i STRAIGHT_JOIN {table.sql} AS t"
        f" ON {' AND '.join(joined)}"
        for column, index in rows
        if column in virtual
    }


async def _count(
    session: Session, tests: Sequence[_Test], source: str, tail: str = ""
) -> list[int]:
    """Count for each test the rows that differ; as if all did where it cannot be computed."""
    if len(tests) > 1 and any(test.source for test in tests):
        return [(await _count(session, [test], source, tail))[0] for test in tests]
    sums = ", ".join(f"SUM({test.differs})" for test in tests)
    query = f"SELECT {sums} FROM {tests[0].source or source}{tail}"
    try:
        reply = await session.query(query, redact=True, no_timeout=True)
    except StatementError:
        if len(tests) == 1:
            return [_FAILED]
        return [(await _count(session, [test], source, tail))[0] for test in tests]
    return [int(value or 0) for value in reply.rows[0]] if reply.rows else [0] * len(tests)


def _sample(sql: TableSql, limit: int) -> str:
    names = ", ".join(quote(column.name) for column in sql.table.entry.columns)
    return f"(SELECT {names} FROM {sql.source} LIMIT {limit}) AS sample"


def _test(column: ColumnEntry, expression: str, indexed: Mapping[str, str]) -> _Test | None:
    """Make the condition under which a value is another than its expression gives."""
    if not expression:
        return None
    source, kind = indexed.get(column.name, ""), column.data_type
    name = "i.backstay_value" if source else quote(column.name)
    given = f"({expression})"
    if kind in _PLAIN:
        sign = "UNSIGNED" if "unsigned" in column.column_type or kind == "bit" else "SIGNED"
        pair = f"{name} + 0", f"CAST({given} AS {sign})"
    elif kind in _TEXTS:
        given = f"CONVERT({given} USING {column.charset})"
        pair = f"CAST({name} AS BINARY)", f"CAST({given} AS BINARY)"
    elif kind == "decimal":
        digits = column.column_type[len("decimal") :].partition(" ")[0]
        pair = name, f"CAST({given} AS DECIMAL{digits})"
    elif kind in _DATES:
        digits = column.column_type[len(kind) :]
        # What is no date is NULL in a cast, and 0 where it is stored.
        pair = f"NULLIF({name}, 0)", f"NULLIF(CAST({given} AS {_DATES[kind]}{digits}), 0)"
    elif kind == "float":
        pair = f"ROUND({name}, 5)", f"ROUND({given}, 5)"
    else:
        pair = name, given
    return _Test(column.name, expression.lower(), f"NOT ({pair[0]} <=> {pair[1]})", source)
