"""Counting rows by reading every literal."""

import pytest
from hypothesis import given, strategies as st

from app.archive.file.rows import count_rows
from app.errors import ChecksumMismatchError


def quoted(text: str) -> bytes:
    """Quote as the server's QUOTE() does, with line ends escaped half the time."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return b"'" + escaped.replace("\x1a", "\\Z").encode() + b"'"


LITERALS = st.one_of(
    st.integers().map(lambda value: str(value).encode()),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: repr(value).encode()),
    st.just(b"NULL"),
    st.binary(max_size=20).map(lambda value: b"X'" + value.hex().upper().encode() + b"'"),
    st.binary(max_size=20).map(lambda value: b"_binary X'" + value.hex().encode() + b"'"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(quoted),
    st.text("(),;\n'\\`-- ", max_size=30).map(quoted),
    st.text("a'", max_size=8).map(lambda text: b"'" + text.replace("'", "''").encode() + b"'"),
    st.sampled_from([b"@backstay_1", b"CONVERT(@backstay_2 USING utf8mb4)", b"b'0101'"]),
)
ROWS = st.lists(
    st.lists(LITERALS, max_size=5).map(lambda row: b"(" + b",".join(row) + b")"),
    min_size=1,
    max_size=8,
)
HEADS = st.sampled_from([
    b"INSERT INTO `t` (`a`,`b`) VALUES\n",
    b"INSERT INTO `d`.`t` (`a``b`) VALUES\n",
    b"INSERT INTO `t` () VALUES ",
    b"INSERT INTO `VALUES\n(1)` VALUES\n",
])


@given(head=HEADS, rows=ROWS, separator=st.sampled_from([b",\n", b","]))
def test_every_row_is_counted(head, rows, separator):
    """Quotes, brackets, semicolons and line breaks inside literals count for nothing."""
    assert count_rows(head + separator.join(rows) + b";\n", source="x") == len(rows)


@given(rows=ROWS, data=st.data())
def test_a_cut_statement_is_noticed(rows, data):
    """Whatever is missing at the end."""
    sql = b"INSERT INTO `t` VALUES\n" + b",\n".join(rows) + b";\n"
    size = data.draw(st.integers(0, len(sql) - 1))

    with pytest.raises(ChecksumMismatchError):
        count_rows(sql[:size], source="x")


@pytest.mark.parametrize(
    "sql",
    [
        b"",
        b"INSERT INTO `t` VALUES\n;\n",
        b"INSERT INTO `t` VALUES\n(1),\n;\n",
        b"INSERT INTO `t` VALUES\n(1)\n(2);\n",
        b"INSERT INTO `t` VALUES\n(1);\n(2);\n",
        b"INSERT INTO `t` VALUES\n(1,);\n",
        b"INSERT INTO `t` VALUES\n(,1);\n",
        b"INSERT INTO `t` VALUES\n(1,x);\n",
        b"INSERT INTO `t` VALUES\n(1e);\n",
        b"INSERT INTO `t` VALUES\n(1e+);\n",
        b"INSERT INTO `t` VALUES\n(_latin1);\n",
        b"INSERT INTO `t` (`a`,) VALUES\n(1);\n",
        b"INSERT INTO `t` (`a`, VALUES\n(1);\n",
        b"INSERT INTO `t` VALUES\n(SLEEP(1));\n",
        b"INSERT INTO `t` VALUES\n((SELECT 1));\n",
        b"INSERT INTO `t` VALUES\n('a'b');\n",
        b"INSERT INTO `t` VALUES\n(X'0');\n",
        b"INSERT INTO `t` VALUES\n(1)x;\n",
        b"INSERT INTO `t` VALUES\n(1);\nDROP TABLE t;\n",
        b"INSERT INTO `t` VALUES\n(1);\n ",
        b"INSERT INTO `t` SELECT 1;\n",
        b"DELETE FROM `t`;\n",
    ],
)
def test_a_statement_that_the_dump_never_writes_is_refused(sql):
    """What the dump never writes is damage, however plausible."""
    with pytest.raises(ChecksumMismatchError):
        count_rows(sql, source="x")


def test_damage_costs_no_more_than_a_glance():
    """A long statement that is wrong at its end is refused without retrying every position."""
    sql = b"INSERT INTO `t` VALUES\n" + b"(1,'" + b"a\\'" * 200_000 + b"',2),\n" * 2 + b"(1;\n"

    with pytest.raises(ChecksumMismatchError):
        count_rows(sql, source="x")
