"""What tells one table from another, and one at rest from one that was written to."""

from dataclasses import replace

import pytest

from app.domain.restores.journal import TableMark
from app.engine.schema.marks import is_certain, is_one, is_same


MARK = TableMark("17", "2026-01-31 12:00:00", 1000)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"identity": "18"}, False),
        ({"identity": ""}, True),
        ({"identity": "created 2026-01-31 12:00:00"}, True),
        ({"created": "2026-01-31 12:00:01"}, False),
        ({"updated": 1001}, False),
        ({"updated": 0}, True),
    ],
    ids=str,
)
def test_a_table_is_the_same_until_something_shows_that_it_is_not(change, same):
    """What cannot be seen, or compared, or is not remembered, shows nothing."""
    assert is_same(MARK, replace(MARK, **change)) is same


def test_a_write_where_none_was_known_is_one():
    """InnoDB remembers none for a table that nobody wrote to."""
    assert not is_same(replace(MARK, updated=0), MARK)


def test_tables_of_one_second_have_one_date():
    """So a date alone is not certain, and an id is."""
    assert is_one("created now", "created now")
    assert not is_certain("created now")
    assert not is_certain("")
    assert is_certain("17,18")
