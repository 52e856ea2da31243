"""Which definitions prove what was planned for a table."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.backups.manifest import ColumnEntry, TableEntry
from app.engine.sql.plain_tables import proves


DEFINITION = """CREATE TABLE `shop``s` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `na``me, x` varchar(80) DEFAULT 'NOT NULL),(',
  `code` char(2) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL,
  `kind` enum('a','b)') COLLATE utf8mb4_bin NOT NULL DEFAULT 'a' COMMENT 'it''s',
  `seen` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`code`,`id`),
  KEY `k` (`kind`)
) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='a PARTITION'"""

TABLE = TableEntry(
    name="shop`s",
    sequence=False,
    engine="InnoDB",
    columns=(
        ColumnEntry("id", "int", "int(11)", nullable=False),
        ColumnEntry("na`me, x", "varchar", "varchar(80)", True, "utf8mb4", "utf8mb4_general_ci"),
        ColumnEntry("code", "char", "char(2)", False, "latin1", "latin1_bin"),
        ColumnEntry("kind", "enum", "enum('a','b)')", False, "utf8mb4", "utf8mb4_bin"),
        ColumnEntry("seen", "timestamp", "timestamp", nullable=True),
    ),
    index="PRIMARY",
    key=("id",),
    ordered=False,
    history=False,
    partial="",
    rows=0,
    raw_size=0,
    max_packet=0,
    definition_sha256="",
)


def column(number: int, **changes: Any) -> TableEntry:
    """Change one column of the plan."""
    columns = list(TABLE.columns)
    columns[number] = replace(columns[number], **changes)
    return replace(TABLE, columns=tuple(columns))


@pytest.mark.parametrize(
    "entry",
    [TABLE, replace(TABLE, index="u", key=("code", "id"))],
    ids=["primary", "unique"],
)
def test_a_plain_definition_proves_its_plan(entry):
    """Columns, types, character sets and the index are all in the text."""
    assert proves(DEFINITION, entry)


def test_a_definition_without_unique_keys_proves_that_none_is_followed():
    """One that is unique and cannot be followed leaves it to the server."""
    plan = replace(TABLE, index="", key=())
    unique = DEFINITION.replace("  PRIMARY KEY (`id`),\n", "")

    assert proves(unique.replace("  UNIQUE KEY `u` (`code`,`id`),\n", ""), plan)
    assert not proves(unique, plan)


@pytest.mark.parametrize(
    "entry",
    [
        column(0, name="i"),
        column(0, column_type="int(1)"),
        column(0, column_type="int(11) unsigned"),
        column(0, nullable=True),
        column(1, nullable=False),
        column(1, charset="latin1", collation="latin1_swedish_ci"),
        column(1, collation="utf8mb4_bin"),
        column(2, charset="utf8mb4"),
        column(2, collation="latin1_swedish_ci"),
        column(3, collation="utf8mb4_general_ci"),
        column(4, generated=True),
        replace(TABLE, columns=TABLE.columns[:-1]),
        replace(TABLE, columns=(TABLE.columns[1], TABLE.columns[0], *TABLE.columns[2:])),
        replace(TABLE, engine="Aria"),
        replace(TABLE, key=("code",)),
        replace(TABLE, index="u", key=("code",)),
        replace(TABLE, index="", key=()),
        replace(TABLE, ordered=True),
        replace(TABLE, history=True),
    ],
)
def test_another_plan_is_not_proven(entry):
    """Any difference that changes how rows are read or written leaves it to the server."""
    assert not proves(DEFINITION, entry)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`id` int(11) NOT", "`id` int(11) GENERATED ALWAYS AS (1) STORED NOT"),
        ("`seen` timestamp NULL", "`seen` timestamp INVISIBLE NULL"),
        ("`seen` timestamp NULL", "`seen` timestamp(6) NULL"),
        ("  KEY `k`", "  `new` int(11) DEFAULT NULL,\n  KEY `k`"),
        ("PRIMARY KEY (`id`)", "PRIMARY KEY (`id`,`code`)"),
        (" COLLATE=utf8mb4_general_ci", ""),
        (" COMMENT='a PARTITION'", " WITH SYSTEM VERSIONING"),
        (" COMMENT='a PARTITION'", "\n PARTITION BY HASH (`id`)\nPARTITIONS 2"),
    ],
)
def test_another_definition_proves_nothing(old, new):
    """What is printed beyond a plain table, or differs, leaves it to the server."""
    assert old in DEFINITION
    assert not proves(DEFINITION.replace(old, new), TABLE)
