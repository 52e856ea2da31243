"""Objects of every kind whose definitions name their own schema, in each spelling that a server takes."""


def qualified(database: str) -> list[str]:
    """
    Make one of every kind, and every spelling of a trigger's header.

    Args:
        database: Where; an unquoted word.
    """
    d = database
    return [
        f"CREATE SEQUENCE {d}.seq START WITH 5",
        f"CREATE TABLE {d}.t (id INT PRIMARY KEY DEFAULT nextval({d}.seq), a INT, b INT DEFAULT lastval({d}.seq), c INT DEFAULT (setval({d}.seq, 9)))",
        f"CREATE TABLE {d}.`we.ird ``on` (id INT PRIMARY KEY, a INT, CONSTRAINT up FOREIGN KEY (a) REFERENCES {d}.t (id))",
        f"CREATE TABLE {d}.log (what VARCHAR(99), n INT)",
        f"CREATE TABLE {d}.m1 (a INT) ENGINE=MyISAM",
        f"CREATE TABLE {d}.merged (a INT) ENGINE=MERGE UNION=({d}.m1)",
        f"INSERT INTO {d}.t VALUES (1, 1, 1, 1), (2, 2, 2, 2)",
        f"INSERT INTO {d}.`we.ird ``on` VALUES (1, 1)",
        f"INSERT INTO {d}.log VALUES ('row', 0)",
        f"CREATE FUNCTION {d}.f(a INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM t)",
        f"CREATE FUNCTION {d}.named(a INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM {d}.t)",
        (f"CREATE AGGREGATE FUNCTION {d} . `ag`(a INT) RETURNS INT BEGIN DECLARE CONTINUE HANDLER FOR"
        f" NOT FOUND RETURN 1; LOOP FETCH GROUP NEXT ROW; END LOOP; END"),
        f"CREATE PROCEDURE `{d}`\n.\n`p`() COMMENT '{d}.p' INSERT INTO {d}.log VALUES ('p', 1)",
        f"CREATE VIEW {d}.v AS SELECT {d}.t.id, {d}.f(1) AS f, (SELECT MAX(id) FROM {d}.t) AS m FROM {d}.t",
        f"CREATE SQL SECURITY INVOKER VIEW `{d}` . `v2` AS SELECT {d}.v.id, '{d}.t' AS text FROM {d}.v",
        f"CREATE VIEW {d}.vs AS SELECT nextval({d}.seq) AS n, '-- {d}.x' AS comment",
        f"CREATE TRIGGER {d}.plain BEFORE INSERT ON {d}.t FOR EACH ROW SET NEW.a = NEW.a + 1",
        (f"CREATE TRIGGER `{d}` . `spaced` BEFORE INSERT ON `{d}` . `t` FOR EACH ROW FOLLOWS plain"
        f" INSERT INTO {d}.log VALUES ('spaced', NEW.id)"),
        f"CREATE TRIGGER {d} . first BEFORE INSERT ON {d}\n.\tt FOR EACH ROW PRECEDES plain SET @x = 1",
        (f"CREATE TRIGGER/* {d}.no */{d}./* ON {d}.no */`commented`-- TRIGGER {d}.no\n"
        f" AFTER # {d}.no\n INSERT ON {d}.`we.ird ``on` FOR EACH ROW BEGIN /* {d}.t */ SET @x = 1; END"),
        (f"CREATE /*!50017 DEFINER = `a.b'x\"`@`h.%` */ TRIGGER /*!50000 {d}.*/executable AFTER UPDATE ON"
        f" /*M!100000 {d}.*/t FOR EACH ROW INSERT INTO {d}.log VALUES ('executable', 1)"),
        f"CREATE TRIGGER IF NOT EXISTS {d}.1digit AFTER DELETE ON {d}.t FOR EACH ROW SET @x = 1 /* {d} */",
        f"CREATE OR REPLACE TRIGGER {d}.$dollar AFTER DELETE ON {d}.t FOR EACH ROW SET @x = 2--1",
        f"CREATE TRIGGER {d}.`a``.b` AFTER DELETE ON {d}.t FOR EACH ROW SET @x = 3",
        f"create trigger {d}.`on` after delete on {d}.log for each row set @x = '{d}.log'",
        "CREATE TRIGGER unqualified AFTER UPDATE ON log FOR EACH ROW SET @x = 1",
        (f"CREATE EVENT {d}.e ON SCHEDULE EVERY 1 SECOND STARTS '2035-01-01 00:00:00' COMMENT '{d}.e'"
        f" DO INSERT INTO {d}.log VALUES ('event', 1)"),
        (f"CREATE EVENT IF NOT EXISTS `{d}` . ` ON COMPLETION PRESERVE ENABLE` ON SCHEDULE EVERY 1 DAY"
        f" STARTS '2035-01-01 00:00:00' DISABLE DO DELETE FROM {d}.log"),
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        f'CREATE TRIGGER "{d}"."double" AFTER UPDATE ON "{d}"."t" FOR EACH ROW SET @x = 1',
        f'CREATE TRIGGER {d} . "d""q" AFTER UPDATE ON {d}."t" FOR EACH ROW SET @x = 1',
        f'CREATE PROCEDURE "{d}"."ansi"() SELECT "id" FROM "{d}"."t"',
        f'CREATE EVENT "{d}"."ansi" ON SCHEDULE EVERY 1 DAY STARTS \'2035-01-01 00:00:00\' DO SELECT 1',
        "SET SESSION sql_mode = 'ORACLE'",
        f"CREATE PACKAGE {d}.pk AS FUNCTION x RETURN INT; END",
        f'CREATE PACKAGE BODY "{d}"."pk" AS FUNCTION x RETURN INT AS BEGIN RETURN 1; END; END',
        f"CREATE PROCEDURE {d}.oracle(a INT) AS BEGIN DELETE FROM {d}.log; END",
        f"CREATE TRIGGER {d}.oracle AFTER DELETE ON {d}.t FOR EACH ROW BEGIN NULL; END",
        "SET SESSION sql_mode = ''",
    ]  # fmt: skip
