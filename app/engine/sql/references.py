"""What a CREATE TABLE or VIEW says of other tables, sequences and functions: pure text, no I/O."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from app.engine.sql.ddl import (
    is_foreign_key,
    is_quoted,
    split_items,
    tokens,
    unquoted_name,
    unquoted_parts,
)
from app.engine.sql.quoting import quote


# What a SELECT may say before its columns.
_MODIFIER: Final = re.compile(r"\bselect (?:\w+ )*straight_join \Z")
_SELECT: Final = re.compile(r"\bselect\b")
_WITH: Final = re.compile(r"\bwith (?!(?:local |cascaded )?check)")
# What a default may ask of a sequence.
SEQUENCE_CALLS: Final = ("nextval", "lastval", "setval")
_DEFAULT: Final = " DEFAULT "


def foreign_keys(sql: str) -> list[tuple[str, str]]:
    """Return the foreign keys of a CREATE TABLE: name, and what is printed from `FOREIGN KEY` on."""
    found = []
    for item in split_items(sql)[1]:
        if is_foreign_key(item):
            parts = tokens(item)
            found.append((unquoted_name(parts[1]), "".join(parts[2:]).lstrip()))
    return found


def constraint_names(sql: str) -> set[tuple[str, str]]:
    """Return kind and name, in small letters, of the foreign keys and CHECKs of a CREATE TABLE."""
    found = set()
    for item in split_items(sql)[1]:
        if item.startswith("CONSTRAINT "):
            kind = "FOREIGN KEY" if is_foreign_key(item) else "CHECK"
            found.add((kind, unquoted_name(tokens(item)[1]).lower()))
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
    return any(part.endswith(SEQUENCE_CALLS) for part in unquoted_parts(sql))


def used_sequences(sql: str) -> set[tuple[str, str]]:
    """Return database and name of the sequences that defaults of a CREATE TABLE ask; no database = its own."""
    if not has_sequences(sql):
        return set()
    parts = tokens(sql)
    return {
        _chain(parts, index)[0]
        for index, part in enumerate(parts)
        if part[0] == "`" and _asks_sequence(parts, index)
    }


def sequence_defaults(sql: str) -> dict[str, str]:
    """Return the defaults of a CREATE TABLE that ask a sequence, by column; each is a function or in brackets."""
    found = {}
    for item in split_items(sql)[1]:
        parts = tokens(item)
        begin = next((at for at, part in enumerate(parts) if _DEFAULT in part), len(parts))
        default, depth = parts[begin : begin + 1], 0
        for part in parts[begin + 1 :]:
            default.append(part)
            depth += (part == "(") - (part == ")")
            if depth == 0:
                break
        text = "".join(default).partition(_DEFAULT)[2]
        if parts[0][0] == "`" and has_sequences(text):
            found[unquoted_name(parts[0])] = text
    return found


def with_sequences_of(sql: str, database: str, *, own: Collection[str]) -> str:
    """Qualify the sequences of `nextval()` and the like that are not among a schema's own."""
    parts = tokens(sql)
    for index in range(len(parts) - 3):
        name = parts[index + 2]
        calls = parts[index].endswith(SEQUENCE_CALLS) and parts[index + 1] == "("
        is_bare = name[0] == "`" and not parts[index + 3].startswith(".")
        if calls and is_bare and unquoted_name(name) not in own:
            parts[index + 2] = f"{quote(database)}.{name}"
    return "".join(parts)


def with_sequences_in(sql: str, places: Mapping[tuple[str, str], str]) -> str:
    """Replace the databases of sequences of `nextval()` and the like, by database and name."""
    if not places or not has_sequences(sql):
        return sql
    parts = tokens(sql)
    for index in range(len(parts) - 4):
        database, dot, name = parts[index + 2 : index + 5]
        calls = parts[index].endswith(SEQUENCE_CALLS) and parts[index + 1] == "("
        if calls and dot == "." and database[0] == name[0] == "`":
            key = unquoted_name(database), unquoted_name(name)
            parts[index + 2] = quote(places.get(key, key[0]))
    return "".join(parts)


