"""Errors of the driver become ours, without a word of the rows they are about."""

import re
import ssl

import pymysql.err
import pytest

from app.engine.server.errors import TRUST_HINT, about, network_reason, translate
from app.errors import ConnectionLostError, PermissionDeniedError, StatementError


ROW = "jane.doe@example.org"
# What servers print of a row, or of a statement, in an error about it.
TALKATIVE = [
    (1062, f"Duplicate entry '{ROW}' for key 'email'"),
    (1366, f"Incorrect string value: '{ROW}' for column `d`.`t`.`c` at row 1"),
    (1264, f"Out of range value for column '{ROW}' at row 1"),
    (1406, f"Data too long for column '{ROW}' at row 1"),
    (1292, f"Truncated incorrect DOUBLE value: '{ROW}'"),
    (1064, f"You have an error in your SQL syntax near '{ROW}' at line 1"),
    (1526, f"Table has no partition for value {ROW}"),
    (4025, f"CONSTRAINT `{ROW}` failed"),
    (9999, f"{ROW}"),
]


@pytest.mark.parametrize(("number", "text"), TALKATIVE)
def test_an_error_of_a_redacted_statement_tells_no_row(number, text):
    """What the server says of a statement with rows in it is replaced by a meaning of ours."""
    error = translate(pymysql.err.DataError(number, text), redact=True)

    assert isinstance(error, StatementError)
    assert error.errno == number
    assert str(number) in str(error)
    assert ROW not in f"{error} {error!r} {error.hint} {error.args}"


def test_a_statement_without_rows_keeps_the_servers_words():
    """A statement about definitions keeps what the server says, because it helps."""
    error = translate(pymysql.err.ProgrammingError(1146, "Table 'd.t' doesn't exist"))

    assert str(error) == "error 1146: Table 'd.t' doesn't exist"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (1205, "SHOW PROCESSLIST"),
        (1213, "try again"),
        (1290, "taken back"),
        (1412, "try again when nobody does"),
        (1684, "try again when nobody does"),
        (1836, "taken back"),
        (3024, "let there be none"),
        (3572, "SHOW PROCESSLIST"),
    ],
)
@pytest.mark.parametrize("redact", [True, False])
def test_what_others_do_meanwhile_says_what_to_do(number, advice, redact):
    """A lock, a deadlock, a server made read-only, a changed table: each hint tells how to go on."""
    error = translate(pymysql.err.OperationalError(number, "in the way"), redact=redact)

    assert isinstance(error, StatementError)
    assert error.errno == number
    assert re.search(advice, error.hint)
    with pytest.raises(StatementError) as caught, about("shop.order"):
        raise error
    assert caught.value.hint == error.hint


@pytest.mark.parametrize("number", [0, 1053, 1317, 1927, 2006, 2013])
def test_a_lost_connection_may_be_tried_again(number):
    """Whatever number a lost connection comes with, it is one error, and can be tried again."""
    error = translate(pymysql.err.OperationalError(number, f"near '{ROW}'"), redact=True)

    assert isinstance(error, ConnectionLostError)
    assert error.retryable
    assert error.hint
    assert ROW not in str(error)


@pytest.mark.parametrize("exc", [OSError(ROW), EOFError(ROW), pymysql.err.InterfaceError(0, ROW)])
def test_a_broken_transport_is_a_lost_connection(exc):
    """An error below the driver is a lost connection, and its words are not passed on."""
    error = translate(exc)

    assert isinstance(error, ConnectionLostError)
    assert ROW not in str(error)


@pytest.mark.parametrize(
    ("number", "text", "grant"),
    [
        (
            1142,
            "SHOW VIEW command denied to user 'u'@'%' for table `d`.`v`",
            "GRANT SHOW VIEW ON `d`.`v` TO 'u'@'%';",
        ),
        (
            1142,
            "SELECT, LOCK TABLES command denied to user 'u'@'%' for table 't'",
            "GRANT SELECT, LOCK TABLES ON *.* TO 'u'@'%';",
        ),
        (
            1227,
            "Access denied; you need (at least one of) the RELOAD, SUPER privilege(s) for this operation",
            "GRANT RELOAD ON *.* TO the user of BACKSTAY_DATABASE_URL;",
        ),
        (
            1227,
            "Access denied; you need (at least one of) the SUPER or ALLOW_NONEXISTENT_DEFINER privilege(s)",
            "GRANT ALLOW_NONEXISTENT_DEFINER ON *.* TO the user of BACKSTAY_DATABASE_URL;",
        ),
        (1044, "Access denied for user 'u'@'%' to database 'd'", "'backstay doctor'"),
        (1419, "You do not have the SUPER privilege", TRUST_HINT),
    ],
)
def test_a_denied_statement_names_the_grant(number, text, grant):
    """A missing right comes with the statement that gives it."""
    error = translate(pymysql.err.OperationalError(number, text), redact=True)

    assert isinstance(error, PermissionDeniedError)
    assert grant in error.hint


def test_an_unsafe_function_names_the_setting():
    """A function that the binary log refuses comes with the exact SET GLOBAL."""
    error = translate(pymysql.err.OperationalError(1418, "This function has none of ..."))

    assert isinstance(error, StatementError)
    assert "SET GLOBAL log_bin_trust_function_creators = 1;" in error.hint


def test_the_deepest_cause_with_words_is_the_reason():
    """Who does not answer is told by the deepest cause that has words."""
    outer = pymysql.err.OperationalError(2003, "Can't connect to MySQL server on 'secret-host'")
    outer.__cause__ = ConnectionRefusedError(111, "Connection refused")
    untrusted = ssl.SSLCertVerificationError(1, "certificate verify failed")
    untrusted.verify_message = "self-signed certificate"

    assert network_reason(outer) == "no answer (Connection refused)"
    assert network_reason(TimeoutError()) == "no answer in time"
    assert "self-signed certificate" in network_reason(untrusted)
    assert "TLS" in network_reason(ssl.SSLError(1, "handshake failure"))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1036, "the table is read-only"),
        (1194, "marked as crashed"),
        (1814, "file was discarded"),
        (3999, "'perror 3999'"),
    ],
)
def test_an_error_that_may_hold_a_row_is_told_in_words_of_ours(number, said):
    """With what it was about, its number, and where to read more when we know no better."""
    with pytest.raises(StatementError) as caught, about("shop.orders"):
        raise translate(pymysql.err.OperationalError(number, f"'{ROW}'"), redact=True)

    assert str(caught.value).startswith(f"shop.orders: error {number}: ")
    assert said in str(caught.value)
    assert (caught.value.errno, ROW in str(caught.value)) == (number, False)
