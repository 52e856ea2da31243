"""
The driver's connection, opened by our rules.

1. Whether there is TLS is decided before a name or a proof of a password is sent (`tls`).
2. How a user logs in is decided by a list of ours (`authentication`).
3. No file is ever opened because a server asks for it, and only connections that load say that they
   would send one.
4. What a server sends has limits, and what it makes no sense of is an error like any other.

aiomysql does none of these, so this module uses what it has inside.
"""

import asyncio
import logging
import struct
from collections.abc import Mapping
from typing import Final, cast

import aiomysql
import pymysql.err
from aiomysql.connection import MySQLResult, _open_connection
from aiomysql.utils import _lenenc_int
from pymysql.charset import charset_by_name
from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CLIENT
from pymysql.protocol import MysqlPacket

from app.mysql.authentication import Login
from app.mysql.channel import Channel
from app.mysql.hosts import is_loopback
from app.mysql.refusals import (
    MOST_BYTES,
    Refusal,
    file_refused,
    make_printable,
    malformed,
    too_large,
    understood,
)
from app.mysql.tls import Tls


_log: Final = logging.getLogger(__name__)
_PROTOCOL: Final = 10
# A greeting, an error or a key: nothing before the login has more than some hundred bytes.
_LOGIN_BYTES: Final = 64 << 10


class Connection(aiomysql.Connection):  # type: ignore[misc]  # the driver has no types
    """
    One connection.

    Attributes:
        channel: How its bytes travel; known once it is open.
        login: How the user came in; the same.
        loads: Whether it may answer a LOAD DATA LOCAL of ours.
    """

    channel: Channel
    login: Login
    _writer: asyncio.StreamWriter
    _result: "_Result"

    def __init__(self, tls: Tls, arguments: Mapping[str, object], *, loads: bool) -> None:
        # Not local_infile: with it the driver opens what a server names.
        super().__init__(**arguments)
        if loads:
            self.client_flag |= CLIENT.LOCAL_FILES
        self.loads = loads
        self._tls = tls
        self._is_open = False
        self._room = _LOGIN_BYTES

    async def open(self) -> None:
        """
        Connect and log in.

        Raises:
            Error: Of the driver: there is no answer, the server refuses, or we do.
        """
        try:
            await self._connect()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close at once; on TLS a polite end would wait for the server's, which it may never send."""
        if self._writer is not None:
            self._writer.transport.abort()
        super().close()

    async def _get_server_information(self) -> None:
        with understood():
            await super()._get_server_information()
            if (
                self.protocol_version != _PROTOCOL
                or not self.server_capabilities & CLIENT.PROTOCOL_41
                or not self.server_capabilities & CLIENT.SECURE_CONNECTION
            ):
                raise malformed("it speaks a protocol that is older than MySQL 4.1")

    async def _request_authentication(self) -> None:
        """Encrypt if we do, then log in; the first packet that says who we are comes after that."""
        local = bool(self._unix_socket)
        offered = bool(self.server_capabilities & CLIENT.SSL)
        context = self._tls.context_for(offered=offered, local=local)
        near = local or is_loopback(self._writer.get_extra_info("peername")[0])
        flags = self.client_flag | (CLIENT.SSL if context else 0)
        charset = charset_by_name(self.charset).id  # type: ignore[attr-defined]  # it has
        head = struct.pack("<iIB23s", flags, MAX_PACKET_LEN, charset, b"")
        version = ""
        if context is not None:
            self.write_packet(head)
            version = await self._encrypt(context)
        verified = bool(version) and self._tls.verifies
        self.channel = Channel(local, near, version, verified)
        self.login = Login(self._password.encode(), self.channel)
        with understood():
            self.write_packet(self._who(head))
            while not self.login.over:
                packet = await self._read_packet()
                said: bytes = packet.get_all_data()  # type: ignore[no-untyped-call]  # half a stub
                if (reply := self.login.answer(said)) is not None:
                    self.write_packet(reply)
        self._is_open = True

    async def _encrypt(self, context: object) -> str:
        """Put TLS on the connection; what came before it unencrypted is forgotten with its reader."""
        await self._writer.drain()
        transport = cast("asyncio.Transport", self._writer.transport)
        transport.pause_reading()
        raw = transport.get_extra_info("socket").dup()
        transport.close()
        self._reader, self._writer = await _open_connection(
            sock=raw, ssl=context, server_hostname=self._host
        )
        return str(self._writer.get_extra_info("ssl_object").version())

    def _who(self, head: bytes) -> bytes:
        """Return the packet that says who we are, and proves it in the server's favourite way."""
        offered = self.server_capabilities
        proof = self.login.begin(self._server_auth_plugin, self.salt)
        lenenc = offered & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
        size = _lenenc_int(len(proof)) if lenenc else bytes([len(proof)])
        parts = [head, self._user.encode(), b"\0", size, proof]
        if self._db and offered & CLIENT.CONNECT_WITH_DB:
            parts += [self._db.encode(), b"\0"]
        if offered & CLIENT.PLUGIN_AUTH:
            parts += [self.login.plugin.encode(), b"\0"]
        if offered & CLIENT.CONNECT_ATTRS:
            texts = [text.encode() for pair in self._connect_attrs.items() for text in pair]
            attributes = b"".join(_lenenc_int(len(text)) + text for text in texts)
            parts += [_lenenc_int(len(attributes)), attributes]
        return b"".join(parts)

    async def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        """Read a packet; raises the driver's error for one that is an error, its words printable."""
        self._room = MOST_BYTES if self._is_open else _LOGIN_BYTES
        try:
            with understood():
                packet: MysqlPacket = await super()._read_packet(packet_type)
        except pymysql.err.Error as exc:
            make_printable(exc)
            raise
        return packet

    async def _read_bytes(self, num_bytes: int) -> bytes:
        self._room -= num_bytes
        if self._room < 0:
            self.close()
            raise too_large()
        data: bytes = await super()._read_bytes(num_bytes)
        return data

    async def _read_query_result(self, unbuffered: bool = False) -> None:  # noqa: FBT001, FBT002 - the driver's
        """Read the answer to a statement; the connection is closed after one that makes no sense."""
        self._result = None  # type: ignore[assignment]  # the driver's way to say that there is none
        result = _Result(self)
        try:
            with understood():
                await (result.init_unbuffered_query() if unbuffered else result.read())
        except BaseException as exc:
            result.unbuffered_active = False
            result.connection = None
            if isinstance(exc, Refusal):
                self.close()
            raise
        self._result = result
        self._affected_rows = result.affected_rows
        if result.server_status is not None:
            self.server_status = result.server_status


