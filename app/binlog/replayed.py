"""Variables of a server that a replay of its binary log depends on, and the log does not hold."""

from typing import Final


# The log keeps what a session was set to, but for these: a definition that does not name its engine,
# row format or character set gets another one by them, silently.
AS_OPTIONS: Final[tuple[str, ...]] = (
    "lower_case_table_names",
    "innodb_page_size",
    "default_storage_engine",
    "character_set_server",
    "collation_server",
    "explicit_defaults_for_timestamp",
    "innodb_default_row_format",
    "innodb_strict_mode",
    "sql_mode",
    "max_allowed_packet",
)
# Of these nothing at all is in the log: where one is another than it was, the same log means something else.
UNLOGGED: Final[tuple[str, ...]] = (
    "default_storage_engine",
    "explicit_defaults_for_timestamp",
    "innodb_default_row_format",
)
ZONE: Final = "time_zone"
# What the machine calls its zone, where that of the server is `SYSTEM`.
MACHINE_ZONE: Final = "system_time_zone"
REPLAYED: Final = (*AS_OPTIONS, ZONE, MACHINE_ZONE)
