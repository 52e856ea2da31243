"""Tables that the server itself cannot open: they are replaced by restores, and read by nothing."""

from typing import Final

from app.engine.schema.listing import scope_of
from app.engine.schema.tables import list_without_engine
from app.engine.server.connection import Session
from app.engine.sql.quoting import qualified
from app.errors import StatementError


_NO_SUCH_TABLE: Final = 1146  # somebody has dropped it meanwhile
# A file cannot be found; a table that its engine does not have, and one of InnoDB without a tablespace,
# which is an error of any engine in MariaDB.
_NO_FILE: Final = frozenset({1017, 1812, 1932})
_ENGINE_ERROR: Final = 1030
_NO_TABLESPACE: Final = "Got error 194 "


async def find_broken(session: Session, database: str) -> dict[str, StatementError | None]:
    """
    Find the tables of a database that the server itself cannot open.

    Returns:
        The error that each ends in, by name; None where nobody knows its engine, and it ends in none.

    Raises:
        DatabaseError: The server fails us.
    """
    if not session.flavor.knows_engines:
        lost = await list_without_engine(session, database)
        return {name: await _error_of(session, database, name) for name in lost}
    listing = (
        "SELECT TABLE_NAME, TABLE_ROWS, TABLE_COMMENT FROM information_schema.TABLES"
        f" WHERE {scope_of([database])} AND TABLE_TYPE = 'BASE TABLE'"
    )
    reply = await session.query(listing)  # which opens them all, and warns of each that it cannot
    if not reply.warnings:
        return {}
    names = await session.texts(listing.replace(", TABLE_ROWS, TABLE_COMMENT", ""))
    errors = {name: await _error_of(session, database, name) for (name,) in names}
    return {
        name: error
        for name, error in errors.items()
        if error is not None and error.errno != _NO_SUCH_TABLE
    }


async def _error_of(session: Session, database: str, name: str) -> StatementError | None:
    try:
        await session.query(f"SHOW CREATE TABLE {qualified(database, name)}")
    except StatementError as exc:
        return exc
    return None


async def list_without_file(session: Session, database: str) -> list[str]:
    """Name the tables of a database that have lost their file: a RENAME of such a table is refused."""
    broken = await find_broken(session, database)
    return sorted(name for name, error in broken.items() if error and _is_without_file(error))


def _is_without_file(error: StatementError) -> bool:
    if error.errno == _ENGINE_ERROR:
        return _NO_TABLESPACE in str(error)
    return error.errno in _NO_FILE
