"""
What differs between MySQL and MariaDB, as rows of one table.

Nothing else in the engine asks for the vendor. The vendor is told by the word "MariaDB" in
VERSION(), never by the number: MySQL's numbers are 8.4, 9.7, 26.x, MariaDB's are 10.11, 12.3.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from app.engine import replication
from app.engine.replication import Replication
from app.errors import IncompatibleServerError


class Rung(StrEnum):
    """Ways to open one consistent view over several connections, best first."""

    BACKUP_STAGE = "backup-stage"
    INSTANCE_LOCK = "instance-lock"
    FLUSH_LOCK = "flush-lock"
    LOCK_FREE = "lock-free"
    TABLE_LOCKS = "table-locks"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Flavor:
    """
    One vendor's dialect.

    Attributes:
        vendor: `mariadb` or `mysql`.
        minimum: Oldest version whose behaviour this row describes.
        rungs: The consistency ladder, tried in order.
        exact_float: Template that turns a FLOAT into text without loss; `{}` is the column.
        member_number: Template that turns an ENUM, SET or BIT into its number; `{}` is the column.
        parsed_json: The text of a JSON value as it is once that text was loaded again; `{}` is the column.
            Empty where JSON is kept as text.
        odd_ascii: Condition for other bytes than ASCII in a column; `{}` is the column.
        position: Statement whose first two columns are the binary log's file and position.
        gtid: Expression for the executed GTID set.
        table_ids: Query of (name, id) of InnoDB tables; an id changes when a table is replaced.
        name_in_files: Template that turns a name into what table_ids has; empty where the server has no
            function for that.
        name_from_files: Template that turns it back; empty where no name is ever half changed.
        keeps_dates: Whether a RENAME leaves the CREATE_TIME of a table of InnoDB as it was.
        moves_directories: Whether a RENAME takes files along that are in a DATA DIRECTORY.
        foreign_keys: Query of (child, parent) of InnoDB's foreign keys.
        name_in_keys: Template that turns a name into what foreign_keys has.
        tablespaces: Query of the tablespaces that a table may ask for by name; empty where there are none.
        unusable_index: Condition on information_schema.STATISTICS for an index FORCE INDEX refuses.
        routine_right: Privilege and scope that show the bodies of other users' routines.
        snapshot_rights: Global privileges without which the snapshot takes a lower rung, or lacks its
            position.
        skip_log_rights: Privileges of which one keeps a session out of the binary log; the first is advised.
        log_rights: Privileges without which the binary log cannot be read.
        session_right: Privilege to set the session variables that not everybody may; empty = none.
        definer_right: Privilege to make objects that run as somebody else.
        fence_rights: Privileges of which one lets set read_only, and write all the same.
        packages: Whether there are packages.
        sequences: Whether there are sequences.
        history: Whether row versions of the past can be loaded again.
        last_moment: The last TIMESTAMP(6) in UTC, at which current rows with a history end.
        needless_modes: Values of sql_mode that it does not know because it always keeps to them.
        roles_are_marked: Whether mysql.user tells roles from users.
        prepared_ddl: Whether any CREATE may be prepared from a variable.
        schema_comment: Expression for the comment of a database in information_schema.SCHEMATA.
        repeated_charsets: Whether SHOW CREATE names, or does not name, a column's character set before
            a collation of it, depending on how the table was made.
        harmless: Warnings, code and text, that say nothing of what a statement does.
        replaces_routines: Whether CREATE OR REPLACE of a routine keeps the grants on it.
        member_labels: Query of the labels of an ENUM or SET column as hex, in order, in rows or with
            commas; `{table}`, `{column}`, `{count}`, and `{next}`, the member after number n, are filled in.
        knows_engines: Whether information_schema.TABLES has the engine of a table that cannot be opened.
        flush_bars: Whether a FLUSH TABLES that gives up bars the way to tables until the statements end
            that are using them.
        long_doubles: Whether a DOUBLE near 0 is written without an exponent however many digits that takes,
            as compiled code does; else the server formats them.
        spoils_expressions: Whether SHOW CREATE TABLE loses characters of expressions on their way into
            our character set.
        forgets_compression: Whether SHOW CREATE TABLE no longer says COMPRESSED of a table that was made though
            no page can be compressed so.
        keeps_view_columns: Whether the dictionary says of the columns of views what they were in the mode
            of the session that made them.
        needs_parents_database: Whether no foreign key is added whose parent's database is not there.
        replication: How it replays binary logs.
    """

    vendor: str
    minimum: tuple[int, int, int]
    rungs: tuple[Rung, ...]
    exact_float: str
    member_number: str
    parsed_json: str
    odd_ascii: str
    position: str
    gtid: str
    table_ids: str
    name_in_files: str
    name_from_files: str
    keeps_dates: bool
    moves_directories: bool
    foreign_keys: str
    name_in_keys: str
    tablespaces: str
    unusable_index: str
    routine_right: str
    snapshot_rights: tuple[str, ...]
    skip_log_rights: tuple[str, ...]
    log_rights: tuple[str, ...]
    session_right: str
    definer_right: str
    fence_rights: tuple[str, ...]
    packages: bool
    sequences: bool
    history: bool
    last_moment: str
    needless_modes: frozenset[str]
    roles_are_marked: bool
    prepared_ddl: bool
    schema_comment: str
    repeated_charsets: bool
    harmless: re.Pattern[str]
    replaces_routines: bool
    member_labels: str
    knows_engines: bool
    flush_bars: bool
    long_doubles: bool
    spoils_expressions: bool
    forgets_compression: bool
    keeps_view_columns: bool
    needs_parents_database: bool
    replication: Replication

    @property
    def has_schema_comments(self) -> bool:
        """Tell whether a database can have a comment."""
        return self.schema_comment != "''"


# Sources: mariadb.com/kb/en/backup-stage, /show-binlog-status, /gtid_binlog_pos, /grant (READ_ONLY ADMIN
# is part of SUPER before 10.11);
# dev.mysql.com/doc/refman/8.4/en/lock-instance-for-backup.html, /show-binary-log-status.html,
# /cast-functions.html (CAST AS DOUBLE since 8.0.17), /privileges-provided.html (SHOW_ROUTINE, SET_ANY_DEFINER).
_MARIADB_10_6 = Flavor(
    vendor="mariadb",
    minimum=(10, 6, 0),
    rungs=(Rung.BACKUP_STAGE, Rung.FLUSH_LOCK, Rung.LOCK_FREE, Rung.SINGLE),
    exact_float="CAST({} AS DOUBLE)",
    member_number="{} + 0",
    parsed_json="",
    odd_ascii=r"CAST({} AS BINARY) RLIKE '[^\\x00-\\x7F]'",
    position="SHOW BINLOG STATUS",
    gtid="@@GLOBAL.gtid_binlog_pos",
    table_ids="SELECT NAME, TABLE_ID FROM information_schema.INNODB_SYS_TABLES",
    name_in_files="CAST(CONVERT({} USING filename) AS BINARY)",
    name_from_files="CONVERT(CAST({} AS CHAR CHARACTER SET filename) USING utf8mb4)",
    keeps_dates=False,
    moves_directories=False,
    foreign_keys="SELECT FOR_NAME, REF_NAME FROM information_schema.INNODB_SYS_FOREIGN",
    name_in_keys="CAST(CONVERT({} USING filename) AS BINARY)",
    tablespaces="",
    unusable_index="IGNORED = 'YES'",
    routine_right="SELECT ON `mysql`.`proc`",
    snapshot_rights=("RELOAD", "BINLOG MONITOR", "PROCESS"),
    skip_log_rights=("BINLOG ADMIN", "SUPER"),
    log_rights=("REPLICATION SLAVE", "BINLOG MONITOR"),
    session_right="",
    definer_right="SET USER",
    fence_rights=("READ_ONLY ADMIN", "SUPER"),
    packages=True,
    sequences=True,
    history=False,
    last_moment="2038-01-19 03:14:07.999999",
    needless_modes=frozenset(),
    roles_are_marked=True,
    prepared_ddl=True,
    schema_comment="SCHEMA_COMMENT",
    repeated_charsets=False,
    harmless=re.compile(r"(?!)"),
    replaces_routines=True,
    # A variable of the column's type, which each member is assigned to.
    member_labels="BEGIN NOT ATOMIC DECLARE label TYPE OF {table}.{column};"
    " DECLARE n, x BIGINT UNSIGNED DEFAULT 0; DECLARE found LONGTEXT CHARACTER SET utf8mb4 DEFAULT '';"
    " WHILE n < {count} DO SET label = {next};"
    " SET found = CONCAT(found, IF(n, ',', ''), HEX(CONVERT(label USING utf8mb4)));"
    " SET n = n + 1; END WHILE; SELECT found; END",
    knows_engines=False,
    flush_bars=False,
    long_doubles=True,
    spoils_expressions=False,
    forgets_compression=False,
    keeps_view_columns=False,
    needs_parents_database=False,
    replication=replication.MARIADB,
)
_MARIADB_10_11 = replace(
    _MARIADB_10_6, minimum=(10, 11, 0), fence_rights=("READ_ONLY ADMIN",), history=True
)
_MARIADB_11_3 = replace(
    _MARIADB_10_11,
    minimum=(11, 3, 0),
    routine_right="SHOW CREATE ROUTINE ON *.*",
)
_MARIADB_11_5 = replace(_MARIADB_11_3, minimum=(11, 5, 0), last_moment="2106-02-07 06:28:15.999999")
_MYSQL_8_0 = Flavor(
    vendor="mysql",
    minimum=(8, 0, 0),
    rungs=(Rung.INSTANCE_LOCK, Rung.FLUSH_LOCK, Rung.TABLE_LOCKS, Rung.SINGLE),
    exact_float="{} * 1e0",
    member_number="CAST({} AS UNSIGNED)",  # adding to a SET makes a DOUBLE of it: 53 of its 64 bits
    parsed_json="CAST(CAST(CAST({} AS CHAR CHARACTER SET utf8mb4) AS JSON) AS CHAR CHARACTER SET utf8mb4)",
    odd_ascii="CAST({} AS BINARY) <> CAST(CONVERT({} USING utf8mb4) AS BINARY)",
    position="SHOW MASTER STATUS",
    gtid="@@GLOBAL.gtid_executed",
    table_ids="SELECT NAME, TABLE_ID FROM information_schema.INNODB_TABLES",
    name_in_files="",  # it keeps the character set `filename` to itself
    name_from_files="",  # RENAME is atomic in its dictionary, which is all that is listed
    keeps_dates=True,
    moves_directories=True,
    foreign_keys="SELECT FOR_NAME, REF_NAME FROM information_schema.INNODB_FOREIGN",
    name_in_keys="{}",
    tablespaces="SELECT NAME FROM information_schema.INNODB_TABLESPACES_BRIEF",
    unusable_index="IS_VISIBLE = 'NO'",
    routine_right="SHOW_ROUTINE ON *.*",
    snapshot_rights=("BACKUP_ADMIN", "RELOAD", "REPLICATION CLIENT", "PROCESS"),
    skip_log_rights=("SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER"),
    log_rights=("REPLICATION SLAVE", "REPLICATION CLIENT"),
    session_right="SESSION_VARIABLES_ADMIN",
    definer_right="SET_USER_ID",
    fence_rights=("SUPER",),
    packages=False,
    sequences=False,
    history=False,
    last_moment="2038-01-19 03:14:07.499999",
    needless_modes=frozenset({"NO_AUTO_CREATE_USER"}),
    roles_are_marked=False,
    prepared_ddl=False,
    schema_comment="''",
    repeated_charsets=True,
    # Deprecated are syntax and character sets (1287), utf8 and utf8mb3 (3719, 3778), collations of such
    # sets (6414). Bytes that an 8-bit set does not define are kept (1300).
    harmless=re.compile(r"(?:1287|3719|3778|6414) |1300 Invalid (?!utf|ucs|binary)\w+ "),
    replaces_routines=False,
    # The first SELECT gives a recursive query its types, and the numbers of the second become members.
    # Source: https://dev.mysql.com/doc/refman/8.4/en/with.html
    member_labels="WITH RECURSIVE member (n, label) AS (SELECT 0, t.{column} FROM (SELECT 1) AS one"
    " LEFT JOIN {table} AS t ON FALSE UNION ALL SELECT n + 1, {next} FROM member WHERE n < {count})"
    " SELECT /*+ SET_VAR(cte_max_recursion_depth = 65536) */ HEX(CONVERT(label USING utf8mb4))"
    " FROM member WHERE n > 0 ORDER BY n",
    knows_engines=True,
    flush_bars=True,
    # Without an exponent they have at most 24 characters; a FLOAT by way of an expression fewer.
    long_doubles=False,
    spoils_expressions=True,
    forgets_compression=True,
    keeps_view_columns=True,
    needs_parents_database=True,
    replication=replication.MYSQL,
)
_MYSQL_8_2 = replace(
    _MYSQL_8_0,
    minimum=(8, 2, 0),
    exact_float="CAST({} AS DOUBLE)",
    position="SHOW BINARY LOG STATUS",
    definer_right="SET_ANY_DEFINER",
)
# Newest first within a vendor: the first row whose minimum the server reaches describes it.
_MARIADB: Final = (_MARIADB_11_5, _MARIADB_11_3, _MARIADB_10_11, _MARIADB_10_6)
FLAVORS: Final = (*_MARIADB, _MYSQL_8_2, _MYSQL_8_0)

# What every session is set to and must read back; a name that the server does not know is left out.
# sql_mode: nearly empty, it reads CHAR unpadded and prints SHOW CREATE with backticks; the loading mode keeps 0 in
# AUTO_INCREMENT columns, odd dates, and refuses a missing engine. The time zone makes TIMESTAMP
# literals mean the same on both sides. sql_select_limit, *_execution_time and system_versioning_asof
# would silently cut or change results if a server sets them globally.
COMMON_SESSION: Final = {
    "time_zone": "+00:00",
    "sql_quote_show_create": "1",
    # On, SHOW CREATE TABLE prints row formats that nobody asked for, or leaves out what somebody did.
    "show_create_table_verbosity": "0",
    "show_create_table_skip_secondary_engine": "0",
    "sql_auto_is_null": "0",
    "sql_select_limit": "18446744073709551615",
    "sql_safe_updates": "0",
    "sql_big_selects": "1",
    "max_execution_time": "0",
    "max_statement_time": "0",
    "net_write_timeout": "3600",
    "net_read_timeout": "3600",
    "wait_timeout": "86400",
    # What these change is kept in stored generated columns and indexes.
    "div_precision_increment": "4",
    "default_week_format": "0",
    "lc_time_names": "en_US",
    "information_schema_stats_expiry": "0",
    "show_gipk_in_create_table_and_information_schema": "1",
    "print_identified_with_as_hex": "1",
    "completion_type": "NO_CHAIN",
    "tx_read_only": "0",
    "transaction_read_only": "0",
    "idle_transaction_timeout": "0",
    "idle_readonly_transaction_timeout": "0",
    "idle_write_transaction_timeout": "0",
    "system_versioning_asof": "DEFAULT",
    "lock_wait_timeout": "10",
    # At 0 a server counts warnings and keeps none of them, so that nobody could say which it was.
    "max_error_count": "1024",
}
DUMP_SESSION: Final = {
    **COMMON_SESSION,
    # Without it MySQL refuses a bound that no calendar has (1525), such as the key of such a row.
    "sql_mode": "ALLOW_INVALID_DATES",
    "autocommit": "1",
}
LOAD_SESSION: Final = {
    **COMMON_SESSION,
    "sql_mode": "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION",
    "autocommit": "1",
    "foreign_key_checks": "0",
    # Off, it would bring InnoDB's bulk insert into empty tables: an exclusive table lock, slower by
    # half for our statements when measured, and MDEV-30321, MDEV-33809 and others.
    "unique_checks": "1",
    "check_constraint_checks": "0",
    "sql_generate_invisible_primary_key": "0",
    "sql_require_primary_key": "0",
    "restrict_fk_on_non_standard_key": "0",
    "innodb_strict_mode": "0",
    # Else tables get options that their definitions do not ask for.
    "innodb_compression_default": "OFF",
    "innodb_default_encryption_key_id": "1",
    # A MEMORY table may have been filled under a larger limit than the global one. 1 TiB.
    "max_heap_table_size": "1099511627776",
    # Else a TIMESTAMP without a default gets one.
    "explicit_defaults_for_timestamp": "1",
    # The value of this name; in capitals it would be the keyword, which means the global value.
    "alter_algorithm": "default",
    "system_versioning_alter_history": "KEEP",
    "lock_wait_timeout": "60",
    "innodb_lock_wait_timeout": "60",
}

# Where a user may not set these, they stay: all that they can do then is to refuse a definition.
REFUSING_VARIABLES: Final = frozenset({
    "innodb_strict_mode",
    "restrict_fk_on_non_standard_key",
    "sql_require_primary_key",
})

# Never backed up: the server makes them itself.
# They are printed in small letters everywhere; `SYS` is another one where case counts.
SYSTEM_SCHEMAS: Final = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
# What they show is kept elsewhere, or nowhere.
VIRTUAL_SCHEMAS: Final = frozenset({"information_schema", "performance_schema"})


def flavor_of(version: str) -> Flavor:
    """
    Find the row for a server.

    Args:
        version: What VERSION() returned.

    Returns:
        The newest row that the server reaches.

    Raises:
        IncompatibleServerError: Older than anything described here.
    """
    vendor = "mariadb" if "mariadb" in version.lower() else "mysql"
    number = version_number(version)
    for flavor in FLAVORS:
        if flavor.vendor == vendor and number >= flavor.minimum:
            return flavor
    raise IncompatibleServerError(
        f"{vendor} {version} is too old",
        hint="MariaDB 10.6 and MySQL 8.0 are the oldest that Backstay reads.",
    )


def version_number(version: str) -> tuple[int, int, int]:
    """Return the three numbers of VERSION(); old replicas print `5.5.5-` before MariaDB's own."""
    text = version.removeprefix("5.5.5-") if "mariadb" in version.lower() else version
    numbers = [int(part) for part in re.findall(r"\d+", text.split("-")[0])[:3]]
    major, minor, patch, *_ = [*numbers, 0, 0, 0]
    return major, minor, patch


def series_of(version: str) -> tuple[int, int]:
    """Return the numbers of VERSION() in which definitions may be printed otherwise."""
    major, minor, _ = version_number(version)
    return major, minor
