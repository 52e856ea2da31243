"""What transactions did, read from logs of real servers."""

import pytest

from app.binlog.events.contents import Contents
from app.binlog.events.headers import Kind
from app.binlog.events.scan import Scan
from app.binlog.events.statements import query_text
from app.domain.restores.log_archive import LoggedRows
from tests.fixtures.binlog import VARIANTS, corpus, events_of


def contents(variant, number=0):
    """Read the transactions of a file."""
    scan, found, current = Scan(), [], Contents()
    for event in events_of(corpus(variant)[number]):
        group = scan.accept(event)
        assert scan.format
        current.accept(event[4], event[:-4] if scan.format.has_checksums else event)
        if group:
            found.append(current)
            current = Contents()
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_are_counted_by_table_and_kind(variant):
    """Columns of every width, NULLs, partial JSON, compressed events and compressed transactions."""
    changes = [found.tables for found in contents(variant)]

    assert changes[:6] == [
        (),
        (),
        (LoggedRows("d", "t", 2, 0, 0),),
        (LoggedRows("d", "t", 0, 2, 0),),
        (LoggedRows("d", "t", 0, 0, 1),),
        (LoggedRows("d", "t", 2, 0, 0),),
    ]
    assert changes[9] == (LoggedRows("d", "u", 5, 0, 0),)
    assert changes[12] == (LoggedRows("d", "t", 6, 0, 0),)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_statement_that_is_executed_again_is_told_from_rows(variant):
    """One INSERT of the corpus was logged as a statement."""
    assert [found.has_statement_dml for found in contents(variant)].count(True) == 1
    assert contents(variant)[10].has_statement_dml


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_account_is_shown_without_its_password(variant):
    """The log holds its hash, and nobody sees more than the verb."""
    statements = [found.statement for found in contents(variant)]

    assert statements[11] == "CREATE USER ..."
    assert statements[12] in {"", "INSERT INTO t(a,b) SELECT ?+a, REPEAT(?) FROM t"}


def test_a_definition_knows_its_database():
    """It stands in the log beside the text."""
    found = contents("mysql-9.7")[1]
    create = events_of(corpus("mysql-9.7")[0])[5]

    assert (found.database, found.statement[:14]) == ("d", "CREATE TABLE t")
    assert create[4] == Kind.QUERY
    assert query_text(create[:-4]).startswith(b"CREATE TABLE t (a INT PRIMARY KEY")
