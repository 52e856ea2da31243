"""One column of a CREATE TABLE: its texts are found and replaced, and nothing beside them."""

from app.engine.sql.columns import ColumnTexts, column_texts, with_default, with_labels


TABLE = (
    "CREATE TABLE `t` (\n"
    "  `c` int(11) NOT NULL COMMENT 'DEFAULT ''x'', (',\n"
    "  `e` enum('a','it''s',')') NOT NULL DEFAULT 'a' COMMENT 'enum(''a'')',\n"
    "  KEY `c` (`c`)\n) ENGINE=InnoDB"
)


def test_column_texts_are_found_and_replaced():
    """Labels and defaults of one column are found whatever they hold, and replaced in place."""
    assert column_texts(TABLE, "e") == ColumnTexts(("a", "it''s", ")"), "a")
    assert column_texts(TABLE, "c") == ColumnTexts()
    assert column_texts(TABLE, "none") == ColumnTexts()

    changed = with_labels(TABLE, "e", ["x", "it's", "\\\n"])
    assert "enum('x','it''s','\\\\\\n') NOT NULL DEFAULT 'a'" in changed
    assert "DEFAULT 'é'" in with_default(TABLE, "e", "é")
