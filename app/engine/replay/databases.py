"""Some databases replayed without the others: what must be there for it, and what must not be."""

from collections.abc import Iterable, Sequence

from app.engine.schema.databases import read_schemas
from app.engine.server.connection import Session
from app.engine.sql.quoting import quote, quote_text
from app.errors import BaseUnfitError, DatabaseNotFoundError


async def create_missing(session: Session, names: Iterable[str]) -> None:
    """Make empty databases: statements on others may have been executed in them."""
    for name in sorted(names):
        await session.query(f"CREATE DATABASE IF NOT EXISTS {quote(name)}")


async def those_there(session: Session, chosen: Sequence[str]) -> tuple[str, ...]:
    """
    Find which of the chosen databases there are behind a replay.

    Args:
        session: Of the scratch server.
        chosen: Those that were replayed; empty = all.

    Returns:
        Their names; none where all were replayed.

    Raises:
        DatabaseNotFoundError: None is there any more, and a backup of none would count as one of all.
    """
    there = {schema.name for schema in await read_schemas(session, ())}
    found = tuple(name for name in chosen if name in there)
    if chosen and not found:
        raise DatabaseNotFoundError(
            f"at that point there is no database {chosen[0]!r} any more",
            hint="Recover to a point before it was dropped; 'backstay binlog transactions' finds it.",
        )
    return found


async def require_no_key_outside(session: Session, databases: Sequence[str]) -> None:
    """
    Refuse a choice of databases that a foreign key leaves: what it does to rows need not be in the log.

    Args:
        session: Of the scratch server.
        databases: Those that are replayed; empty = all but the system schema.

    Raises:
        BaseUnfitError: A table refers to another database.
    """
    # As `same_names` has it: or MariaDB looks only one up of databases whose names are alike.
    chosen = ", ".join(map(quote_text, [*databases, ""]))
    outside = (
        f"CONSTRAINT_SCHEMA IN ({chosen}) AND UNIQUE_CONSTRAINT_SCHEMA NOT IN ({chosen})"
        if databases
        else "UNIQUE_CONSTRAINT_SCHEMA = 'mysql' AND CONSTRAINT_SCHEMA <> 'mysql'"
    )
    found = await session.texts(
        "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA"
        f" FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE {outside}"
    )
    for database, table, key, other in found[:1]:
        raise BaseUnfitError(
            f"foreign key {key} of {database}.{table} refers to {other}, which is not recovered",
            hint=f"Recover {other} as well, or all databases; keep tables of yours out of the schema mysql.",
        )
