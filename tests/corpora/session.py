"""What every corpus shares: the session that may store anything, and string literals."""

from tests.fixtures.chosen_server import IS_MYSQL


Statements = list[str]

# Without strict mode, so that zero dates, ENUM index 0 and rows against their own CHECK can be stored at all.
PRELUDE = (
    "SET NAMES utf8mb4",
    (
        "SET SESSION sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', "
        "time_zone='+00:00', innodb_strict_mode=0"
    ),
    # MySQL has no such switch: there a CHECK is NOT ENFORCED, or its rows keep it.
    "SET SESSION restrict_fk_on_non_standard_key=0"
    if IS_MYSQL
    else "SET SESSION check_constraint_checks=0",
)


def text(value: str) -> str:
    """Write a utf8mb4 literal in hex, which no client and no sql_mode can change."""
    return f"_utf8mb4 X'{value.encode().hex()}'"


def name(value: str) -> str:
    """Quote an identifier."""
    return "`" + value.replace("`", "``") + "`"
