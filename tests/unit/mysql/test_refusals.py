"""What a server says is printed as text, and is never more than that."""

import pymysql.err
import pytest

from app.mysql.refusals import Refusal, printable, raise_error, understood


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ü 日本 \U0001f600", "plain, ü 日本 \U0001f600"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_controls_are_escaped(text, shown):
    """What is text in any alphabet stays as it is."""
    assert printable(text) == shown


@pytest.mark.parametrize("packet", [b"\xff", b"\xff\x01", b"\xff\x15\x04#\xff\xff\xff\xff\xff"])
def test_broken_errors_are_refused(packet):
    """They end in an error of the driver, whatever is missing in them."""
    with pytest.raises(pymysql.err.Error):
        raise_error(packet)


def test_failures_of_the_system_are_no_nonsense():
    """An error of TLS is a ValueError too, and stays what it is."""
    with pytest.raises(ConnectionResetError), understood():
        raise ConnectionResetError
    with pytest.raises(Refusal), understood():
        raise ValueError
