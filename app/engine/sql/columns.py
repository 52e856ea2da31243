"""The columns of a CREATE TABLE: what is said of them read and replaced; pure text, no I/O."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.engine.sql.ddl import printed, split_items, tokens
from app.engine.sql.quoting import quote


@dataclass(frozen=True, slots=True)
class ColumnTexts:
    """
    The texts inside one column's definition, as printed, without quotes.

    Attributes:
        labels: Of an ENUM or SET; empty for other types.
        default: Of a plain DEFAULT; empty when there is none.
    """

    labels: tuple[str, ...] = ()
    default: str = ""


def column_texts(sql: str, column: str) -> ColumnTexts:
    """Find the texts in the definition of one column of a CREATE TABLE."""
    parts = tokens(column_item(sql, column))
    labels, default = _places(parts)
    return ColumnTexts(
        labels=tuple(parts[place][1:-1] for place in labels),
        default=parts[default][1:-1] if default else "",
    )


def with_labels(sql: str, column: str, labels: Sequence[str]) -> str:
    """Replace the labels of an ENUM or SET column, as many as there are."""
    item = column_item(sql, column)
    parts = tokens(item)
    for place, label in zip(_places(parts)[0], labels, strict=True):
        parts[place] = printed(label)
    return sql.replace(item, "".join(parts), 1)


def with_default(sql: str, column: str, default: str) -> str:
    """Replace the plain DEFAULT of a column."""
    item = column_item(sql, column)
    parts = tokens(item)
    parts[_places(parts)[1]] = printed(default)
    return sql.replace(item, "".join(parts), 1)


def column_item(sql: str, column: str) -> str:
    """Return the definition of one column of a CREATE TABLE; empty when there is none."""
    prefix = f"{quote(column)} "
    return next((item for item in split_items(sql)[1] if item.startswith(prefix)), "")


def generated_expression(sql: str, column: str) -> str:
    """Return the expression of a generated column of a CREATE TABLE; empty when there is none."""
    parts = tokens(column_item(sql, column))
    begin = next((i for i, part in enumerate(parts) if part.endswith(" GENERATED ALWAYS AS ")), -1)
    depth = 0
    for index in range(begin + 1, len(parts)):
        depth += (parts[index] == "(") - (parts[index] == ")")
        if not depth:
            return "".join(parts[begin + 2 : index]) if begin >= 0 else ""
    return ""


def unique_keys_of(sql: str, columns: Collection[str]) -> list[str]:
    """Return the UNIQUE KEY items of a CREATE TABLE that hold one of some columns."""
    names = {quote(column) for column in columns}
    return [
        item
        for item in split_items(sql)[1]
        if item.startswith("UNIQUE KEY ") and names & set(tokens(item)[2:])
    ]


def _places(parts: Sequence[str]) -> tuple[list[int], int]:
    """Find the indexes of the label tokens, and of the default token or 0."""
    labels: list[int] = []
    if len(parts) > 1 and parts[1] in {" enum", " set"}:
        end = parts.index(")")
        labels = [index for index in range(end) if parts[index].startswith("'")]
    default = next(
        (
            index
            for index, part in enumerate(parts)
            if part.startswith("'") and parts[index - 1].endswith(" DEFAULT ")
        ),
        0,
    )
    return labels, default
