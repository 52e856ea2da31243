"""Events that a replay has disabled, given the status that their statements gave them."""

from typing import Final

from app.engine.replay.event_changes import EventStatus, EventStatuses, Name
from app.engine.schema.databases import read_schemas
from app.engine.schema.object_script import status_statements
from app.engine.schema.objects import read_objects
from app.engine.server.connection import Session


_LISTING: Final = "SELECT EVENT_SCHEMA, EVENT_NAME, STATUS FROM information_schema.EVENTS"
_STATUSES: Final = {"ENABLED": EventStatus.ENABLED, "DISABLED": EventStatus.DISABLED}


async def read_statuses(session: Session) -> dict[Name, EventStatus]:
    """Read the status of every event."""
    return {
        (database, name): _STATUSES.get(status, EventStatus.ELSEWHERE)
        for database, name, status in await session.texts(_LISTING)
    }


async def set_statuses(session: Session, wanted: EventStatuses) -> list[str]:
    """
    Give events that are disabled as another server's the status that is known of them.

    Definer, session and all else stay.

    Args:
        session: Of an account that may do anything, in the state of a dump.
        wanted: What is known.

    Returns:
        Labels of events of which nothing is known, which stay disabled.
    """
    disabled = [
        name
        for name, status in (await read_statuses(session)).items()
        if status is EventStatus.ELSEWHERE
    ]
    unknown = [f"{name[0]}.{name[1]}" for name in disabled if wanted.find(name) is None]
    for schema in await read_schemas(session, sorted({database for database, _ in disabled})):
        for definition in (await read_objects(session, schema)).definitions:
            name = (schema.name, definition.entry.name)
            status = wanted.find(name)
            if name not in disabled or status in {None, EventStatus.ELSEWHERE}:
                continue
            enables = status is EventStatus.ENABLED
            for statement in status_statements(definition, schema, enables=enables):
                await session.query(statement.sql.rstrip(b";\n"))
    return unknown
