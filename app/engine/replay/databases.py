"""Some databases replayed without the others: what must be there for it, and what must not be."""

from collections.abc import Iterable, Sequence

from app.engine.server.connection import Session
from app.engine.sql.quoting import quote, quote_text
from app.errors import BaseUnfitError


async def create_missing(session: Session, names: Iterable[str]) -> None:
    """Make empty databases: statements on others may have been executed in them."""
    for name in sorted(names):
        await session.query(f"CREATE DATABASE IF NOT EXISTS {quote(name)}")


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
