"""Functions and bounds of partitions are read as each server prints them."""

from app.engine.rows.partitions import has_negative, partition_functions


TABLE = "CREATE TABLE `t` (\n  `a (` int unsigned NOT NULL COMMENT 'PARTITION BY HASH (x)'\n) ENGINE=InnoDB"
MARIADB = (
    f"{TABLE}\n PARTITION BY RANGE (`a (` - 10)\nSUBPARTITION BY LINEAR HASH (`a (` - ascii(')'))\n"
    "(PARTITION `p0` VALUES LESS THAN (-5) COMMENT = 'VALUES IN (1)' ENGINE = InnoDB,\n"
    " PARTITION `p1` VALUES LESS THAN MAXVALUE ENGINE = InnoDB)"
)
MYSQL = (
    f"{TABLE}\n/*!50100 PARTITION BY LIST ((`a (` - 10))\n"
    "(PARTITION `-1` VALUES IN (0,1) ENGINE = InnoDB) */"
)


def test_functions_are_read_whole():
    """With brackets in names and texts, of partitions and of subpartitions, and of no comment."""
    assert partition_functions(MARIADB) == ["`a (` - 10", "`a (` - ascii(')')"]
    assert partition_functions(MYSQL) == ["(`a (` - 10)"]
    assert partition_functions(TABLE) == []


def test_a_bound_below_0_is_found():
    """In any partition; a name or a comment is no bound."""
    assert has_negative(MARIADB)
    assert not has_negative(MYSQL)
    assert has_negative(MYSQL.replace("(0,1)", "(1,-(2))"))
    assert not has_negative(TABLE)
