"""Partitions of one table get the names of those of another."""

import pytest

from app.engine.swap.partitions import partitioned_alike


TABLE = "CREATE TABLE `t` (\n  `i` int COMMENT 'PARTITION BY x'\n) ENGINE=InnoDB COMMENT='PARTITION p9'{}"
ALIKE = {
    "": "",
    "\n PARTITION BY KEY ()\nPARTITIONS 2": (
        "PARTITION BY LIST (`n`) (PARTITION `p0` VALUES IN (0), PARTITION `p1` VALUES IN (1))"
    ),
    " PARTITION BY SYSTEM_TIME INTERVAL 1 MONTH STARTS TIMESTAMP'2026-11-30 00:00:00' AUTO\nPARTITIONS 3": (
        "PARTITION BY LIST (`n`)"
        " (PARTITION `p0` VALUES IN (0), PARTITION `p1` VALUES IN (1), PARTITION `pn` VALUES IN (2))"
    ),
    (
        "\n/*!50100 PARTITION BY RANGE (`i`)\nSUBPARTITION BY HASH (`i`)\nSUBPARTITIONS 2\n"
        "(PARTITION p0 VALUES LESS THAN (5) COMMENT = 'SUBPARTITION z' ENGINE = InnoDB,\n"
        " PARTITION `a b` VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */"
    ): (
        "PARTITION BY LIST (`n`) SUBPARTITION BY HASH (`n`) SUBPARTITIONS 2"
        " (PARTITION `p0` VALUES IN (0), PARTITION `a b` VALUES IN (1))"
    ),
    (
        " PARTITION BY RANGE (`i`)\nSUBPARTITION BY HASH (`i`)\n(PARTITION `p0` VALUES LESS THAN (5)\n"
        " (SUBPARTITION `s0` ENGINE = InnoDB,\n  SUBPARTITION `s``1` ENGINE = InnoDB))"
    ): (
        "PARTITION BY LIST (`n`) SUBPARTITION BY HASH (`n`)"
        " (PARTITION `p0` VALUES IN (0) (SUBPARTITION `s0`, SUBPARTITION `s``1`))"
    ),
}


@pytest.mark.parametrize("tail", ALIKE)
def test_the_names_are_the_same(tail):
    """As either vendor prints them, listed or counted."""
    assert partitioned_alike(TABLE.format(tail), "n") == ALIKE[tail]
