"""Row SQL: which expression reads a column, and how replies become statements."""

import pytest
from hypothesis import given, strategies as st

from app.domain.backups.manifest import ColumnEntry
from app.engine.flavor import flavor_of
from app.engine.sql import literals
from app.errors import UnsupportedObjectError


MARIADB = flavor_of("10.11.6-MariaDB")
MYSQL = flavor_of("8.0.36")


def column(kind, *, name="c", nullable=False, charset="", full=""):
    """Make a column."""
    return ColumnEntry(name, kind, full or kind, nullable, charset)


@pytest.mark.parametrize(
    ("kind", "charset", "expression"),
    [
        ("bigint", "", "`c`"),
        ("year", "", "`c`"),
        ("decimal", "", "`c`"),
        ("enum", "utf8mb4", "`c` + 0"),
        ("set", "utf8mb4", "`c` + 0"),
        ("bit", "", "`c` + 0"),
        ("longblob", "", "CONCAT('X''', HEX(`c`), '''')"),
        ("geometry", "", "CONCAT('X''', HEX(`c`), '''')"),
        ("datetime", "", "QUOTE(`c`)"),
        ("double", "", "QUOTE(`c`)"),
        ("inet6", "", "QUOTE(CAST(`c` AS CHAR))"),
        ("json", "", "QUOTE(CAST(`c` AS CHAR CHARACTER SET utf8mb4))"),
        ("varchar", "utf8mb4", "QUOTE(CAST(`c` AS BINARY))"),
        ("text", "latin1", "QUOTE(CAST(CONVERT(`c` USING utf8mb4) AS BINARY))"),
        ("text", "sjis", "CONCAT('_sjis X''', HEX(`c`), '''')"),
    ],
)
def test_each_type_is_read_by_its_own_expression(kind, charset, expression):
    """Each type has its own way to text and back without loss."""
    assert literals.literal(column(kind, charset=charset), MARIADB) == expression


@pytest.mark.parametrize(
    "kind", ["int", "blob", "enum", "date", "varchar", "uuid", "float", "point"]
)
def test_every_literal_of_a_nullable_column_has_a_word_for_null(kind):
    """NULL is the word NULL: by IFNULL, or because QUOTE says so."""
    text = literals.literal(column(kind, nullable=True, charset="utf8mb4"), MARIADB)

    assert text.startswith("IFNULL(") or "QUOTE(" in text


def test_floats_are_read_exactly():
    """A FLOAT is read as DOUBLE, in the vendor's way, keeps the sign of zero and its own digits."""
    assert "CAST(`c` AS DOUBLE)" in literals.literal(column("float"), MARIADB)
    assert "`c` * 1e0" in literals.literal(column("float"), MYSQL)
    assert "ATAN2(`c`, -1) < 0" in literals.literal(column("float"), MARIADB)
    assert "999999.999e0" in literals.literal(column("float", full="float(9,3)"), MARIADB)


def test_an_unknown_type_is_refused():
    """Nobody guesses how to read what he does not know."""
    with pytest.raises(UnsupportedObjectError, match="xmltype"):
        literals.literal(column("xmltype"), MARIADB)


@pytest.mark.parametrize(
    ("kind", "nullable", "can"),
    [
        ("int", False, True),
        ("int", True, False),
        ("varchar", False, True),
        ("uuid", False, True),
        ("enum", False, False),
        ("set", False, False),
        ("bit", False, False),
        ("float", False, False),
        ("double", False, False),
        ("text", False, False),
        ("blob", False, False),
    ],
)
def test_only_types_with_an_exact_order_bound_a_range(kind, nullable, can):
    """Only types whose order and equality survive a literal are bounds, and never with NULLs."""
    assert literals.can_bound(column(kind, nullable=nullable)) is can


def test_names_are_quoted_everywhere():
    """A column's name never becomes SQL."""
    odd = column("varchar", name="a`b'; --", charset="sjis", nullable=True)
    for text in (
        literals.literal(odd, MARIADB),
        literals.key_literal(odd, MARIADB),
        *literals.hex_rows([odd], MARIADB),
        *literals.stream_rows([odd], MARIADB, as_hex=False),
    ):
        assert "`a``b'; --`" in text
    assert literals.insert_head("t`", [odd]) == b"INSERT INTO `t``` (`a``b'; --`) VALUES\n("


@pytest.mark.parametrize("kind", ["blob", "longtext", "varchar", "json", "geometry"])
def test_rows_of_a_stream_are_null_rather_than_wrong(kind):
    """A value that HEX or CONVERT might lose makes the whole row NULL, because nobody sees warnings."""
    (text,) = literals.stream_rows([column(kind, charset="utf8mb4")], MARIADB, as_hex=False)

    assert text.startswith("IF(OCTET_LENGTH(`c`) * 3 > @@max_allowed_packet, NULL, ")


def test_a_row_without_columns_is_an_empty_text():
    """A table of generated columns only has rows, of nothing."""
    assert literals.row([]) == "CAST('' AS BINARY)"


@given(
    st.lists(
        st.binary(max_size=20).map(lambda b: b.replace(b"\x1a", b"").replace(b"\r", b"")),
        min_size=1,
    )
)
def test_rows_become_one_statement(rows):
    """A statement is its head, the rows as they came, and its end."""
    statement = literals.insert(
        b"INSERT INTO `t` (`a`) VALUES\n(",
        literals.joined(literals.SEPARATOR.join(rows), len(rows)) or b"",
    )

    assert statement == b"INSERT INTO `t` (`a`) VALUES\n(" + b"),\n(".join(rows) + b");\n"


def test_carriage_returns_are_escaped():
    """The mysql client rewrites CR LF, so no CR stands in the file."""
    assert literals.insert(b"(", b"'a\r\nb'") == b"('a\\r\nb');\n"


@pytest.mark.parametrize("number", ["1.10", "-0.50", "12345678901234567", "0.0000001", "1.00"])
@pytest.mark.parametrize("around", ["'{}'", "'{{\"p\": {}}}'", "'[1, {}]'", "'[{}, \"x\"]'"])
def test_numbers_that_may_be_others_once_they_were_read_again_are_seen(number, around):
    """Wherever they stand in MySQL's text form of JSON."""
    assert literals.may_differ_parsed(f"1,{around.format(number)},2".encode())


@pytest.mark.parametrize(
    "row",
    [
        "1,'{\"p\": 1.5}',1.10",
        "'[1.0, -0.0, 1e300]'",
        "1.10,'[]','2020-01-01 10:00:00.500'",
        "'[7]'",
    ],
)
def test_other_rows_are_read_once(row):
    """Doubles, and exact numbers outside of JSON."""
    assert not literals.may_lose_types(row.encode())


@pytest.mark.parametrize(
    "text",
    ['"2020-01-01"', '"-10:00:00.500000"', '"base64:type15:/w=="', '"2020-01-01 10:00:00.000000"'],
)
def test_strings_that_may_be_dates_times_or_bytes_are_seen(text):
    """As MySQL prints such values inside of JSON."""
    assert literals.may_lose_types(f"1,'{{{text}: 1}}'".encode())


def test_json_is_read_as_it_will_be_only_where_it_is_no_text():
    """MariaDB keeps the text itself."""
    json = column("json")
    assert literals.literal(json, MARIADB, parsed=True) == literals.literal(json, MARIADB)
    assert "AS JSON" in literals.literal(json, MYSQL, parsed=True)
    assert literals.has_parsed([json], MYSQL)
    assert not literals.has_parsed([json], MARIADB)
