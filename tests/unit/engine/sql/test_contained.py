"""Contained statements: what a backup or journal holds for objects works on the session's database alone."""

import pytest

from app.domain.backups.manifest import ObjectKind, StatementKind
from app.domain.restores.journal import SavedStatement
from app.engine.sql.contained import contain, require_sequence
from app.engine.sql.quoting import quote_text
from app.errors import UnsupportedObjectError


RESET = (
    "SET NAMES utf8mb4, SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', SESSION time_zone = '+00:00'"
)
STATE = "SET SESSION sql_mode = '{}', character_set_client = utf8mb4, collation_connection = utf8mb4_bin"
TRIGGER = "CREATE TRIGGER db.r /* x */ BEFORE INSERT ON db.t FOR EACH ROW SET @x = '\\'\r\x1a\0'"
BARE = "CREATE TRIGGER `r` BEFORE INSERT ON `t` FOR EACH ROW SET @x = '\\'\r\x1a\0'"
EVENT = "CREATE DEFINER=`app owner` EVENT `e` ON SCHEDULE EVERY '1:10' HOUR_MINUTE STARTS '2030-01-01 00:00:00'"
EXECUTE = "EXECUTE IMMEDIATE @backstay_sql"


def said(kind: StatementKind, sql: str, name: str = "") -> SavedStatement:
    """Make a statement of a backup."""
    return SavedStatement(kind, sql, name)


def session(sql: str) -> SavedStatement:
    """Make a statement about the session."""
    return said(StatementKind.SESSION, sql)


def contained(*statements: SavedStatement) -> list[str]:
    """Return what would be executed."""
    return [statement.sql for statement in contain(statements, "db").statements]


def test_a_header_loses_its_schema():
    """Whether it stands in the statement itself or in the variable that the server prepares."""
    assigned = session(f"SET @backstay_sql = {quote_text(TRIGGER)}")

    assert contained(said(StatementKind.TRIGGER, TRIGGER, "r")) == [BARE]
    assert contained(
        session(RESET), assigned, session(STATE.format("")), said(StatementKind.TRIGGER, EXECUTE, "r")
    ) == [RESET, f"SET @backstay_sql = {quote_text(BARE)}", STATE.format(""), EXECUTE]  # fmt: skip


def test_contained_twice_is_contained():
    """A journal holds what was contained already."""
    statements = (
        session(RESET),
        session(f"SET @backstay_sql = {quote_text(TRIGGER)}"),
        said(StatementKind.TRIGGER, EXECUTE, "r"),
        said(StatementKind.VIEW, "CREATE OR REPLACE VIEW `v` AS select `db`.`f`(1)", "v"),
    )
    once = contain(statements, "db").statements

    assert contain(once, "db").statements == once
    assert once[-1].sql == "CREATE OR REPLACE VIEW `v` AS select `f`(1)"


def test_a_view_in_a_variable_loses_its_schema_too():
    """What the client would rewrite is prepared, and names its functions like any other view."""
    view = "CREATE VIEW `v` AS select `db`.`f`('--')"
    found = contained(
        session(RESET),
        session(f"SET @backstay_sql = {quote_text(view)}"),
        said(StatementKind.VIEW, EXECUTE, "v"),
    )

    assert found[1] == f"SET @backstay_sql = {quote_text(view.replace('`db`.', ''))}"


def test_the_mode_of_the_session_says_what_double_quotes_are():
    """The same text is a name in one mode, and refused in another."""
    made = said(
        StatementKind.TRIGGER,
        'CREATE TRIGGER "db"."r" BEFORE INSERT ON "db"."t" FOR EACH ROW SET @x = 1',
        "r",
    )

    assert "TRIGGER `r`" in contained(session(STATE.format("ANSI_QUOTES,ORACLE")), made)[1]
    with pytest.raises(UnsupportedObjectError):
        contained(session(STATE.format("")), made)


def test_an_event_is_enabled_by_a_statement_of_ours():
    """With the definer of its CREATE, whatever the file says; an event that is not made is not enabled."""
    made = said(StatementKind.EVENT, f"{EVENT} ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1", "e")
    enabled = said(StatementKind.ENABLE_EVENT, "ALTER EVENT live.other ENABLE", "e")

    assert contained(made, enabled)[1] == "ALTER DEFINER=`app owner` EVENT `e` ENABLE"
    with pytest.raises(UnsupportedObjectError):
        contained(enabled)


