"""
What this program will not do on a connection, as an error of the driver.

It is one because it passes through SQLAlchemy and the driver; `app.engine` and `app.control` make
errors of this program of it, as of all errors of the driver.
"""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import pymysql.err
from pymysql.protocol import MysqlPacket


# Numbers that the clients of the vendors use for the same:
# https://dev.mysql.com/doc/mysql-errors/9.4/en/client-error-reference.html
NO_TLS: Final = 2026
MALFORMED: Final = 2027
NO_PLUGIN: Final = 2059
TOO_LARGE: Final = 2020
NO_FILES: Final = 2068
# The largest max_allowed_packet is 1 GiB; with the headers of its parts. Source:
# https://dev.mysql.com/doc/refman/9.4/en/server-system-variables.html#sysvar_max_allowed_packet
MOST_BYTES: Final = (1 << 30) + (1 << 20)
# What pymysql and aiomysql raise when they read what no server sends.
_NONSENSE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
)
# Controls, and what turns the direction of writing: they could clear a terminal, or forge its lines.
_UNPRINTABLE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_LONGEST_NAME: Final = 64


class Refusal(pymysql.err.OperationalError):
    """
    A connection was given up by this side.

    Attributes:
        reason: Why, in a form that may be printed.
    """

    def __init__(self, number: int, reason: str, hint: str) -> None:
        super().__init__(number, reason)
        self.reason = reason
        self._hint = hint

    def hint(self, variable: str) -> str:
        """Say what to do; `variable` holds the address."""
        return self._hint.replace("{address}", variable)


def malformed(what: str = "what it sends is not MySQL's protocol") -> Refusal:
    """Return the refusal of an answer that no server gives."""
    return Refusal(MALFORMED, what, "Check host and port in {address}: is that the server?")


def too_large() -> Refusal:
    """Return the refusal of an answer that no memory would be enough for."""
    return Refusal(
        TOO_LARGE,
        "the server sends a packet that is larger than any may be",
        "Check host and port in {address}: is that the server?",
    )


def file_refused() -> Refusal:
    """Return the refusal of a file that nobody here has offered."""
    return Refusal(
        NO_FILES,
        "the server asked for a file of this machine",
        "Nothing was sent. No server does that unasked: check who answers at {address}.",
    )


@contextmanager
def understood() -> Iterator[None]:
    """Refuse what the driver stumbles over while it reads an answer."""
    try:
        yield
    except OSError:  # errors of TLS are ValueErrors as well
        raise
    except _NONSENSE as exc:
        raise malformed() from exc


def printable(text: str) -> str:
    """Escape what a terminal or a log could take for something else than text."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def raise_error(packet: bytes) -> NoReturn:
    """Raise the driver's error for a packet that is one, its words printable."""
    with understood():
        try:
            MysqlPacket(packet, "utf8").raise_for_error()
        except pymysql.err.Error as exc:
            raise make_printable(exc) from None
    raise malformed()


def make_printable(error: pymysql.err.Error) -> pymysql.err.Error:
    """Escape the words of a server in an error of the driver, and return it."""
    error.args = tuple(printable(arg) if isinstance(arg, str) else arg for arg in error.args)
    return error


def shown_name(name: bytes) -> str:
    """Write a name that a server sent in such a way that it can be printed."""
    return printable(name[:_LONGEST_NAME].decode("utf-8", "backslashreplace"))
