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
    "sql_mode",
    "max_allowed_packet",
    "innodb_compression_default",
    # What MariaDB takes the word utf8 for, and which format a DATETIME has.
    "old_mode",
    "mysql56_temporal_format",
    # What statements compute that are logged in place of rows, as MariaDB logs some by default.
    "block_encryption_mode",
    "cte_max_recursion_depth",
    "default_regex_flags",
    "default_week_format",
    "div_precision_increment",
    "ft_max_word_len",
    "ft_min_word_len",
    "group_concat_max_len",
    "innodb_ft_enable_stopword",
    "innodb_ft_max_token_size",
    "innodb_ft_min_token_size",
    "max_recursive_iterations",
    "max_sort_length",
    "ngram_token_size",
    "old_passwords",
)
# MariaDB makes tables by it whatever engine a definition names, which the log has; tables of before may have another.
ENFORCED: Final = "enforce_storage_engine"
# Of these nothing at all is in the log: where one is another than it was, the same log means something else.
# No variable: OFF where the server's own tables know no zone by name, so that CONVERT_TZ gives NULL.
NAMED_ZONES: Final = "named_time_zones"
UNLOGGED: Final[tuple[str, ...]] = (
    NAMED_ZONES,
    "default_storage_engine",
    "explicit_defaults_for_timestamp",
    "innodb_default_row_format",
    "innodb_compression_default",
    "old_mode",
    "mysql56_temporal_format",
    ENFORCED,
)
ZONE: Final = "time_zone"
# What the machine calls its zone, where that of the server is `SYSTEM`.
MACHINE_ZONE: Final = "system_time_zone"
REPLAYED: Final = (*AS_OPTIONS, ENFORCED, ZONE, MACHINE_ZONE)
