"""What is selected for the binary protocol, type by type."""

import pytest

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import flavor_of
from app.engine.native import Kind
from app.engine.rows.binary_columns import matched, selected
from app.engine.sql import literals


MARIADB = flavor_of("10.11.6-MariaDB")
MYSQL = flavor_of("9.7.0")


def column(column_type, charset=""):
    """Make a column of a type."""
    data_type = column_type.split("(")[0].split(" ")[0]
    return ColumnEntry("c", data_type, column_type, nullable=True, charset=charset)


@pytest.mark.parametrize(
    ("made", "expression", "wire", "kind"),
    [
        (column("int(11)"), "`c`", (3, False), Kind.INT32),
        (column("bigint(20) unsigned"), "`c`", (8, True), Kind.UINT64),
        (column("enum('a')", "utf8mb4"), "`c` + 0", (8, True), Kind.UINT64),
        (column("year(4)"), "`c`", (13, True), Kind.YEAR),
        (column("decimal(9,2)"), "`c`", (246, False), Kind.BARE),
        (column("double"), "`c`", (5, False), Kind.DOUBLE),
        (column("float unsigned"), "`c`", (4, True), Kind.FLOAT),
        (column("date"), "`c`", (10, False), Kind.DATE),
        (column("bit(3)"), "`c`", (16, True), Kind.BIT),
        (column("varchar(9)", "utf8mb4"), "`c`", (253, False), Kind.TEXT),
        (column("text", "latin1"), "`c`", (252, False), Kind.TEXT),
        (column("text", "utf8mb3"), "CAST(`c` AS BINARY)", (252, False), Kind.TEXT),
        (column("char(2)", "ascii"), "CAST(`c` AS BINARY)", (254, False), Kind.ASCII),
        (column("longblob"), "`c`", (252, False), Kind.BINARY),
    ],
)
def test_common_types_travel_as_they_are(made, expression, wire, kind):
    """And are made into text here."""
    found = selected(made, MARIADB)

    assert found.expression == expression
    assert matched([found], [wire]) == [(kind, 0)]


@pytest.mark.parametrize(
    "made",
    [
        column("int(4) unsigned zerofill"),
        column("decimal(9,2) unsigned zerofill"),
        column("double(7,3)"),
        column("float(7,3)"),
        column("year(2)"),
        column("text", "sjis"),
        column("uuid"),
        column("point"),
        column("vector(3)"),
    ],
    ids=lambda made: made.column_type,
)
def test_rare_types_travel_as_the_servers_literals(made):
    """No type is lost."""
    found = selected(made, MARIADB)

    assert found.expression == literals.row([literals.literal(made, MARIADB)])
    assert matched([found], [(253, False)]) == [(Kind.LITERAL, 0)]


@pytest.mark.parametrize(
    ("column_type", "decimals"), [("time", 0), ("datetime(3)", 3), ("timestamp(6)", 6)]
)
def test_times_keep_their_digits(column_type, decimals):
    """As many as the column has."""
    assert selected(column(column_type), MARIADB).decimals == decimals


@pytest.mark.parametrize("column_type", ["double", "float"])
def test_doubles_of_mysql_are_its_own_literals(column_type):
    """It changes to an exponent earlier than MariaDB, and a FLOAT in another place than a DOUBLE."""
    made = column(column_type)

    assert selected(made, MYSQL).expression == literals.row([literals.literal(made, MYSQL)])


def test_json_of_mysql_travels_as_text():
    """By the conversion that its literal asks for."""
    made = ColumnEntry("c", "json", "json", nullable=True)

    assert selected(made, MYSQL).expression == "CAST(`c` AS CHAR CHARACTER SET utf8mb4)"


def test_what_travels_otherwise_is_not_guessed():
    """Another type, or another number of columns: the server formats such a table."""
    found = selected(column("int(11)"), MARIADB)

    assert matched([found], [(253, False)]) is None
    assert matched([found], []) is None
