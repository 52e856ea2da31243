"""Objects typed in another character set than ours: names, heads and bodies, in every kind (hazard 153)."""

import pytest

from app.errors import UnsupportedObjectError
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.servers import Sql


# A table's name stays ASCII here: others are hazard 47.
SCRIPT = (
    "CREATE TABLE t (a INT PRIMARY KEY, s VARCHAR(10) CHARACTER SET utf8mb4)",
    "CREATE {0} VIEW `vé` AS SELECT 'é' AS `cé`",
    "CREATE VIEW more AS SELECT `cé` FROM `vé`",
    "CREATE {0} PROCEDURE `pé`(`xé` INT) COMMENT 'cé' SELECT 'ü' AS u",
    (
        "CREATE {0} FUNCTION `fé`(`xé` INT) RETURNS VARCHAR(9) CHARACTER SET utf8mb4 COMMENT 'é'"
        " DETERMINISTIC RETURN 'é'"
    ),
    "CREATE FUNCTION counted() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM `vé`)",
    "CREATE VIEW counts AS SELECT counted() AS n, 'ö' AS o",
    "CREATE {0} TRIGGER `ré` BEFORE INSERT ON t FOR EACH ROW SET NEW.s = 'ß'",
    "CREATE {0} EVENT `eé` ON SCHEDULE EVERY 1 DAY COMMENT 'é' DO INSERT INTO t VALUES (1, 'ä')",
    "CREATE EVENT plain ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 'é'",
)


@pytest.fixture
def definer(sql):
    """An account whose name is not ASCII."""
    sql.run("CREATE USER `dé`@localhost")
    sql.run("GRANT ALL ON *.* TO `dé`@localhost")
    yield "DEFINER = `dé`@localhost"
    sql.run("DROP USER `dé`@localhost")


def texts(url: str, database: str) -> list[object]:
    """Return what the objects of a database say."""
    with Sql(url, database) as sql:
        sql.run("INSERT INTO t (a) VALUES (7)")
        found: list[object] = [
            sql.run("SELECT `cé` FROM more"),
            sql.run("CALL `pé`(1)"),
            sql.run("SELECT `fé`(1)"),
            sql.run("SELECT n, o FROM counts"),
            sql.run("SELECT s FROM t"),
        ]
        sql.run("DELETE FROM t")
        return found


@pytest.mark.parametrize("charset", ["latin1", "cp1250"])
async def test_they_come_back_as_they_were_typed(charset, backstay, sql, database, definer):
    """Also by the client alone, where MySQL keeps the text but calls its character set utf8mb4."""
    sql.run(f"SET NAMES {charset}")
    for statement in SCRIPT:
        sql.run(statement.format(definer).encode(charset))
    sql.run("SET NAMES utf8mb4")
    said = texts(backstay.url, database)

    manifest = await backstay.round_trip(database, plain=not IS_MYSQL)

    assert said == [[("é",)], [("ü",)], [("é",)], [(1, "ö")], [("ß",)]]
    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")
    backstay.plain_load(manifest, by_hand, "--binary-mode")
    assert texts(backstay.url, by_hand) == said


async def test_they_come_back_over_what_took_their_place(backstay, sql, database, definer):
    """In place, and back again: an event is dropped, made and enabled by its name."""
    sql.run("SET NAMES latin1")
    for statement in SCRIPT:
        sql.run(statement.format(definer).encode("latin1"))
    sql.run("SET NAMES utf8mb4")
    before = texts(backstay.url, database)
    manifest = await backstay.backup(database)
    sql.script([
        "DROP EVENT `eé`",
        "CREATE EVENT `eé` ON SCHEDULE EVERY 2 DAY DISABLE DO SELECT 2",
        "DROP PROCEDURE `pé`",
        "CREATE PROCEDURE `pé`(x INT) SELECT 1",
        "CREATE OR REPLACE VIEW `vé` AS SELECT 2 AS `cé`",
        "DROP TRIGGER `ré`",
    ])
    later = texts(backstay.url, database)

    done = await backstay.restore(manifest)
    assert texts(backstay.url, database) == before
    (status,) = sql.run(
        "SELECT STATUS, EVENT_COMMENT FROM information_schema.EVENTS WHERE EVENT_NAME = 'eé'"
    )
    await backstay.recoveries.undo(done.restore_id)

    assert status == ("ENABLED", "é")
    assert texts(backstay.url, database) == later


