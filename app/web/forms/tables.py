"""Databases and tables of the server to tick, beside names and patterns that are typed."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from starlette.datastructures import ImmutableMultiDict

from app.domain.server.inventory import Inventory, InventoryTable


# More than that nobody ticks; patterns choose them.
_DATABASES_SHOWN: Final = 100
_TABLES_SHOWN: Final = 200
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
# No server takes a name that ends with them, and people type them without meaning anything.
_BLANKS: Final = " \t"
# Which ticks belong to which field of lines.
_TICKS: Final = {"databases": "database", "tables": "only", "exclude_tables": "without"}


def exactly(name: str) -> str:
    """Return the glob of one name; an end of a line is either, for forms do not keep them."""
    return _LINE_END.sub("[\r\n]", glob.escape(name))


def lines_of(text: str) -> list[str]:
    """Return the names and patterns of a field, one a line; of what may begin or end a name only blanks are cut off."""
    return [line for line in (part.strip(_BLANKS) for part in _LINE_END.split(text)) if line]


def _is_line(name: str) -> bool:
    """Tell whether a name comes out of a field of lines as it was put in: another one would mean something else."""
    return lines_of(name) == [name]


def with_ticks(form: ImmutableMultiDict[str, object], typed: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed into the fields of names and patterns, and after it what was ticked."""
    found = {}
    for field, tick in _TICKS.items():
        ticked = map(str, form.getlist(tick))
        names = ticked if field == "databases" else map(exactly, ticked)
        found[field] = "\n".join(dict.fromkeys([*lines_of(typed[field]), *names]))
    return found


@dataclass(frozen=True, slots=True)
class Choosable:
    """
    What can be ticked, and what else was typed.

    Attributes:
        databases: Each with whether it is ticked.
        tables: Of each database: every table, whether it alone is wanted, and whether it is left out.
        others: By field, the lines that no tick stands for.
        count: How many tables there are; more than are in `tables` when nobody ticks so many.
        problem: Why nothing can be ticked; empty when the server has told what it holds.
    """

    databases: tuple[tuple[str, bool], ...]
    tables: tuple[tuple[str, tuple[tuple[InventoryTable, bool, bool], ...]], ...]
    others: Mapping[str, str]
    count: int = 0
    problem: str = ""


def choosable(
    inventory: Inventory | None, typed: Mapping[str, str] | None = None, problem: str = ""
) -> Choosable:
    """Part what was typed into ticks and lines; without an inventory all are lines."""
    typed = dict.fromkeys(_TICKS, "") if typed is None else typed
    lines = {field: lines_of(typed[field]) for field in _TICKS}
    if inventory is None:
        return Choosable((), (), {field: typed[field] for field in _TICKS}, problem=problem)
    names = [name for name in inventory.databases if _is_line(name)]
    names = names if len(names) <= _DATABASES_SHOWN else []
    tables = [table for table in inventory.tables if _is_line(exactly(table.label))]
    tables = tables if len(inventory.tables) <= _TABLES_SHOWN else []
    ticks = {exactly(table.label) for table in tables}
    only, without = set(lines["tables"]), set(lines["exclude_tables"])
    groups = groupby(tables, key=attrgetter("database"))
    return Choosable(
        databases=tuple((name, name in lines["databases"]) for name in names),
        tables=tuple(
            (
                database,
                tuple(
                    (table, exactly(table.label) in only, exactly(table.label) in without)
                    for table in group
                ),
            )
            for database, group in groups
        ),
        others={
            "databases": _but(lines["databases"], names),
            "tables": _but(lines["tables"], ticks),
            "exclude_tables": _but(lines["exclude_tables"], ticks),
        },
        count=len(inventory.tables),
    )


def _but(lines: Sequence[str], ticked: Sequence[str] | set[str]) -> str:
    return "\n".join(line for line in lines if line not in ticked)
