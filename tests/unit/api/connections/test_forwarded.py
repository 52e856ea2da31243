"""What proxies say: who is believed, and what becomes the address of a client."""

import pytest

from app.api.connections.door import Proxies
from app.api.connections.forwarded import Forwarded, client_of


PROXY = "10.0.0.5"
PROXIES = "10.0.0.5, 10.1.2.3/16, ::1"


@pytest.mark.parametrize(
    ("claimed", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("192.0.2.1, 198.51.100.7", "198.51.100.7"),
        ("192.0.2.1, 198.51.100.7,10.1.9.9 , ::1", "198.51.100.7"),
        ("10.1.0.1, 10.1.0.2", "10.1.0.1"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:DB8:0::7]", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%<script>", "fe80::1"),
        ("", PROXY),
        (", ,", PROXY),
        ("unknown", PROXY),
        ("unix:", PROXY),
        ("198.51.100.7, unknown, 10.1.0.2", "10.1.0.2"),
        ("198.51.100.7, <b>text</b>", PROXY),
        ("198.51.100.07", PROXY),
        ("9" * 30_000, PROXY),
        ("[::1", "::1"),
        ("\xe9\xff\x00", PROXY),
    ],
)
def test_only_an_address_becomes_one(claimed, client):
    """In one spelling; before text that is none, whoever said it is the client."""
    assert client_of(PROXY, claimed, Proxies(PROXIES)) == client


def test_of_everybody_the_farthest_is_believed():
    """Where nobody is told from a proxy."""
    assert client_of(PROXY, "192.0.2.1, 198.51.100.7", Proxies("*")) == "192.0.2.1"
    assert client_of(PROXY, "text, 198.51.100.7", Proxies(f"{PROXY}, *")) == "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "client", "scheme"),
    [
        (PROXY, "198.51.100.7", "https"),
        ("10.1.200.1", "198.51.100.7", "https"),
        (f"::ffff:{PROXY}", "198.51.100.7", "https"),
        ("10.2.0.1", "10.2.0.1", "http"),
    ],
)
async def test_only_proxies_are_believed(peer, client, scheme):
    """By one reading of the setting, with that of the door; the nearest has the last word."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    headers = [
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-proto", b"https"),
    ]
    scope = {"type": "http", "client": (peer, 4711), "scheme": "http", "headers": headers}
    await Forwarded(app, Proxies(PROXIES))(scope, None, None)  # type: ignore[arg-type]  # nobody listens

    assert (seen[0]["client"][0], seen[0]["scheme"]) == (client, scheme)


async def test_other_schemes_are_none_and_what_is_no_request_passes():
    """Also what has no client."""
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope)

    headers = [(b"x-forwarded-proto", b"javascript")]
    for scope in (
        {"type": "http", "client": (PROXY, 1), "scheme": "http", "headers": headers},
        {"type": "http", "client": None, "scheme": "http", "headers": headers},
        {"type": "lifespan"},
    ):
        await Forwarded(app, Proxies(PROXIES))(dict(scope), None, None)  # type: ignore[arg-type]  # nobody listens

    assert [scope.get("scheme") for scope in seen] == ["http", "http", None]
    assert seen[0]["client"][0] == PROXY
