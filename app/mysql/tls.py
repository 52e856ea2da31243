"""
What an address says of TLS: ssl_mode and its files, with the meanings that the vendors' clients give them.

Source: https://dev.mysql.com/doc/refman/9.4/en/connection-options.html#option_general_ssl-mode
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from app.mysql.refusals import NO_TLS, Refusal
from app.named_files import require_named


_FILES: Final = ("ssl_ca", "ssl_cert", "ssl_key")
OPTIONS: Final = frozenset({"ssl_mode", *_FILES})


class TlsMode(StrEnum):
    """How much is asked of a connection; each asks for more than the one before."""

    DISABLED = "DISABLED"
    PREFERRED = "PREFERRED"
    REQUIRED = "REQUIRED"
    VERIFY_CA = "VERIFY_CA"
    VERIFY_IDENTITY = "VERIFY_IDENTITY"


_VERIFYING: Final = frozenset({TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY})


@dataclass(frozen=True, slots=True)
class Tls:
    """
    What is asked of every connection to one server.

    Attributes:
        mode: How much.
        context: What connections are made with, one for all of them: it is 35 ms to read the
            certificates of the machine. None when there is to be no TLS.
    """

    mode: TlsMode
    context: ssl.SSLContext | None

    @property
    def verifies(self) -> bool:
        """Tell whether a connection with TLS is one to whom we trust."""
        return self.mode in _VERIFYING

    def context_for(self, *, offered: bool, local: bool) -> ssl.SSLContext | None:
        """
        Decide on TLS before anything about a user was sent.

        Args:
            offered: Whether the server can.
            local: The connection is a Unix socket.

        Returns:
            What to encrypt with; None for a connection in the clear.

        Raises:
            Refusal: It must be encrypted, and cannot be.
        """
        if self.mode is TlsMode.DISABLED or (self.mode is TlsMode.PREFERRED and local):
            return None
        if offered:
            return self.context
        if self.mode is TlsMode.PREFERRED:
            return None
        raise Refusal(
            NO_TLS,
            f"the server offers no TLS, and ssl_mode is {self.mode}",
            "Set up TLS on the server; if it has it, somebody stands between. Nothing was sent;"
            " ssl_mode=PREFERRED in {address} would allow a connection that others can read.",
        )


def read_tls(options: Mapping[str, str]) -> Tls:
    """
    Read the options of an address.

    Args:
        options: Those of `OPTIONS` that it has.

    Returns:
        What they ask for; PREFERRED when there are none.

    Raises:
        ValueError: A mode is unknown, or a file cannot be read; the text says which, and no more.
    """
    default = TlsMode.VERIFY_IDENTITY if "ssl_ca" in options else TlsMode.PREFERRED
    text = options.get("ssl_mode", default).upper()
    if text not in set(TlsMode):
        raise ValueError(f"ssl_mode {text!r} is unknown: {', '.join(TlsMode)}")
    mode = TlsMode(text)
    if "ssl_key" in options and "ssl_cert" not in options:
        raise ValueError("ssl_key without ssl_cert")
    if mode is TlsMode.DISABLED:
        return Tls(mode, None)
    if mode is TlsMode.VERIFY_CA and "ssl_ca" not in options:
        # Whoever has a certificate of any host, from any of the machine's authorities, would get the password.
        raise ValueError("ssl_mode VERIFY_CA needs ssl_ca, the authority that is trusted")
    named = [name for name in _FILES if name in options]
    for name in named:
        try:
            # OpenSSL would wait for whoever writes to a pipe, and read a device to no end.
            require_named(Path(options[name]))
        except OSError as exc:
            raise ValueError(f"TLS file {name}: {(exc.strerror or 'unreadable').lower()}") from exc
    try:
        return Tls(mode, _context(mode, options))
    except OSError as exc:  # SSLError is one
        files = ", ".join(named)
        raise ValueError(f"TLS files ({files}): {exc.strerror or 'unreadable'}") from exc


def _context(mode: TlsMode, options: Mapping[str, str]) -> ssl.SSLContext:
    if mode in _VERIFYING:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        context.check_hostname = mode is TlsMode.VERIFY_IDENTITY
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "ssl_ca" in options:  # not used, as by the clients; but a file that is missing is told
            context.load_verify_locations(options["ssl_ca"])
    if "ssl_cert" in options:
        # With a password, albeit a wrong one, OpenSSL does not ask for one at the terminal.
        context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"), password="")
    return context
