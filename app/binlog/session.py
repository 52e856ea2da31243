"""
The session in which a log is read: what a replica says before it asks for it, and the events that come.

Source: https://mariadb.com/docs/server/reference/clientserver-protocol/replication-protocol/5-slave-registration,
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_binlog_dump.html
"""

import struct
from typing import Final

import pymysql.err
from pymysql.constants.COMMAND import COM_BINLOG_DUMP, COM_REGISTER_SLAVE

from app.binlog.events.headers import Place
from app.engine.server.connection import Session
from app.engine.server.driver import Driver
from app.engine.server.errors import translate
from app.engine.server.packets import EventPackets
from app.errors import ConnectionLostError


# Annotations of row events, which MariaDB sends to those only who ask for them.
_ANNOTATIONS: Final = 2
# Server id, no host, user, password and port, no rank, and no source that we follow.
_REGISTRATION: Final = struct.Struct("<IBBBHII")
_REQUEST: Final = struct.Struct("<IHI")
_NANOSECONDS: Final = 1_000_000_000
# Without a capability MariaDB replaces GTIDs by something else, and all positions still fit.
_MARIADB: Final = ("SET @mariadb_slave_capability = 4",)
_MYSQL: Final = (
    "SET @source_binlog_checksum = 'CRC32'",
    "SET @source_heartbeat_period = {period}",
    "SET @replica_uuid = UUID(), @slave_uuid = @replica_uuid",
)
# That checksums are understood; whether there are some each file says by itself.
_BOTH: Final = (
    "SET @master_binlog_checksum = 'CRC32'",
    "SET @master_heartbeat_period = {period}",
)


class LogStream:
    """The binary log on one connection, which is good for nothing else then."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._packets = EventPackets(0)

    async def begin(self, server_id: int, file: str, position: int, flags: int) -> None:
        """
        Register as a replica, and ask for the log from a place on.

        Args:
            server_id: Under which no other replica of the server is known.
            file: As the server calls it.
            position: Of the first event.
            flags: The vendor's.

        Raises:
            PermissionDeniedError: A right is missing.
            StatementError: The server refuses.
            ConnectionLostError: The connection is gone.
        """
        request = _REQUEST.pack(position, flags, server_id) + file.encode(
            "utf-8", "surrogateescape"
        )
        try:
            registration = _REGISTRATION.pack(server_id, 0, 0, 0, 0, 0, 0)
            await self._driver.ask(COM_REGISTER_SLAVE, registration)
            self._packets = EventPackets(await self._driver.send(COM_BINLOG_DUMP, request))
        except (pymysql.err.Error, OSError, EOFError) as exc:
            error = translate(exc)
            raise error from exc

    async def read(self) -> list[bytes]:
        """
        Wait for the next bytes; a caller that gives up loses nothing.

        Returns:
            Events that are whole by now; may be empty.

        Raises:
            ConnectionLostError: The server has ended the log, or is gone.
            StatementError: It says that it cannot go on.
        """
        try:
            return self._packets.feed(await self._driver.next_bytes(self._packets.missing))
        except EOFError as exc:
            raise ConnectionLostError(
                "the server has ended its log", hint="It may have been shut down."
            ) from exc
        except (pymysql.err.Error, OSError) as exc:
            error = translate(exc)
            raise error from exc


async def begin_dump(
    session: Session, server_id: int, start: Place, heartbeat_seconds: float
) -> LogStream:
    """
    Ask for the log from a place on.

    Args:
        session: Good for nothing else then.
        server_id: Under which no other replica is known.
        start: Where an event begins.
        heartbeat_seconds: How often a server without news says so.

    Returns:
        Events.

    Raises:
        DatabaseError: The server refuses, or is gone.
    """
    is_mariadb = session.flavor.vendor == "mariadb"
    period = round(heartbeat_seconds * _NANOSECONDS)
    for statement in (*_BOTH, *(_MARIADB if is_mariadb else _MYSQL)):
        await session.query(statement.format(period=period))
    stream = LogStream(session.driver)
    flags = _ANNOTATIONS if is_mariadb else 0
    await stream.begin(server_id, start.name, start.position, flags)
    return stream
