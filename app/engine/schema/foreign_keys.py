"""
Foreign keys around tables that change places.

InnoDB lets a foreign key follow the tables by themselves, not by name: a child that stays refers to the
old parent afterwards, in the schema where that is kept, and a kept child still binds a parent that
stays. So both kinds are read before a swap and put right after it, which changes metadata only
because checks are off. (Source: measured, and pt-online-schema-change's rebuild_constraints.)
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from app.domain.restores.journal import ForeignKey
from app.engine.schema.listing import in_tables, list_elsewhere
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.sql import references
from app.engine.sql.quoting import (
    MOST_NAME_CHARACTERS,
    qualified,
    quote,
    quote_text,
    same_name,
    same_names,
)
from app.errors import AppError, StatementError


# The server's own schemas have none of ours.
_COLUMNS: Final = "CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME"
# MySQL says of the database that there is none, where there is none.
_NO_SUCH_TABLE: Final = frozenset({1049, 1146})
# 1005 by a copy of the table.
_NO_PARENT_INDEX: Final = frozenset({1005, 1822})


@dataclass(frozen=True, slots=True)
class Binding:
    """
    A foreign key by its names alone.

    Attributes:
        database: Of the child.
        table: The child.
        name: Of the constraint.
        parent_database: What it refers to.
        parent: What it refers to.
    """

    database: str
    table: str
    name: str
    parent_database: str
    parent: str


async def read_bindings(session: Session, databases: Iterable[str]) -> list[Binding]:
    """Find the foreign keys of any table whose child or parent is in one of these databases."""
    names = list(databases)
    condition = (
        f"({same_names('CONSTRAINT_SCHEMA', names)}"
        f" OR {same_names('UNIQUE_CONSTRAINT_SCHEMA', names)})"
    )
    return [Binding(*row) for row in await _read_constraints(session, _COLUMNS, condition)]


async def list_loose(session: Session, databases: Iterable[str]) -> set[tuple[str, str]]:
    """
    List the tables with foreign keys on what is no unique key of the parent, or has no index any more.

    MySQL may refuse to make the first, MariaDB refuses the second once the parent is there.

    Returns:
        Database and name of each.
    """
    lost = f"{same_names('CONSTRAINT_SCHEMA', databases)} AND UNIQUE_CONSTRAINT_NAME IS NULL"
    rows = await _read_constraints(session, "CONSTRAINT_SCHEMA, TABLE_NAME", lost)
    return {(database, name) for database, name in rows}


async def read_constraint_tables(session: Session, database: str) -> dict[tuple[str, str], str]:
    """
    Read which constraints have a name that no other table of their database may have.

    Returns:
        The table of each, by kind and name in small letters.
    """
    # MariaDB, which passes over the comment, lets each table name its CHECKs.
    condition = (
        f"{same_name('CONSTRAINT_SCHEMA', database)}"
        " AND CONSTRAINT_TYPE IN ('FOREIGN KEY' /*!80016 , 'CHECK' */)"
    )
    columns = "CONSTRAINT_TYPE, CONSTRAINT_NAME, TABLE_NAME"
    rows = await _read_constraints(session, columns, condition, source="TABLE_CONSTRAINTS")
    return {(kind, name.lower()): table for kind, name, table in rows}


async def _read_constraints(
    session: Session, columns: str, condition: str, *, source: str = "REFERENTIAL_CONSTRAINTS"
) -> list[tuple[str, ...]]:
    query = f"SELECT {columns} FROM information_schema.{source} WHERE {condition}"
    try:
        return await session.texts(query)
    except StatementError:  # the server opens every table, and another server does not answer
        elsewhere = await list_elsewhere(session)
        if not elsewhere:
            raise
    return await session.texts(f"{query} AND NOT {in_tables(elsewhere, 'CONSTRAINT_SCHEMA')}")


async def count_hidden(session: Session, databases: Sequence[str], seen: Iterable[Binding]) -> int:
    """
    Count foreign keys on these databases whose children this user cannot see.

    Args:
        session: Any.
        databases: Of the parents.
        seen: From `read_bindings`.

    Returns:
        How many there are in other databases.

    Raises:
        PermissionDeniedError: PROCESS is missing.
    """
    query = session.flavor.name_in_keys
    own = tuple([
        f"{await session.scalar(f'SELECT {query.format(quote_text(name))}')}/" for name in databases
    ])
    every = sum(
        parent.startswith(own) and not child.startswith(own)
        for child, parent in await session.texts(session.flavor.foreign_keys)
    )
    visible = sum(
        binding.parent_database in databases and binding.database not in databases
        for binding in seen
    )
    return max(0, every - visible)


async def read_foreign_keys(session: Session, bindings: Iterable[Binding]) -> list[ForeignKey]:
    """Read the definitions of foreign keys."""
    found: list[ForeignKey] = []
    texts: dict[tuple[str, str], str] = {}
    for binding in bindings:
        child = (binding.database, binding.table)
        if child not in texts:
            rows = await session.texts(f"SHOW CREATE TABLE {qualified(*child)}")
            texts[child] = rows[0][1]
        clause = next(
            clause for name, clause in references.foreign_keys(texts[child]) if name == binding.name
        )
        found.append(build_foreign_key(binding, clause))
    return found


def build_foreign_key(binding: Binding, clause: str) -> ForeignKey:
    """Make a foreign key of its names and of what SHOW CREATE prints from `FOREIGN KEY` on."""
    return ForeignKey(
        database=binding.database,
        table=binding.table,
        name=binding.name,
        parent_database=binding.parent_database,
        parent=binding.parent,
        clause=references.with_parent(clause, binding.parent_database, binding.parent),
    )


def crossing(
    bindings: Iterable[Binding], moving: Iterable[TableRef]
) -> tuple[list[Binding], list[Binding]]:
    """
    Sort out which foreign keys cross the border of a set of tables that move together.

    Returns:
        Those of children that stay, and those of children that move.
    """
    names = {(table.database, table.name) for table in moving}
    staying: list[Binding] = []
    leaving: list[Binding] = []
    for binding in bindings:
        child = (binding.database, binding.table) in names
        parent = (binding.parent_database, binding.parent) in names
        if parent and not child:
            staying.append(binding)
        elif child and not parent:
            leaving.append(binding)
    return staying, leaving


def moved(keys: Sequence[ForeignKey], database: str) -> tuple[ForeignKey, ...]:
    """Return the same keys for children that are in another database now."""
    return tuple(replace(key, database=database) for key in keys)


async def ensure(session: Session, keys: Sequence[ForeignKey]) -> None:
    """
    Make foreign keys refer to what they should; those that do are not touched.

    Raises:
        DatabaseError: The server refused; running it again goes on from there.
    """
    if not keys:
        return
    there = {
        (binding.database, binding.table, binding.name): (binding.parent_database, binding.parent)
        for binding in await read_bindings(session, {key.database for key in keys})
    }
    for key in keys:
        found = there.get((key.database, key.table, key.name))
        if found == (key.parent_database, key.parent):
            continue
        table = qualified(key.database, key.table)
        if found is not None:
            await session.query(f"ALTER TABLE {table} DROP FOREIGN KEY {quote(key.name)}")
        await add(session, TableRef(key.database, key.table, engine=""), {key.name: key.clause})


async def add(
    session: Session, table: TableRef, clauses: Mapping[str, str], *, empty: bool = False
) -> None:
    """
    Add foreign keys, and nothing besides: neither child nor parent need have the index they once had.

    Args:
        session: With foreign_key_checks off.
        table: The child.
        clauses: What follows the name of each.
        empty: Whether the child has no rows. Then a key on the base of a stored column can be added:
            that takes a copy of the table, in which its values are computed again.

    Raises:
        StatementError: The server refused.
    """
    indexes = await _indexes(session, table)
    added = ", ".join(f"ADD {_named(name)}{text}" for name, text in clauses.items())
    copied = ", ALGORITHM=COPY" if empty else ""
    try:
        await session.query(f"ALTER TABLE {table.sql} {added}{copied}", no_timeout=True)
    except StatementError as exc:
        if exc.errno not in _NO_PARENT_INDEX:
            raise
        for name, clause in clauses.items():
            await _add_without_parent_index(session, table, name, f"{clause}{copied}")
    now = await _indexes(session, table)
    gone, made = sorted(indexes - now), sorted(now - indexes)
    for old, new in zip_longest(gone, made, fillvalue=""):
        if not old:  # made for a key that had none
            await session.query(f"ALTER TABLE {table.sql} DROP INDEX {quote(new)}")
        elif new:
            # An index that the server once made for the key by itself takes the name of the key.
            await session.query(
                f"ALTER TABLE {table.sql} RENAME INDEX {quote(new)} TO {quote(old)}"
            )


def _named(name: str) -> str:
    """Name a key that is to be added; longer than anybody may write it only the server's own names become."""
    return f"CONSTRAINT {quote(name)} " if len(name) <= MOST_NAME_CHARACTERS else ""


