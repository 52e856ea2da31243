"""How the bytes of one connection travel, and what that means for who could read them."""

from dataclasses import dataclass
from typing import NamedTuple


class Exposure(NamedTuple):
    """
    What is wrong with a connection.

    Attributes:
        what: For people, after "the connection is ".
        remedy: What to set.
    """

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Channel:
    """
    One connection.

    Attributes:
        socket: A Unix socket.
        near: A Unix socket or a loopback address: nothing leaves this machine.
        version: Of TLS; empty when nothing is encrypted.
        verified: TLS to a server that has proven who it is.
    """

    socket: bool
    near: bool
    version: str = ""
    verified: bool = False

    @property
    def may_carry_passwords(self) -> bool:
        """Tell whether the password itself may be sent: nobody but the server can read it."""
        return self.socket or self.verified

    def __str__(self) -> str:
        """Describe it in a few words."""
        if self.version:
            return f"{self.version}, {'verified' if self.verified else 'not verified'}"
        return "Unix socket" if self.socket else "not encrypted"

    def exposure(self, variable: str) -> Exposure | None:
        """Say what is wrong with it, if anything; `variable` holds the address."""
        if self.near or self.verified:
            return None
        line = f"Add ssl_mode=VERIFY_IDENTITY&ssl_ca=FILE to {variable}"
        if self.version:
            what = "encrypted, but not verified: whoever stands between can be taken for the server"
            return Exposure(what, f"{line}; FILE holds the certificate of the server's authority.")
        what = "not encrypted: whoever is on the way can read and change what passes"
        return Exposure(what, f"{line}; set up TLS on the server first if it offers none.")
