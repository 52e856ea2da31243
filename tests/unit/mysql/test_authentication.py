"""How a user logs in is chosen by a list of ours, and what is sent depends on who could read it."""

import hashlib

import pytest
from nacl.bindings import (
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_sign_open,
)

from app.mysql.authentication import Login
from app.mysql.channel import Channel
from app.mysql.refusals import Refusal
from tests.fixtures.fake_server import NONCE, OK, SALT, switch


PASSWORD = b"the-password"
CLEAR = Channel(socket=False, near=True)
UNVERIFIED = Channel(socket=False, near=False, version="TLSv1.3")
VERIFIED = Channel(socket=False, near=False, version="TLSv1.3", verified=True)
SOCKET = Channel(socket=True, near=True)
TELLING = [
    switch("mysql_clear_password"),
    switch("dialog", b"\x04Password: "),
    switch("sha256_password"),
]


def login(channel: Channel) -> Login:
    """Begin one."""
    begun = Login(PASSWORD, channel)
    begun.begin("caching_sha2_password", SALT)
    return begun


@pytest.mark.parametrize("plugin", ["mysql_native_password", "caching_sha2_password"])
def test_a_greeting_is_answered_in_its_own_way_when_that_is_a_proof(plugin):
    """With as many bytes as the proof has, and none when there is no password."""
    begun = Login(PASSWORD, CLEAR)

    assert len(begun.begin(plugin, SALT)) == {"m": 20, "c": 32}[plugin[0]]
    assert begun.plugin == plugin
    assert Login(b"", CLEAR).begin(plugin, SALT) == b""


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "sha256_password", "dialog", "", "x"])
def test_any_other_greeting_is_answered_with_a_proof(plugin):
    """The server then asks for what it really wants, and that is looked at."""
    begun = Login(PASSWORD, CLEAR)

    assert begun.begin(plugin, SALT) == Login(PASSWORD, CLEAR).begin("mysql_native_password", SALT)
    assert begun.plugin == "mysql_native_password"


@pytest.mark.parametrize("request_", TELLING)
@pytest.mark.parametrize("channel", [CLEAR, UNVERIFIED])
def test_the_password_is_told_to_nobody_who_has_not_proven_who_he_is(request_, channel):
    """Encrypted or not: encrypting for a stranger does not help."""
    with pytest.raises(Refusal, match="would send the password itself"):
        login(channel).answer(request_)


@pytest.mark.parametrize("request_", TELLING)
def test_the_password_is_told_over_verified_tls(request_):
    """It ends with a NUL."""
    assert login(VERIFIED).answer(request_) == PASSWORD + b"\0"


def test_full_authentication_needs_the_same():
    """`caching_sha2_password` tells the password when the server does not remember the user."""
    for channel in (CLEAR, UNVERIFIED):
        with pytest.raises(Refusal, match="needs the password itself once"):
            login(channel).answer(b"\x01\x04")
    for channel in (SOCKET, VERIFIED):
        assert login(channel).answer(b"\x01\x04") == PASSWORD + b"\0"


def test_a_server_that_remembers_needs_no_more():
    """And the login knows that the next one may need it."""
    remembered = login(CLEAR)

    assert remembered.answer(b"\x01\x03") is None
    assert remembered.answer(OK) is None
    assert remembered.over
    assert remembered.was_remembered


def test_every_switch_passes_the_same_gate():
    """However many there were before it."""
    switched = login(UNVERIFIED)
    for _ in range(3):
        assert len(switched.answer(switch("mysql_native_password")) or b"") == 20
    with pytest.raises(Refusal):
        switched.answer(switch("mysql_clear_password"))


@pytest.mark.parametrize("request_", [b"\xfe", switch("mysql_old_password"), switch("", b"x")])
def test_the_oldest_way_is_never_gone(request_):
    """Its proof is as good as the password to whoever hears two of them."""
    with pytest.raises(Refusal, match="mysql_old_password"):
        login(VERIFIED).answer(request_)


@pytest.mark.parametrize(
    "packet", [b"", b"\x01", b"\x01\x02", b"\x01\x05", b"\x02", b"\xfb/etc/passwd"]
)
def test_nonsense_is_refused(packet):
    """Over the best of channels as well."""
    with pytest.raises(Refusal, match="not MySQL's protocol"):
        login(VERIFIED).answer(packet)


def test_ed25519_signs_what_the_server_has_thrown():
    """With the key that MariaDB makes of a password, which is not the standard's."""
    signature = login(CLEAR).answer(switch("client_ed25519", NONCE)) or b""
    half = bytearray(hashlib.sha512(PASSWORD).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    scalar = crypto_core_ed25519_scalar_reduce(bytes(half) + b"\0" * 32)
    public = crypto_scalarmult_ed25519_base_noclamp(scalar)

    assert crypto_sign_open(signature + NONCE, public) == NONCE


def test_a_second_question_has_no_answer():
    """`dialog` may ask for one-time codes; nobody is there to type them."""
    asked = login(VERIFIED)
    asked.answer(switch("dialog", b"\x04Password: "))
    with pytest.raises(Refusal, match="more than a password"):
        asked.answer(b"\x02Code: ")
