"""
Key ranges as SQL conditions: pure text, no I/O.

A range is half open, `lower <= key < upper`; either end may be missing. Neighbours share a bound, so
a row belongs to exactly one range whatever the collation thinks is equal.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.engine.sql.quoting import quote
from app.errors import ManifestError


# What the server printed as a literal, and nothing else: bounds of a manifest go into queries.
_BOUND: Final = re.compile(r"-?\d+(\.\d+)?|(_[a-z0-9]+ )?X'[0-9A-F]*'|'[0-9a-fA-F:. -]*'")
_INTEGER: Final = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Range:
    """
    A part of a table.

    Attributes:
        lower: Inclusive literals for a prefix of the key; empty = from the start.
        upper: Exclusive literals; empty = to the end.
    """

    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()

    def where(self, key: Sequence[str]) -> str:
        """
        Spell the range out.

        Returns:
            ` WHERE ...`, empty for the whole table.

        Raises:
            ManifestError: A bound is not a plain literal.
        """
        for bound in (*self.lower, *self.upper):
            if not _BOUND.fullmatch(bound):
                raise ManifestError("a key bound is not a literal")
        if self.integers:
            # One condition a row instead of two: a twentieth of the server's work on narrow tables.
            first, last = self.integers
            return f" WHERE {quote(key[0])} BETWEEN {first} AND {last}"
        conditions = []
        if self.lower:
            conditions.append(_at_least(key, self.lower))
        if self.upper:
            conditions.append(_below(key, self.upper))
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    @property
    def integers(self) -> tuple[int, int] | None:
        """Return the first and last integer; None unless both ends are some, which only they print so."""
        ends = (*self.lower, *self.upper)
        if len(self.lower) != 1 or len(self.upper) != 1 or not all(map(_INTEGER.fullmatch, ends)):
            return None
        return int(self.lower[0]), int(self.upper[0]) - 1


def _at_least(key: Sequence[str], bound: Sequence[str]) -> str:
    return _compare(key, bound, strict=">", last=">=")


def _below(key: Sequence[str], bound: Sequence[str]) -> str:
    return _compare(key, bound, strict="<", last="<")


def _compare(key: Sequence[str], bound: Sequence[str], *, strict: str, last: str) -> str:
    """
    Spell out a row comparison; row constructors scan the whole index on older optimizers.

    Returns:
        `a > x OR (a = x AND b >= y)` and so on.
    """
    names = [quote(name) for name in key[: len(bound)]]
    terms = []
    for depth, (name, value) in enumerate(zip(names, bound, strict=True)):
        equal = [f"{n} = {v}" for n, v in zip(names[:depth], bound[:depth], strict=True)]
        operator = last if depth == len(bound) - 1 else strict
        terms.append(" AND ".join([*equal, f"{name} {operator} {value}"]))
    if len(terms) == 1:
        return terms[0]
    # The leading condition lets the optimizer start at the right place of the index.
    lead = f"{names[0]} {strict}= {bound[0]}"
    return f"{lead} AND ({' OR '.join(f'({term})' for term in terms)})"