class _Result(MySQLResult):  # type: ignore[misc]  # the driver has no types
    async def _read_load_local_packet(self, first_packet: MysqlPacket) -> None:
        del first_packet  # names a file
        raise file_refused()


class Connector:
    """
    The way to one server.

    Attributes:
        variable: The setting that holds its address.
        channel: How the newest connection travels; None before the first.
    """

    def __init__(self, tls: Tls, variable: str) -> None:
        self.variable = variable
        self.channel: Channel | None = None
        self._tls = tls
        self._has_warned = False

    async def open(self, *, loads: bool = False, **arguments: object) -> Connection:
        """
        Open a connection, and warn once if others could read what passes on it.

        Args:
            loads: It may answer a LOAD DATA LOCAL of ours.
            arguments: The driver's.

        Returns:
            It, logged in.

        Raises:
            Error: Of the driver: there is no answer, the server refuses, or we do.
        """
        connection = Connection(self._tls, arguments, loads=loads)
        await connection.open()
        self.observe(connection.channel)
        return connection

    def observe(self, channel: Channel) -> None:
        """Warn of a connection that others can read, the first time."""
        self.channel = channel
        exposure = channel.exposure(self.variable)
        if exposure is not None and not self._has_warned:
            self._has_warned = True
            facts = {"connection": exposure.what, "remedy": exposure.remedy}
            _log.warning("A connection to a server is exposed", extra={"facts": facts})
