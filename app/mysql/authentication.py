"""
A login, packet by packet: no I/O.

The server chooses how a user logs in, and may change its mind; so does whoever answers in its place.
Each choice passes the same gate:

1. What proves the password without telling it is sent to everybody.
2. What tells the password is sent over a Unix socket or verified TLS only. `caching_sha2_password`
   belongs here when the server does not remember the user: encrypting with a key that the server hands
   out protects from listeners, not from one that stands between.
3. Anything else is refused.

What is not guaranteed: a proof of a weak password can be guessed at by whoever has it.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html,
https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
"""

from collections.abc import Callable, Mapping
from typing import Final

from pymysql._auth import ed25519_password, scramble_caching_sha2, scramble_native_password

from app.mysql.channel import Channel
from app.mysql.refusals import NO_PLUGIN, Refusal, malformed, shown_name


_NATIVE: Final = "mysql_native_password"
_SHA2: Final = "caching_sha2_password"
_OLD: Final = "mysql_old_password"
_SCRAMBLE_BYTES: Final = 20
_NONCE_BYTES: Final = 32
# By the name of the plugin: the proof, of password and what the server has thrown the dice for.
_PROOFS: Final[Mapping[str, Callable[[bytes, bytes], bytes]]] = {
    _NATIVE: lambda secret, salt: scramble_native_password(secret, salt[:_SCRAMBLE_BYTES]),
    _SHA2: lambda secret, salt: scramble_caching_sha2(secret, salt[:_SCRAMBLE_BYTES]),
    "client_ed25519": lambda secret, salt: ed25519_password(secret, salt[:_NONCE_BYTES]),
}
# The server's first greeting has a salt that is good for these.
_GREETING: Final = frozenset({_NATIVE, _SHA2})
_TELLING: Final = frozenset({"mysql_clear_password", "dialog", "sha256_password"})
_OK, _MORE, _SWITCH = b"\x00", b"\x01", b"\xfe"
_REMEMBERED, _FULL = b"\x03", b"\x04"
_VERIFY: Final = "Add ssl_mode=VERIFY_CA&ssl_ca=FILE to {address}, or log in over unix_socket=PATH"


class Login:
    """
    One login.

    Attributes:
        plugin: The way that is being tried.
        over: Whether the server has let us in.
        was_remembered: It did because of an earlier login, which it forgets when it is restarted.
    """

    def __init__(self, password: bytes, channel: Channel) -> None:
        self.plugin = ""
        self.over = False
        self.was_remembered = False
        self._password = password
        self._channel = channel

    def begin(self, plugin: str, salt: bytes) -> bytes:
        """
        Answer the server's greeting.

        Args:
            plugin: What it names as its default; `plugin` is then what the answer is for.
            salt: What came with it.

        Returns:
            A proof, never the password.
        """
        self.plugin = plugin if plugin in _GREETING else _NATIVE
        return _PROOFS[self.plugin](self._password, salt)

    def answer(self, packet: bytes) -> bytes | None:
        """
        Answer what the server says next.

        Args:
            packet: Anything but an error.

        Returns:
            What to send; None for nothing.

        Raises:
            Refusal: It wants what it must not have.
            malformed: It talks nonsense; a Refusal too.
        """
        kind, rest = packet[:1], packet[1:]
        if kind == _OK:
            self.over = True
            return None
        if kind == _SWITCH:
            return self._switch(rest)
        if kind == _MORE and self.plugin == _SHA2:
            return self._go_on(rest)
        if kind and self.plugin == "dialog":
            raise Refusal(
                NO_PLUGIN,
                "the server asks for more than a password",
                "Use an account that logs in by password alone in {address}.",
            )
        raise malformed()

    def _switch(self, request: bytes) -> bytes:
        name, _, salt = request.partition(b"\x00")
        # Without a name it is the oldest of all, whose proofs anybody can turn into a login.
        self.plugin = shown_name(name) or _OLD
        if proof := _PROOFS.get(self.plugin):
            return proof(self._password, salt)
        if self.plugin not in _TELLING:
            raise Refusal(
                NO_PLUGIN,
                f"the account logs in by {self.plugin}, which this program does not do",
                f"Give the account in {{address}} another way to log in: {', '.join(_PROOFS)}"
                " (in MariaDB: ed25519) or, on this machine, unix_socket.",
            )
        # This one encrypts for a key of the server's when there is no TLS, in a Unix socket as well.
        is_mute = self.plugin == "sha256_password" and not self._channel.version
        if is_mute or not self._channel.may_carry_passwords:
            raise Refusal(
                NO_PLUGIN,
                f"{self.plugin} would send the password itself, and the connection is {self._channel}",
                f"{_VERIFY}.",
            )
        return self._password + b"\x00"

    def _go_on(self, state: bytes) -> bytes | None:
        if state == _REMEMBERED:
            self.was_remembered = True
            return None
        if state != _FULL:
            raise malformed()
        if not self._channel.may_carry_passwords:
            raise Refusal(
                NO_PLUGIN,
                f"{_SHA2} needs the password itself once, and the connection is {self._channel}",
                f"{_VERIFY} once: the server remembers the password until it is restarted.",
            )
        return self._password + b"\x00"
