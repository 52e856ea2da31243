"""What a server says about itself."""

from app.domain.backups.manifest import ServerEntry
from app.engine.server.connection import Session


async def read_server(session: Session) -> ServerEntry:
    """Describe the server."""
    text = (
        await session.texts(
            "SELECT VERSION(), @@GLOBAL.sql_mode, @@GLOBAL.character_set_server,"
            " @@GLOBAL.collation_server, @@GLOBAL.lower_case_table_names,"
            " @@GLOBAL.max_allowed_packet, @@GLOBAL.time_zone",
        )
    )[0]
    return ServerEntry(
        vendor=session.flavor.vendor,
        version=text[0],
        sql_mode=text[1],
        charset=text[2],
        collation=text[3],
        lower_case_table_names=int(text[4]),
        max_allowed_packet=int(text[5]),
        time_zone=text[6],
    )
