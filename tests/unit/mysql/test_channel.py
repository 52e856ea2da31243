"""Who could read what passes on a connection, and who is told so."""

import logging

import pytest

from app.mysql.channel import Channel
from app.mysql.connection import Connector
from app.mysql.tls import read_tls
from app.services.doctor.service import encryption_check


CLEAR = Channel(socket=False, near=False)
UNVERIFIED = Channel(socket=False, near=False, version="TLSv1.3")
VERIFIED = Channel(socket=False, near=False, version="TLSv1.3", verified=True)
LOOPBACK = Channel(socket=False, near=True)
SOCKET = Channel(socket=True, near=True)


@pytest.mark.parametrize(
    ("channel", "what"), [(CLEAR, "not encrypted"), (UNVERIFIED, "not verified")]
)
def test_what_leaves_the_machine_unprotected_is_told(channel, what, caplog):
    """By the doctor, and once in the log; both name the line to set."""
    check = encryption_check(channel, was_remembered=False)
    connector = Connector(read_tls({}), "THE_VARIABLE")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            connector.observe(channel)

    assert check.state == "warn"
    assert what in check.detail
    assert "ssl_mode=VERIFY_IDENTITY&ssl_ca=FILE to BACKSTAY_DATABASE_URL" in check.remedy
    (record,) = caplog.records
    assert what in str(vars(record)["facts"])
    assert "ssl_mode=VERIFY_IDENTITY&ssl_ca=FILE to THE_VARIABLE" in str(vars(record)["facts"])


@pytest.mark.parametrize("channel", [VERIFIED, LOOPBACK, SOCKET])
def test_what_nobody_else_can_read_is_not(channel, caplog):
    """A socket, an address of this machine, or TLS to a server that has proven who it is."""
    Connector(read_tls({}), "THE_VARIABLE").observe(channel)

    assert encryption_check(channel, was_remembered=False).state == "ok"
    assert not caplog.records


def test_a_login_that_hangs_on_the_servers_memory_is_told():
    """It ends with the server's next restart, on this machine too; not where the password may go."""
    assert encryption_check(LOOPBACK, was_remembered=True).state == "warn"
    assert encryption_check(SOCKET, was_remembered=True).state == "ok"
    assert encryption_check(VERIFIED, was_remembered=True).state == "ok"
