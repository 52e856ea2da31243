"""Partitions by their names, which are in those of their files."""

import re
from itertools import pairwise
from typing import Final

from app.engine.sql.ddl import is_quoted, split_items, tokens, unquoted_name
from app.engine.sql.quoting import quote


# MariaDB quotes all names, MySQL those that it must.
_NAME: Final = re.compile(r"\b(SUB)?PARTITION (?:(?!BY\b)([\w$]+)|\Z)")
_COUNT: Final = re.compile(r"\b(SUB)?PARTITIONS (\d+)")


def partitioned_alike(definition: str, column: str) -> str:
    """
    Write how a table of one number gets partitions of the same names as another table has.

    Args:
        definition: CREATE TABLE of the other.
        column: Name of the number.

    Returns:
        The clause; empty where the other has no partitions.
    """
    tail = split_items(definition)[2]
    if "PARTITION BY " not in tail:
        return ""
    names, count, count_within = _read(tail)
    if not names:  # the server names them
        names = [(f"p{number}", []) for number in range(count)]
        if "PARTITION BY SYSTEM_TIME" in tail:
            names[-1] = ("pn", [])
    written = [
        f"PARTITION {quote(name)} VALUES IN ({number}){_listed(within)}"
        for number, (name, within) in enumerate(names)
    ]
    key = quote(column)
    inner = f" SUBPARTITION BY HASH ({key})" if "SUBPARTITION BY " in tail else ""
    inner += f" SUBPARTITIONS {count_within}" if count_within else ""
    return f"PARTITION BY LIST ({key}){inner} ({', '.join(written)})"


def _read(tail: str) -> tuple[list[tuple[str, list[str]]], int, int]:
    """Return each name with those of its subpartitions, and the counts that stand in place of names."""
    names: list[tuple[str, list[str]]] = []
    counts = {"": 0, "SUB": 0}
    for part, following in pairwise([*tokens(tail), ""]):
        if is_quoted(part):
            continue
        for found in _NAME.finditer(part):
            name = found[2] or unquoted_name(following)
            if found[1]:
                names[-1][1].append(name)
            else:
                names.append((name, []))
        counts.update({sub: int(count) for sub, count in _COUNT.findall(part)})
    return names, counts[""], counts["SUB"]


def _listed(within: list[str]) -> str:
    return f" ({', '.join(f'SUBPARTITION {quote(name)}' for name in within)})" if within else ""
