"""Heads: where what the server writes of a CREATE ends."""

import pytest

from app.domain.backups.manifest import ObjectKind
from app.engine.sql.ddl import is_quoted
from app.engine.sql.headers import split_head


@pytest.mark.parametrize(
    ("kind", "head", "rest"),
    [
        (
            ObjectKind.PROCEDURE,
            "CREATE DEFINER=`d`@`h` PROCEDURE `p`(a int,\n b enum('x\n)'))\n    COMMENT 'one\ntwo'",
            "\nBEGIN\n  SELECT 'x';\nEND",
        ),
        (
            ObjectKind.FUNCTION,
            "CREATE DEFINER=`d`@`h` FUNCTION `f`() RETURNS int\n    DETERMINISTIC",
            "\nRETURN 1",
        ),
        (
            ObjectKind.TRIGGER,
            "CREATE DEFINER=`d`@`h` TRIGGER `FOR EACH ROW` BEFORE INSERT ON t FOR EACH ROW",
            " SET @a = 'FOR EACH ROW'",
        ),
        (
            ObjectKind.EVENT,
            "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE ENABLE COMMENT 'it''s DO'",
            " DO SELECT 'x'",
        ),
        (
            ObjectKind.EVENT,
            "CREATE EVENT `e` ON SCHEDULE EVERY '1:2' HOUR_MINUTE ON COMPLETION PRESERVE DISABLE ON SLAVE",
            " DO SELECT 'x'",
        ),
    ],
)
def test_a_head_ends_where_its_author_begins(kind, head, rest):
    """Brackets, line ends and words inside of names and texts do not count."""
    parts, found = split_head(kind, head + rest)

    assert ("".join(parts), found) == (head, rest)
    assert all(is_quoted(part) for part in parts if part.startswith(("`", "'")))


def test_other_kinds_have_no_head():
    """A view is printed right, and what has no end is left alone."""
    assert split_head(ObjectKind.VIEW, "CREATE VIEW v AS SELECT 1") == (
        [],
        "CREATE VIEW v AS SELECT 1",
    )
    assert split_head(ObjectKind.EVENT, "CREATE EVENT e") == ([], "CREATE EVENT e")
