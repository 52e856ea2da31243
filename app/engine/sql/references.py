"""What a CREATE TABLE says of other tables and of sequences: pure text, no I/O."""

from collections.abc import Collection
from typing import Final

from app.engine.sql.ddl import is_foreign_key, split_items, tokens, unquoted_name
from app.engine.sql.quoting import quote


_SEQUENCE_CALLS: Final = ("nextval", "lastval", "setval")


def foreign_keys(sql: str) -> list[tuple[str, str]]:
    """Return the foreign keys of a CREATE TABLE: name, and what is printed from `FOREIGN KEY` on."""
    found = []
    for item in split_items(sql)[1]:
        if is_foreign_key(item):
            parts = tokens(item)
            found.append((unquoted_name(parts[1]), "".join(parts[2:]).lstrip()))
    return found


def foreign_key_columns(clause: str) -> tuple[list[str], list[str]]:
    """Return the quoted columns of child and parent of a `FOREIGN KEY ...` clause."""
    head, _, tail = _referenced(clause)
    own = [part for part in tokens(head) if part.startswith("`")]
    rest = tokens(tail)
    return own, [part for part in rest[: rest.index(")")] if part.startswith("`")]


def with_parent(clause: str, database: str, table: str) -> str:
    """Replace what a `FOREIGN KEY ...` clause refers to by a qualified name."""
    head, parent, tail = _referenced(clause)
    del parent
    return f"{head}{quote(database)}.{quote(table)}{tail}"


def parent_of(clause: str) -> tuple[str, str]:
    """Return database and table that a `FOREIGN KEY ...` clause refers to; no database = its own."""
    names = [unquoted_name(part) for part in _referenced(clause)[1]]
    return ("", names[0]) if len(names) == 1 else (names[0], names[1])


def _referenced(clause: str) -> tuple[str, list[str], str]:
    """Split a `FOREIGN KEY ...` clause into what is before its parent, the parent, and the rest."""
    parts = tokens(clause)
    begin = next(index for index, part in enumerate(parts) if part.endswith("REFERENCES ")) + 1
    end = begin + (3 if parts[begin + 1] == "." else 1)
    names = [part for part in parts[begin:end] if part != "."]
    return "".join(parts[:begin]), names, "".join(parts[end:])


def has_sequences(sql: str) -> bool:
    """Tell whether a default of a CREATE TABLE asks a sequence for a value."""
    return any(part.endswith(_SEQUENCE_CALLS) for part in tokens(sql) if part[0] not in "'\"`")


def with_sequences_of(sql: str, database: str, *, own: Collection[str]) -> str:
    """Qualify the sequences of `nextval()` and the like that are not among a schema's own."""
    parts = tokens(sql)
    for index in range(len(parts) - 3):
        name = parts[index + 2]
        calls = parts[index].endswith(_SEQUENCE_CALLS) and parts[index + 1] == "("
        is_bare = name[0] == "`" and not parts[index + 3].startswith(".")
        if calls and is_bare and unquoted_name(name) not in own:
            parts[index + 2] = f"{quote(database)}.{name}"
    return "".join(parts)
