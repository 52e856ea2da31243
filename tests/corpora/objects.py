"""
Schema objects that dumps get wrong, one function for each kind.

Every function returns statements for the current database of one session; those that cross schemas take names.
Statements are text, or bytes where the client's character set is not UTF-8.
"""

from tests.corpora.objects_tables import (
    engines,
    foreign_keys,
    partitions,
    sequences,
    versioned_tables,
)
from tests.corpora.session import PRELUDE, Statements, name
from tests.fixtures.faker import INDEX_NAMES, NAMES


__all__ = [
    "accounts",
    "drop_accounts",
    "engines",
    "events",
    "events_with_delimiters",
    "foreign_keys",
    "hostile_names",
    "partitions",
    "routines",
    "sequences",
    "triggers",
    "versioned_tables",
    "views",
]

# Seen in dumps that broke: names that are wildcards, directories, comments, markup or client commands.
MORE_NAMES = (
    "checksum234",
    "*",
    "?",
    "%",
    "_",
    "VIEW",
    "a b  c",
    " leading",
    "~",
    "`",
    "'",
    '"',
    "\\",
    "&amp;",
    "../up",
    "con",
    "x.frm",
    "X'00'",
    "@@version",
    "{{7*7}}",
    "${x}",
    "Ω≈ç√",
    "עברית",
    "\u202eright",
)


def hostile_names() -> Statements:
    """Tables, columns, indexes, constraints and comments with names that break quoting (hazards 11 and 47)."""
    columns = ",".join(f"{name(column)} int COMMENT {text_literal(column)}" for column in NAMES)
    indexes = ",".join(
        f"KEY {name(index)} ({name(NAMES[n % len(NAMES)])})" for n, index in enumerate(INDEX_NAMES)
    )
    statements = [
        *PRELUDE,
        f"CREATE TABLE hostile_columns ({columns},{indexes}, CONSTRAINT `a``b 'c'` CHECK (`tick``tick` < 10))",
        f"INSERT INTO hostile_columns VALUES ({','.join('1' for _ in NAMES)})",
    ]
    for n, table in enumerate((*NAMES, *MORE_NAMES)):
        comment = text_literal(f"VIEW {table} \n '\" */ -- \\")
        statements += [
            f"CREATE TABLE {name(table)} (id int primary key, {name(table)} varchar(99) default {text_literal(table)}) COMMENT={comment}",
            f"INSERT INTO {name(table)} (id) VALUES ({n})",
        ]
    return statements