def merged_tables(sql: str) -> set[tuple[str, str]]:
    """Return database and name of the tables below one of MERGE; no database = its own."""
    parts = tokens(split_items(sql)[2])
    begin = next((at for at, part in enumerate(parts) if part.endswith("UNION=")), len(parts))
    end = parts.index(")", begin) if begin < len(parts) else begin
    names = [at for at in range(begin, end) if parts[at][0] == "`" and parts[at - 1] != "."]
    return {_chain(parts, at)[0] for at in names}


def used_by_view(sql: str) -> set[tuple[str, str]]:
    """
    Find what a view reads and calls.

    Args:
        sql: As SHOW CREATE VIEW prints it; joins are printed as such, never as commas.

    Returns:
        Database and name of tables, views, sequences and functions; no database = its own. Nothing of
        its own where WITH gives names to queries, which are printed like those of tables.
    """
    parts = tokens(sql)
    found = {_chain(parts, index)[0] for index in _used(parts)}
    names_queries = any(_WITH.search(part.lower()) for part in parts if not is_quoted(part))
    return {name for name in found if name[0] or not names_queries}


def with_databases(sql: str, places: Mapping[str, str]) -> str:
    """
    Replace databases in what a view reads and calls; an alias of the same name is none.

    Args:
        sql: As above.
        places: New names by old ones; empty = the database of the session, which is not named.

    Returns:
        The same view elsewhere.
    """
    if not any(f"{quote(name)}." in sql for name in places):
        return sql
    parts = tokens(sql)
    columns = (index for index in range(len(parts) - 4) if _is_column_of_database(parts, index))
    for index in {*_used(parts), *columns}:
        database = _chain(parts, index)[0][0]
        if place := places.get(database):
            parts[index] = quote(place)
        elif database in places:
            parts[index] = parts[index + 1] = ""
    return "".join(parts)


def _is_column_of_database(parts: Sequence[str], index: int) -> bool:
    """Tell whether a name of three parts begins at a token."""
    begins = parts[index][0] == "`" and parts[index - 1][-1:] != "."
    return begins and parts[index + 1] == parts[index + 3] == "."


def _used(parts: Sequence[str]) -> Iterator[int]:
    """Find where a CREATE VIEW names tables, views, sequences and functions of a database."""
    queries = [False]  # for each open bracket, whether there is a SELECT in it
    is_next = False
    for index, part in enumerate(parts):
        if part == "(":
            queries.append(False)
        elif part == ")" and len(queries) > 1:
            queries.pop()
        elif part[0] == "`":
            _, after = _chain(parts, index)
            # Functions of the server itself are printed without quotes.
            is_call = after == "(" and parts[index - 1][-1:] != "."
            if is_next or is_call or _asks_sequence(parts, index):
                yield index
            is_next = False
        elif not is_quoted(part):
            words = part.lower()
            queries[-1] |= bool(_SELECT.search(words))
            is_join = words.endswith("join ") and not _MODIFIER.search(words)
            is_next = is_join or (queries[-1] and words.endswith("from "))


def _chain(parts: Sequence[str], index: int) -> tuple[tuple[str, str], str]:
    """Return database and name at a token, and what comes after them."""
    first, *rest = parts[index : index + 4]
    if len(rest) > 1 and rest[0] == "." and rest[1][0] == "`":
        return (unquoted_name(first), unquoted_name(rest[1])), rest[2] if len(rest) > 2 else ""  # noqa: PLR2004 - a dot, a name
    return ("", unquoted_name(first)), rest[0] if rest else ""


def _asks_sequence(parts: Sequence[str], index: int) -> bool:
    return index > 1 and parts[index - 1] == "(" and parts[index - 2].endswith(SEQUENCE_CALLS)
