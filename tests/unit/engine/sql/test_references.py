"""What views and tables read and call, as the server prints it."""

import pytest

from app.engine.sql.references import merged_tables, used_by_view, with_databases


@pytest.mark.parametrize(
    "query",
    [
        "select straight_join `t`.`a` AS `a` from `u` `t`",
        "select distinct sql_no_cache straight_join `t`.`a` AS `a` from `u` `t`",
    ],
)
def test_an_order_of_joins_is_no_join(query):
    """What follows it is a column, and stays what it is when a database of its table's name goes elsewhere."""
    sql = f"CREATE VIEW `v` AS {query}"

    assert used_by_view(sql) == {("", "u")}
    assert with_databases(sql, {"t": "elsewhere"}) == sql


def test_a_join_in_a_fixed_order_reads_both_tables():
    """The same word between two tables."""
    sql = "CREATE VIEW `v` AS select `a`.`x` AS `x` from (`a` straight_join `d`.`b`)"

    assert used_by_view(sql) == {("", "a"), ("d", "b")}


def test_the_tables_below_one_of_merge_are_those_of_its_option():
    """And not those of a comment that reads alike."""
    made = "CREATE TABLE `m` (\n  `a` int COMMENT 'UNION=(`x`)'\n) ENGINE=MRG_MyISAM"

    assert merged_tables(f"{made} UNION=(`t``1`,`d`.`t2`) COMMENT='UNION=(`y`)'") == {
        ("", "t`1"),
        ("d", "t2"),
    }
    assert merged_tables(f"{made} COMMENT='UNION=(`y`)'") == set()
