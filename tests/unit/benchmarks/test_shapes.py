"""The data sets as they are described, before any server fills them."""

import pytest

from benchmarks.shapes import DATA_SETS
from benchmarks.wide import COLUMNS, wide_table


@pytest.mark.parametrize("name", DATA_SETS)
def test_rows_grow_with_the_size_and_names_are_unique(name):
    """Twice the megabytes are twice the rows, of more tables or of larger ones."""
    small, large = (DATA_SETS[name].tables(size) for size in (50, 100))

    grown = sum(table.rows for table in large) / sum(table.rows for table in small)

    assert grown == pytest.approx(2, rel=0.05)
    assert len({table.name for table in large}) == len(large)


def test_the_default_of_many_tables_is_ten_thousand():
    """Some are empty, as in applications."""
    many = DATA_SETS["tables"].tables(DATA_SETS["tables"].megabytes)

    assert len(many) == 10_000
    assert any(table.rows == 0 for table in many)


def test_the_wide_table_has_two_hundred_columns_of_which_half_may_be_null():
    """Every column has a value."""
    wide = wide_table(1)

    assert len(wide.columns.split(", ")) == COLUMNS
    assert wide.definition.count("NOT NULL") == COLUMNS // 2
