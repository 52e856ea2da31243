"""
Objects that a server keeps although it cannot read them: after an upgrade a word may be reserved, or gone.

SHOW CREATE prints the body of a trigger or event as it was typed, and the server parses it no sooner than
it fires. So each is prepared, which parses the statement and executes nothing of it: a server that does not
prepare its kind says so after it was parsed.
"""

from collections.abc import Sequence
from typing import Final

from app.domain.backups.manifest import ObjectKind
from app.engine.schema.objects import Definition
from app.engine.server.connection import Session
from app.engine.sql.quoting import quote_text
from app.errors import StatementError


# "This command is not supported in the prepared statement protocol yet": it was parsed.
_NOT_PREPARED: Final = 1295
_TYPED: Final = frozenset({ObjectKind.TRIGGER, ObjectKind.EVENT})


async def find_unparsable(
    session: Session, definitions: Sequence[Definition]
) -> dict[Definition, int]:
    """
    Find the triggers and events that the server cannot parse.

    Args:
        session: Without an SQL mode, which it has again afterwards.
        definitions: Of one database; others than triggers and events are passed over.

    Returns:
        The number of the server's error by definition; its words may be those of the body.
    """
    found: dict[Definition, int] = {}
    typed = [definition for definition in definitions if definition.entry.kind in _TYPED]
    for definition in typed:
        await session.query(f"SET @backstay_sql = {quote_text(definition.sql)}")
        await session.query(f"SET SESSION sql_mode = {quote_text(definition.sql_mode)}")
        try:
            await session.query("PREPARE backstay FROM @backstay_sql")
        except StatementError as exc:
            if exc.errno != _NOT_PREPARED:
                found[definition] = exc.errno
        # Not after another error: it would be hidden by that of a connection that is gone.
        await session.query("SET SESSION sql_mode = ''")
    if typed:
        await session.query("SET @backstay_sql = NULL")
    return found