def text_literal(value: str) -> str:
    """Write a plain literal, as comments and defaults need."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def views(other: str) -> list[str | bytes]:
    """
    Views: a chain against the order of names, a cycle through a function, invalid ones, other schemas, a koi8r client (hazard 57).

    Args:
        other: Another database, which gets one table and a view back into this one; drop it afterwards.
    """
    there = name(other)
    return [
        *PRELUDE,
        f"CREATE TABLE {there}.view_far (id int primary key, v varchar(9))",
        f"INSERT INTO {there}.view_far VALUES (1,'far')",
        "CREATE TABLE view_base (id int primary key, v varchar(20), gone int)",
        "INSERT INTO view_base VALUES (1,'one',0)",
        # By name a comes first, by need z.
        "CREATE VIEW view_z AS SELECT id, v FROM view_base",
        "CREATE VIEW view_m (`a``b`, `c 'd'`) AS SELECT * FROM view_z",
        "CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW view_a AS SELECT * FROM view_m WHERE `a``b` > 0 WITH LOCAL CHECK OPTION",
        "CREATE ALGORITHM=TEMPTABLE VIEW view_t AS SELECT COUNT(*) AS n, 'it''s \\\\ \\n' AS t, _latin1 X'E9' AS l FROM view_a",
        f"CREATE VIEW view_other AS SELECT f.id, b.v FROM {there}.view_far AS f JOIN view_base AS b ON f.id=b.id",
        "CREATE VIEW view_system AS SELECT TABLE_NAME FROM information_schema.TABLES",
        # View a is made of b, b calls the function, and in the end the function reads a.
        "CREATE FUNCTION view_through() RETURNS int DETERMINISTIC RETURN 1",
        "CREATE VIEW view_cycle_b AS SELECT view_through() AS x FROM view_base",
        "CREATE VIEW view_cycle_a AS SELECT x FROM view_cycle_b",
        "DROP FUNCTION view_through",
        "CREATE FUNCTION view_through() RETURNS int READS SQL DATA RETURN (SELECT MAX(x) FROM view_cycle_a)",
        # Invalid in three ways: table gone, column gone, function gone; and one that stands on an invalid one.
        "CREATE TABLE view_lost (a int)",
        "CREATE VIEW view_no_table AS SELECT a FROM view_lost",
        "CREATE VIEW view_on_invalid AS SELECT a FROM view_no_table",
        "DROP TABLE view_lost",
        "CREATE VIEW view_no_column AS SELECT gone FROM view_base",
        "ALTER TABLE view_base DROP COLUMN gone",
        "CREATE FUNCTION view_f() RETURNS int DETERMINISTIC RETURN 1",
        "CREATE VIEW view_no_function AS SELECT view_f() AS x",
        "DROP FUNCTION view_f",
        "CREATE DEFINER=`nobody`@`nowhere` VIEW view_no_definer AS SELECT id FROM view_base",
        # Name, alias and literal are read as koi8r.
        "SET NAMES koi8r",
        "CREATE VIEW `view_вид` AS SELECT 'привет' AS `столбец`, id FROM view_base".encode(
            "koi8-r"
        ),
        *PRELUDE,
    ]


def triggers() -> list[str | bytes]:
    """Triggers: order within one event, sql_mode, character set, nasty names and bodies (hazard 58)."""
    return [
        *PRELUDE,
        "CREATE TABLE trigger_t (id int primary key, v varchar(200) default '', n int default 0)",
        "CREATE TABLE trigger_log (id int auto_increment primary key, what varchar(200))",
        "CREATE TRIGGER trigger_second BEFORE INSERT ON trigger_t FOR EACH ROW SET NEW.v=CONCAT(NEW.v,'2')",
        "CREATE TRIGGER trigger_last BEFORE INSERT ON trigger_t FOR EACH ROW FOLLOWS trigger_second SET NEW.v=CONCAT(NEW.v,'4')",
        "CREATE TRIGGER trigger_third BEFORE INSERT ON trigger_t FOR EACH ROW FOLLOWS trigger_second SET NEW.v=CONCAT(NEW.v,'3')",
        "CREATE TRIGGER trigger_zero BEFORE INSERT ON trigger_t FOR EACH ROW PRECEDES trigger_second SET NEW.v=CONCAT(NEW.v,'1')",
        (
            'CREATE TRIGGER `trigger ``;;\' "x"` AFTER DELETE ON trigger_t FOR EACH ROW BEGIN\n'
            "  -- a comment; with DELIMITER ;;\n  INSERT INTO trigger_log (what) VALUES (';;\\'\\\\\n*/'); /* end */\nEND"
        ),
        "SET SESSION sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT,NO_AUTO_VALUE_ON_ZERO'",
        'CREATE TRIGGER trigger_ansi AFTER UPDATE ON "trigger_t" FOR EACH ROW INSERT INTO "trigger_log" ("what") VALUES (\'a\' || NEW."v")',
        "SET SESSION sql_mode='ORACLE'",
        "CREATE TRIGGER trigger_oracle AFTER INSERT ON trigger_t FOR EACH ROW BEGIN\n  IF :NEW.n > 1000 THEN INSERT INTO trigger_log (what) VALUES ('big'); END IF;\nEND",
        "SET SESSION sql_mode='NO_BACKSLASH_ESCAPES'",
        "CREATE TRIGGER trigger_backslash BEFORE UPDATE ON trigger_t FOR EACH ROW SET @fired='\\'",
        "SET SESSION sql_mode=''",
        "SET NAMES koi8r",
        "CREATE TRIGGER `trigger_крюк` BEFORE DELETE ON trigger_t FOR EACH ROW SET @fired='привет'".encode(
            "koi8-r"
        ),
        *PRELUDE,
        "CREATE DEFINER=`nobody`@`nowhere` TRIGGER trigger_definer AFTER DELETE ON trigger_log FOR EACH ROW SET @fired=1",
        "INSERT INTO trigger_t (id) VALUES (1),(2)",
    ]


def routines() -> list[str | bytes]:
    """Routines: ANSI_QUOTES, Oracle packages with bodies, delimiters in bodies, names with quotes (hazards 14 and 59)."""
    return [
        *PRELUDE,
        (
            'CREATE PROCEDURE `a\'b``c "d"` (IN `p``1` int, OUT q varchar(10) character set latin1, INOUT r decimal(9,2) unsigned)\n'
            "  COMMENT 'it''s \\\\ \n x' SQL SECURITY INVOKER MODIFIES SQL DATA\n"
            "BEGIN\n  SELECT ';;'; -- DELIMITER ;;\n  SELECT 'delimiter $$ \\\\ */'; # hash\n  /* block */ SET q = ''; \nEND"
        ),
        "CREATE FUNCTION routine_deterministic(a varchar(20) charset utf8mb4 collate utf8mb4_bin) RETURNS varchar(40) charset koi8r DETERMINISTIC NO SQL RETURN CONCAT(a,'я')",
        "CREATE FUNCTION routine_reads() RETURNS enum('a','it''s') READS SQL DATA RETURN 'a'",
        (
            "CREATE AGGREGATE FUNCTION routine_total(x int) RETURNS int DETERMINISTIC\nBEGIN\n  DECLARE s int DEFAULT 0;\n"
            "  DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s;\n  LOOP FETCH GROUP NEXT ROW; SET s=s+x; END LOOP;\nEND"
        ),
        "CREATE DEFINER=`nobody`@`nowhere` PROCEDURE routine_definer() SELECT 1",
        "CREATE PROCEDURE routine_missing() SELECT * FROM no_such_table",
        "SET SESSION sql_mode='ANSI_QUOTES'",
        'CREATE FUNCTION "routine ansi" ("a b" int) RETURNS int DETERMINISTIC RETURN "a b" + 1',
        "SET SESSION sql_mode='NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
        "CREATE FUNCTION routine_backslash() RETURNS varchar(9) DETERMINISTIC RETURN '\\' || 'x'",
        "SET SESSION sql_mode='ORACLE'",
        "CREATE PACKAGE routine_pack COMMENT 'it''s' AS\n  PROCEDURE p1(a int);\n  FUNCTION f1 RETURN number;\nEND",
        (
            "CREATE PACKAGE BODY routine_pack AS\n  hidden int := 7;\n  PROCEDURE p1(a int) AS BEGIN SELECT ';;', a; END;\n"
            "  FUNCTION f1 RETURN number AS BEGIN RETURN hidden; END;\nBEGIN\n  hidden := 8;\nEND"
        ),
        "CREATE PACKAGE routine_bodyless AS\n  PROCEDURE p1;\nEND",
        "CREATE PROCEDURE routine_oracle(a IN int, b OUT int) AS x int := 2; BEGIN b := a + x; END",
        "SET SESSION sql_mode=''",
        "SET NAMES koi8r",
        "CREATE FUNCTION `routine_имя`() RETURNS varchar(20) CHARSET koi8r DETERMINISTIC RETURN 'привет'".encode(
            "koi8-r"
        ),
        *PRELUDE,
    ]


def events(victim: str) -> Statements:
    """
    Events: on, off, for replicas, one-shot, with time zones, and two that do harm when they fire (hazard 60).

    Args:
        victim: A database that must still exist after a restore, and whose table `event_fired` must stay empty.
            Keep the event scheduler off until the restore runs: from its first second the events want to fire.
    """
    target = name(victim)
    return [
        *PRELUDE,
        f"CREATE TABLE {target}.event_fired (at timestamp)",
        f"CREATE EVENT event_drop ON SCHEDULE EVERY 1 SECOND STARTS '2020-01-01' ENABLE DO DROP DATABASE IF EXISTS {target}",
        f"CREATE EVENT event_insert ON SCHEDULE EVERY 1 SECOND STARTS '2020-01-01' DO INSERT INTO {target}.event_fired VALUES (NOW())",
        "CREATE EVENT event_disabled ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 03:00:00' ENDS '2037-01-01' DISABLE COMMENT 'it''s \\\\ */' DO SELECT 1",
        "CREATE EVENT event_replica ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2020-01-01' DISABLE ON SLAVE DO SELECT ';'",
        "CREATE EVENT event_once ON SCHEDULE AT '2037-12-31 23:59:59' ON COMPLETION PRESERVE DO SELECT 1",
        "CREATE EVENT event_once_gone ON SCHEDULE AT '2037-12-31 23:59:59' DO SELECT 1",
        # In the past: kept only because it is preserved, and disabled by the server at once.
        "CREATE EVENT event_past ON SCHEDULE AT '2020-01-01' ON COMPLETION PRESERVE DO SELECT 1",
        "CREATE EVENT `event ``x' \"y\"` ON SCHEDULE EVERY 3 QUARTER STARTS '2020-01-31' DO BEGIN\n  -- DELIMITER //\n  SELECT '; ;';\nEND",
        "SET SESSION time_zone='+03:00', sql_mode='ANSI_QUOTES,PIPES_AS_CONCAT'",
        "CREATE EVENT event_zone ON SCHEDULE EVERY 1 MONTH STARTS '2030-01-31 02:30:00' DO SELECT 'a' || \"x\" FROM (SELECT 1 AS \"x\") AS t",
        "SET SESSION time_zone='SYSTEM', sql_mode='ORACLE'",
        "CREATE EVENT event_oracle ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01' DO BEGIN NULL; END",
        *PRELUDE,
        "CREATE DEFINER=`nobody`@`nowhere` EVENT event_definer ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DO SELECT 1",
    ]


def events_with_delimiters() -> Statements:
    """
    Events with two semicolons in body and comment (hazard 14).

    Apart from `events`, because mariadb-dump 10.11 never ends on them: `outside_judge` cannot see this database.
    """
    return [
        *PRELUDE,
        "CREATE EVENT event_two ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' COMMENT ';;' DO SELECT ';;'",
        "CREATE EVENT event_block ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01' DO BEGIN\n  -- DELIMITER ;;\n  SELECT ';;';\nEND",
    ]


_ACCOUNTS = (
    "plain",
    "it's",
    'say "x"',
    "tick`tick",
    "foo'@bar",
    "per%cent",
    "back\\slash",
    "ünï",
    " blank",
    "x" * 60,
)


def accounts(prefix: str) -> Statements:
    """
    Users, roles, proxies and account names that break quoting; they outlive the database, see `drop_accounts` (hazard 63).

    Args:
        prefix: Starts every account name, so that two tests do not meet; at most 16 characters.
    """
    users = _users(prefix)
    first, second = users[0], users[1]
    role, admin = f"{account(prefix + 'role')}", f"{account(prefix + 'ad`m')}"
    return [
        *PRELUDE,
        "CREATE TABLE account_t (id int primary key, a int, `b``c` int)",
        f"CREATE ROLE {role}",
        f"CREATE ROLE {admin}",
        *(
            f"CREATE USER {user} IDENTIFIED BY 'Secret {n} it''s \\\\'"
            for n, user in enumerate(users)
        ),
        f"ALTER USER {first} REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5 PASSWORD EXPIRE NEVER ACCOUNT LOCK",
        f"ALTER USER {second} IDENTIFIED VIA unix_socket OR mysql_native_password USING '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4'",
        f"GRANT SELECT (a, `b``c`), INSERT ON account_t TO {role}",
        f"GRANT {role} TO {admin}",
        f"GRANT {role} TO {first} WITH ADMIN OPTION",
        f"GRANT {admin} TO {second}",
        f"SET DEFAULT ROLE {role} FOR {first}",
        f"GRANT PROXY ON {first} TO {second} WITH GRANT OPTION",
        f"GRANT ALL ON `{prefix}\\_db%`.* TO {users[2]} WITH GRANT OPTION",
        f"GRANT PROCESS, RELOAD, EVENT ON *.* TO {users[3]}",
    ]


def drop_accounts(prefix: str) -> Statements:
    """Drop every account that `accounts` made with this prefix."""
    roles = f"{account(prefix + 'role')}, {account(prefix + 'ad`m')}"
    return [f"DROP USER IF EXISTS {','.join(_users(prefix))}", f"DROP ROLE IF EXISTS {roles}"]


def account(user: str) -> str:
    """Quote a user or role name."""
    return text_literal(user)


def _users(prefix: str) -> list[str]:
    hosts = ("localhost", "%", "10.0.0.0/255.255.255.0", "_.example.com", "::1")
    return [
        f"{account(prefix + user)}@{text_literal(hosts[n % len(hosts)])}"
        for n, user in enumerate(_ACCOUNTS)
    ]