def test_origins_say_what_made_each_object():
    """The text of the file and its session, of the real object when a stub stood in for it."""
    stub = "CREATE FUNCTION `f`() RETURNS int\n    NO SQL\nRETURN NULL"
    real = "CREATE FUNCTION `f`() RETURNS int\nRETURN 1"
    found = contain(
        [
            session("ALTER DATABASE COLLATE = 'latin1_bin'"),
            session(STATE.format("ANSI")),
            said(StatementKind.PLACEHOLDER, stub, "f"),
            said(StatementKind.PLACEHOLDER, "DROP FUNCTION `f`", "f"),
            said(StatementKind.ROUTINE, real, "f"),
        ],
        "db",
    ).origins[ObjectKind.FUNCTION, "f"]

    assert (found.sql, found.sql_mode, found.charset) == (real, "ANSI", "utf8mb4")
    assert (found.collation, found.database_collation) == ("utf8mb4_bin", "latin1_bin")


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        (StatementKind.SESSION, "SET GLOBAL read_only = 1"),
        (StatementKind.SESSION, "USE live"),
        (StatementKind.SESSION, "SET SESSION sql_mode = '', GLOBAL general_log = 1"),
        (StatementKind.SESSION, "ALTER DATABASE live COLLATE = 'utf8mb4_bin'"),
        (StatementKind.SESSION, "SET @backstay_sql = (SELECT live.f())"),
        (StatementKind.SESSION, "SET @backstay_sql = 'x', GLOBAL x = 'y'"),
        (StatementKind.DROP, "DROP DATABASE live"),
        (StatementKind.DROP, "DROP FUNCTION IF EXISTS `live`.`f`"),
        (StatementKind.DROP, "DROP TABLE IF EXISTS `t`"),
        (StatementKind.PLACEHOLDER, "CREATE OR REPLACE VIEW `live`.`x` AS SELECT 1 AS `a`"),
        (StatementKind.PLACEHOLDER, "CREATE OR REPLACE VIEW `x` AS SELECT live.f() AS `a`"),
        (StatementKind.PLACEHOLDER, "CREATE OR REPLACE VIEW `y` AS SELECT 1 AS `a`"),
        (StatementKind.PLACEHOLDER, "DROP FUNCTION `live`.`x`"),
        (StatementKind.PLACEHOLDER, "CREATE PROCEDURE `x`() SELECT 1"),
        (StatementKind.VIEW, "DROP VIEW live.x"),
        (StatementKind.VIEW, "CREATE OR REPLACE VIEW `y` AS SELECT 1"),
        (StatementKind.VIEW, EXECUTE),
        (StatementKind.INVALID_VIEW, "DROP DATABASE live"),
        (StatementKind.TRIGGER, "CREATE PROCEDURE `x`() SELECT 1"),
        (StatementKind.ROUTINE, "CREATE FUNCTION x RETURNS STRING SONAME 'x.so'"),
        (StatementKind.ROUTINE, "CREATE EVENT x ON SCHEDULE EVERY 1 SECOND DO DROP DATABASE live"),
        (StatementKind.EVENT, "CREATE EVENT `x` ON SCHEDULE EVERY 1 SECOND DO SELECT 1"),
        (
            StatementKind.EVENT,
            "CREATE EVENT `x` ON SCHEDULE EVERY 1 SECOND ON COMPLETION PRESERVE ENABLE DO SELECT 1",
        ),
        (StatementKind.ENABLE_EVENT, "ALTER EVENT `x` ENABLE"),
        (StatementKind.TABLE, "CREATE TABLE `x` (a INT)"),
        (StatementKind.ACCOUNT, "CREATE USER x"),
    ],
)
def test_what_could_work_elsewhere_is_refused(kind, sql):
    """Each kind has its form in our files; the message names the statement, not its text."""
    name = "" if kind in {StatementKind.SESSION, StatementKind.DROP} else "x"
    with pytest.raises(UnsupportedObjectError) as caught:
        contained(said(kind, sql, name))

    assert "live" not in str(caught.value)
    assert caught.value.hint


def test_a_text_is_not_read_where_nothing_is_escaped():
    """In that mode the server would end it elsewhere."""
    with pytest.raises(UnsupportedObjectError):
        contained(
            session(STATE.format("NO_BACKSLASH_ESCAPES")), session(r"SET @backstay_sql = 'a\\'")
        )


@pytest.mark.parametrize(
    ("statements", "is_plain"),
    [
        (
            [
                "CREATE SEQUENCE `s``q` as int minvalue -5 ENGINE=InnoDB COMMENT='it''s; \\' no'",
                "INSERT INTO `s``q` VALUES (1, -5, 9, 1, 1, 1000, 0, 0)",
            ],
            True,
        ),
        (
            [
                "CREATE SEQUENCE `s``q` start with 1",
                "ALTER SEQUENCE `s``q` RESTART -5",
                "DO SETVAL(`s``q`, -5, 0, 2)",
            ],
            True,
        ),
        (["CREATE SEQUENCE `s``q` start with 1", "ALTER SEQUENCE `s` RESTART 5"], False),
        (["CREATE SEQUENCE `s``q` start with 1"], False),
        (["CREATE SEQUENCE `live`.`s` start with 1", "INSERT INTO `s``q` VALUES (1)"], False),
        (["CREATE SEQUENCE `s``q` start with 1", "INSERT INTO `s``q` VALUES (setval(l.s, 1))"], False),
        (["CREATE SEQUENCE `s``q` start with 1", "INSERT INTO `s``q` SELECT 1"], False),
        ([], False),
    ],
)  # fmt: skip
def test_a_sequence_is_made_and_put_where_it_stood(statements, is_plain):
    """By two statements with numbers in them, and nothing else."""
    if is_plain:
        require_sequence(statements, "s`q")
        return
    with pytest.raises(UnsupportedObjectError):
        require_sequence(statements, "s`q")