async def _add_without_parent_index(
    session: Session, table: TableRef, name: str, clause: str
) -> None:
    """Add a key whose parent has lost its index, in the way it came to be: with the index, then without."""
    database, parent = references.parent_of(clause)
    place = qualified(database or table.database, parent)
    columns = ", ".join(references.foreign_key_columns(clause)[1])
    sql = f"ALTER TABLE {table.sql} ADD {_named(name)}{clause}"
    try:
        await session.query(sql, no_timeout=True)
    except StatementError as exc:
        if exc.errno not in _NO_PARENT_INDEX:
            raise
        index = quote("backstay_parent")
        await session.query(f"ALTER TABLE {place} ADD INDEX {index} ({columns})", no_timeout=True)
        drop = f"ALTER TABLE {place} DROP INDEX {index}"
        try:
            await session.query(sql, no_timeout=True)
        except BaseException:
            with suppress(AppError):  # the first error is told
                await session.query(drop)
            raise
        await session.query(drop, no_timeout=True)


async def _indexes(session: Session, table: TableRef) -> set[str]:
    """Return the names of the indexes of the child."""
    rows = await session.texts(
        "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS"
        f" WHERE {same_name('TABLE_SCHEMA', table.database)}"
        f" AND {same_name('TABLE_NAME', table.name)}"
    )
    return {name for (name,) in rows}