async def test_bytes_that_are_no_text_are_named(backstay, sql, database):
    """A routine made under `SET NAMES binary`; without it the backup is made."""
    sql.run("CREATE TABLE t (a INT PRIMARY KEY)")
    sql.run("SET NAMES binary")
    sql.run(b"CREATE PROCEDURE odd() SELECT '\xe9'")
    sql.run("CREATE PROCEDURE even() SELECT 'é'")

    with pytest.raises(UnsupportedObjectError, match="procedure 'odd' was made with bytes"):
        await backstay.backup(database)

    manifest = await backstay.backup(database, exclude_tables=("odd",))
    assert [entry.name for entry in manifest.databases[0].objects] == ["even"]
    with Sql(backstay.url, await backstay.copy(manifest)) as copy:
        assert copy.run("CALL even()")


@pytest.mark.differs("mariadb", reason="it reads its own views of any character set")
@pytest.mark.parametrize("charset", ["sjis", "gbk", "big5"])
async def test_a_view_that_mysql_prints_and_cannot_read_is_named(charset, backstay, sql, database):
    """A letter whose second byte is a backslash: the rest is backed up, and restored in place."""
    letter = {"sjis": b"\x95\x5c", "gbk": b"\xd5\x5c", "big5": b"\xa5\x5c"}[charset]
    sql.run("CREATE TABLE t (a INT PRIMARY KEY)")
    sql.run(f"SET NAMES {charset}")
    sql.run(b"CREATE VIEW odd AS SELECT '" + letter + b"' AS c")
    sql.run(b"CREATE VIEW more AS SELECT '" + letter + b"n' AS c")
    sql.run(b"CREATE VIEW named AS SELECT 1 AS `" + letter + b"`")
    sql.run(b"CREATE PROCEDURE p() SELECT '" + letter + b"' AS c")
    sql.run("SET NAMES utf8mb4")
    said = sql.run("CALL p()")

    manifest = await backstay.backup(database)
    with Sql(backstay.url, await backstay.copy(manifest)) as copy:
        assert copy.run("CALL p()") == said
        assert copy.run("SELECT * FROM named") == [(1,)]
    await backstay.restore(manifest)

    assert sorted(manifest.warnings) == [
        (
            f"view {database}.more holds letters of {charset} that the server prints otherwise than it reads"
            " them; it was left out"
        ),
        f"view {database}.odd cannot be used on this server either; its definition is kept",
    ]
    assert said[0][0] not in ("", "?")


@pytest.mark.differs("mariadb", reason="it prints what was made under swe7 as it was made")
async def test_what_mysql_prints_in_letters_of_swe7_is_named_and_left_out(backstay, sql, database):
    """Quotes and brackets are letters there; nobody can read back what it prints."""
    sql.script([
        "CREATE TABLE t (a INT PRIMARY KEY)",
        "SET NAMES swe7",
        "CREATE PROCEDURE p() SELECT '{|}' AS c",
        "SET NAMES utf8mb4",
    ])

    manifest = await backstay.backup(database)
    result = await backstay.restore(manifest, backstay.new_name())

    assert result.verified
    assert manifest.databases[0].objects == ()
    assert any("procedure" in text and "swe7" in text for text in manifest.warnings)


@pytest.mark.differs("mariadb", reason="it cannot use such a view itself")
async def test_a_view_of_a_function_with_an_accent_comes_back(backstay, sql, database):
    """Made under latin1, the function too or not: MySQL prints its name twice over."""
    sql.run("CREATE FUNCTION `fé`() RETURNS INT DETERMINISTIC RETURN 7")
    sql.run("SET NAMES latin1")
    sql.run("CREATE FUNCTION `gé`() RETURNS INT DETERMINISTIC RETURN 1".encode("latin1"))
    sql.run("CREATE VIEW v AS SELECT `fé`() + `gé`() AS `é`".encode("latin1"))
    sql.run("SET NAMES utf8mb4")

    manifest = await backstay.round_trip(database, plain=False)

    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand} CHARACTER SET utf8mb4")
    backstay.plain_load(manifest, by_hand, "--binary-mode")
    assert sql.run(f"SELECT `é` FROM {by_hand}.v") == [(8,)]
