"""Which rows LOAD DATA may read, and as what."""

import pytest

from app.domain.backups.manifest import ColumnEntry
from app.engine.sql import literals
from app.engine.sql.load_data import bulk_pieces, bulk_statement, is_bulk


def column(data_type: str, column_type: str = "", charset: str = "") -> ColumnEntry:
    """Make a nullable column."""
    return ColumnEntry("c", data_type, column_type or data_type, nullable=True, charset=charset)


@pytest.mark.parametrize(
    "refused",
    [
        column("enum", "enum('a','7')"),
        column("set", "set(' 12 ','b')"),
        column("varchar", charset="sjis"),
        column("text", charset="ucs2"),
    ],
    ids=lambda case: case.column_type,
)
def test_ambiguous_columns_are_inserted(refused):
    """A label that is a number, and a text kept in another character set, need an INSERT."""
    assert bulk_statement("t", [column("int"), refused]) == ""


@pytest.mark.parametrize(
    "plain",
    [column("int"), column("varchar", charset="utf8mb4"), column("enum", "enum('a','b')")],
    ids=lambda case: case.column_type,
)
def test_plain_columns_are_read_as_they_are(plain):
    """A literal that LOAD DATA reads like an INSERT goes straight into its column."""
    statement = bulk_statement("t", [plain])

    assert statement.endswith("(`c`)")
    assert ") SET " not in statement


def test_bytes_are_unhexed():
    """A hex literal arrives as text and becomes bytes again."""
    assert " SET `c` = UNHEX(" in bulk_statement("t", [column("blob")])


def test_texts_in_hex_are_noticed():
    """An introduced literal would be stored as its own text; a quoted look-alike is none."""
    assert not is_bulk(b"INSERT INTO `t` (`c`) VALUES\n(_ascii X'E9');\n")
    assert is_bulk(b"INSERT INTO `t` (`c`) VALUES\n('_ascii X\\'E9\\'');\n")


def test_the_pieces_are_the_rows():
    """Together the pieces are the rows between VALUES and the semicolon, each line ended."""
    head = literals.insert_head("t", [column("int")])
    statement = literals.insert(head, b"1),\n(" * 400_000 + b"2")

    pieces = list(bulk_pieces(statement, head))

    assert b"".join(pieces) == b"(1),\n" * 400_000 + b"(2),\n"
    assert max(map(len, pieces)) < 16 << 20
