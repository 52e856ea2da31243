"""
The addresses of the settings: where alerts and pings go, checked before anything is sent.

An address is a secret as a whole: its user, its path and its query may be tokens. What is shown of one is
its name, that is the scheme, and the host where the scheme surely has one.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from app.domain.alerts.alert import AlertKind
from app.errors import InvalidRequestError


_URL: Final = re.compile(r"(?:(?P<tags>[^=:/?#\s]*)=)?(?P<url>(?P<scheme>[A-Za-z0-9+.-]+)://\S+)")
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_HOST: Final = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
# Of these the authority is user, password and host; of others it may be a token, as of slack and even
# of rocket, whose webhooks stand where the host is looked for.
_WITH_HOST: Final = frozenset({
    *("mailto", "mailtos", "mmost", "mmosts", "http", "https"),
    *("workflows", "json", "jsons", "xml", "xmls", "form", "forms"),
})
# Whole names have to fit a column; no host that people would recognize is longer.
_LONGEST: Final = 200
_ALERTS: Final = "BACKSTAY_ALERT_URLS"
_PINGS: Final = "BACKSTAY_PING_URLS"
_HINT: Final = "See docs/alerts.md."


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where something goes.

    Attributes:
        name: What is shown of it; no two addresses of a setting have the same.
        url: All of it, a secret.
        tags: For which kinds of alerts, or which schedule; empty = for all.
    """

    name: str
    url: str = field(repr=False)
    tags: frozenset[str] = frozenset()


def parse_alert_urls(text: str, schemes: str) -> tuple[Address, ...]:
    """
    Read `BACKSTAY_ALERT_URLS`.

    Args:
        text: Addresses of apprise, separated by white space, each perhaps with `kind,kind=` before it.
        schemes: Those that are allowed, separated by commas.

    Returns:
        The addresses, in order.

    Raises:
        InvalidRequestError: One is no address, or of a scheme or for a kind that there is not.
    """
    allowed = {scheme.strip().lower() for scheme in schemes.split(",")} - {""}
    found = _parse(text, _ALERTS, allowed)
    kinds = {kind.value for kind in AlertKind}
    for number, address in enumerate(found, 1):
        if not address.tags <= kinds:
            raise InvalidRequestError(
                f"{_ALERTS}: address {number} is for a kind that there is not",
                hint=f"The kinds are {', '.join(sorted(kinds))}.",
            )
    return found


def parse_ping_urls(text: str) -> tuple[Address, ...]:
    """
    Read `BACKSTAY_PING_URLS`.

    Args:
        text: `URL` or `schedule=URL`, separated by white space.

    Returns:
        The addresses, in order.

    Raises:
        InvalidRequestError: One is no address of http or https.
    """
    return _parse(text, _PINGS, {"http", "https"})


def _parse(text: str, variable: str, schemes: set[str]) -> tuple[Address, ...]:
    names: list[str] = []
    parts: list[tuple[str, frozenset[str]]] = []
    for number, word in enumerate(text.split(), 1):
        match = _URL.fullmatch(word)
        if match is None:
            raise InvalidRequestError(f"{variable}: address {number} is no URL", hint=_HINT)
        scheme, url = match["scheme"].lower(), match["url"]
        if scheme not in schemes:
            raise InvalidRequestError(
                f"{variable}: the scheme {scheme!r} is not allowed",
                hint=f"Allowed are {', '.join(sorted(schemes))}.",
            )
        rest = url.partition("://")[2]
        if _authority(rest).count("@") > 1:
            raise InvalidRequestError(
                f"{variable}: address {number} has more than one @ before its host",
                hint="Write %40 for an @ in a user or a password, and %2F for a slash.",
            )
        names.append(_name(scheme, rest))
        tags = (match["tags"] or "").lower().split(",")
        parts.append((url, frozenset(tag for tag in tags if tag)))
    named = zip(_distinct(names), parts, strict=True)
    return tuple(Address(name, url, tags) for name, (url, tags) in named)


def _authority(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    return found[0] if found else ""


def _name(scheme: str, rest: str) -> str:
    """Return what may be shown: a slash in a password would make a part of it look like the host."""
    host = _HOST.fullmatch(_authority(rest).rpartition("@")[2])
    ambiguous = "@" in rest[len(_authority(rest)) :].partition("?")[0]
    if scheme not in _WITH_HOST or host is None or ambiguous or len(host["host"]) > _LONGEST:
        return f"{scheme}://..."
    return f"{scheme}://{host['host'].lower()}"


def _distinct(names: Iterable[str]) -> list[str]:
    """Number those that are equal, so that each delivery is of one address."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct
