"""Passphrases: each letter counts, and no file may ask for too much work."""

import time

import pytest

from app.age import unpadded
from app.age.header import Stanza
from app.age.malformed import MalformedError
from app.age.passphrase import Passphrase
from app.age.x25519 import Identity


FILE_KEY = bytes(range(16))


@pytest.mark.parametrize("text", ["x", " x ", "über 😀", "\udcff", "x" * 1000])
def test_a_passphrase_opens_what_it_has_wrapped(text):
    """Letter for letter; bytes of a variable that are no text are themselves."""
    stanza = Passphrase(text, work_factor=2).wrap(FILE_KEY)

    assert Passphrase(text).unwrap(stanza) == FILE_KEY
    assert Passphrase(text + " ").unwrap(stanza) is None
    assert Identity.new().unwrap(stanza) is None
    assert Passphrase(text).unwrap(Identity.new().recipient.wrap(FILE_KEY)) is None


def test_a_passphrase_does_not_show_itself():
    """Not in a traceback with values either."""
    assert "hunter2" not in repr(Passphrase("hunter2"))


@pytest.mark.parametrize(
    "work", ["21", "22", "30", "63", "64", "99", "999999999999999", "9" * 5000]
)
def test_more_work_than_anybody_should_ask_for_is_refused_at_once(work):
    """Before a byte of memory is taken for it."""
    stanza = Passphrase("x", work_factor=1).wrap(FILE_KEY)
    begin = time.process_time()
    with pytest.raises(MalformedError, match="work factor above 20"):
        Passphrase("x").unwrap(Stanza((*stanza.arguments[:2], work), stanza.body))
    assert time.process_time() - begin < 1


def test_a_body_of_another_length_costs_no_work():
    """It is looked at before the passphrase is tried."""
    arguments = ("scrypt", unpadded.encode(bytes(16)), "20")
    begin = time.process_time()
    with pytest.raises(MalformedError, match="wrong length"):
        Passphrase("x").unwrap(Stanza(arguments, bytes(31)))
    assert time.process_time() - begin < 1