async def drop(session: Session, keys: Sequence[ForeignKey]) -> None:
    """Drop foreign keys; those that are gone already are fine."""
    if not keys:
        return
    there = await read_bindings(session, {key.database for key in keys})
    names = {(binding.database, binding.table, binding.name) for binding in there}
    for key in keys:
        if (key.database, key.table, key.name) in names:
            table = qualified(key.database, key.table)
            await session.query(f"ALTER TABLE {table} DROP FOREIGN KEY {quote(key.name)}")


async def count_orphans(
    session: Session, key: ForeignKey, child: TableRef, parent: TableRef
) -> int:
    """
    Count rows of a child that have no parent.

    Args:
        session: Any.
        key: The foreign key.
        child: Where the child's rows are now.
        parent: Where the parent's rows are now.

    Returns:
        How many; 0 when one of the tables is not there.

    Raises:
        StatementError: The server refused for another reason.
    """
    own, theirs = references.foreign_key_columns(key.clause)
    match = " AND ".join(f"p.{there} = c.{here}" for here, there in zip(own, theirs, strict=True))
    known = " AND ".join(f"c.{column} IS NOT NULL" for column in own)
    try:
        return int(
            await session.scalar(
                f"SELECT COUNT(*) FROM {child.sql} c WHERE {known}"
                f" AND NOT EXISTS (SELECT 1 FROM {parent.sql} p WHERE {match})"
            )
        )
    except StatementError as exc:
        if exc.errno not in _NO_SUCH_TABLE:
            raise
        return 0
