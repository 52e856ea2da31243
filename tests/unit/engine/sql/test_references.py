"""What views read and call, as the server prints it."""

import pytest

from app.engine.sql.references import used_by_view, with_databases


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
