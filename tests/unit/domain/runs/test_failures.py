"""Failures: what everybody may read of an error, and no path of the machine."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from app.domain.runs.failures import failure, without_paths
from app.domain.runs.run import Failure
from app.errors import AppError, BackupNotFoundError, ConnectionFailedError, StatementError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            BackupNotFoundError("backup_1", hint="Look into /srv/backups/shop first."),
            Failure(
                "backup-not-found",
                "Backup file not found",
                "no backup 'backup_1'",
                "Look into shop first.",
                retryable=False,
            ),
        ),
        (
            ConnectionFailedError("nobody answers at '/var/run/mysqld/mysqld.sock'"),
            Failure(
                "connection-failed",
                "Database connection failed",
                "nobody answers at 'mysqld.sock'",
                "",
                retryable=True,
            ),
        ),
        (
            StatementError("error 1064: near 'alice@example.org'", errno=1064, hint="Look."),
            Failure(
                "statement",
                "Statement failed",
                "the server refused a statement with error 1064",
                "Look.",
                retryable=False,
            ),
        ),
        (
            StatementError("error 1205: lock wait timeout exceeded", errno=1205),
            Failure(
                "statement",
                "Statement failed",
                "the server refused a statement with error 1205",
                "",
                retryable=True,
            ),
        ),
        (
            asyncio.CancelledError("by /usr/bin/somebody"),
            Failure(
                "cancelled",
                "Cancelled",
                "cancelled before it was done; nothing was left behind",
                "",
                retryable=False,
            ),
        ),
        (
            KeyError("alice@example.org"),
            Failure("internal", "Internal error", "KeyError", "Please report it.", retryable=False),
        ),
    ],
    ids=["ours", "with-a-path", "statement", "lock", "cancelled", "bug"],
)
def test_a_failure_is_told_in_words_that_everybody_may_read(error, told):
    """Our own words without directories; neither the server's nor those of a bug."""
    assert failure(error) == told


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/var/run/mysqld/mysqld.sock", "mysqld.sock"),
        ("(/var/run/mysqld/mysqld.sock)", "(mysqld.sock)"),
        ("no '/srv/backups/': missing", "no 'backups': missing"),
        ("file:///etc/passwd, //etc//hosts", "file:passwd, hosts"),
        ("/usr/bin:/bin and socket=/run/s", "bin:bin and socket=s"),
        ("x://h/db?unix_socket=/run/db.sock", "x://h/db?unix_socket=db.sock"),
        ("/data is not a directory", "data is not a directory"),
    ],
)
def test_a_path_is_cut_to_its_last_name(text, left):
    """Whatever stands around it."""
    assert without_paths(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "mysql://backup@db.example.org:3306/shop",
        "a/b, a//b, ./shop/users.ibd, ../x, ~/x",
        "31/01/2026 12:00, 2026-01-31T12:00:00Z, 5 kB/s, 3 / 4",
        "SELECT /* a comment */ `a`/`b`, f(x)/2",
        "GRANT SELECT ON `shop`.* TO 'a'@'%';",
        "",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    """URLs, relative paths, dates, rates and SQL are left as they are."""
    assert without_paths(text) == text


NAME = st.text(alphabet="abAB09._-@+()é ", min_size=1).map(lambda text: f"n{text}")
BEFORE = st.sampled_from(["", " ", ": ", "'", '"', "(", "=", ":", ",", "no such file "])


@given(
    st.lists(NAME, min_size=2, max_size=6),
    BEFORE,
    st.text(alphabet=st.characters(exclude_characters="/")),
)
def test_no_absolute_path_survives(names, before, after):
    """Of a path with two names or more, no beginning is left, whatever comes after it."""
    path = "/" + "/".join(names)
    left = without_paths(f"{before}{path}{after}")

    assert path not in left
    assert not left.startswith(f"{before}/")


@given(st.text(alphabet="/ab.:' ?=*)-~"))
def test_what_was_cut_needs_no_second_cut(text):
    """Cutting once is enough: no new path comes together from what is left."""
    assert without_paths(without_paths(text)) == without_paths(text)


@given(st.sampled_from(AppError.__subclasses__()), st.lists(NAME, min_size=2))
def test_no_failure_tells_a_path(kind, names):
    """Neither message nor hint of any error."""
    path = "/" + "/".join(names)
    error = kind(f"{path}: permission denied", hint=f"Give this user access to '{path}'.")
    told = failure(error)

    assert path not in told.message + told.hint
