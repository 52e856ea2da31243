"""Which scratch server a replay needs: what the source was set to wherever a definition or a value depends on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.engine.replication import Replication
from app.errors import ScratchUnavailableError
from app.sandbox.scratch import ScratchWish


# The log keeps what a session was set to, but for these: a definition that does not name its engine,
# row format or character set gets another one by them, silently.
_TAKEN: Final = (
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
_ZONE: Final = "system_time_zone"
_NO_OFFSET: Final = frozenset({"", "UTC", "GMT", "UCT", "Universal", "Zulu", "Etc/UTC"})


def scratch_wish(
    vendor: str,
    replication: Replication,
    settings: Mapping[str, str],
    *,
    zone: str,
    databases: Sequence[str],
    programs: Path | None,
) -> ScratchWish:
    """
    Say which scratch server is needed.

    Args:
        vendor: `mariadb` or `mysql`.
        replication: Its words for a replay.
        settings: Variables of the source by name, as they were recorded with its log.
        zone: IANA name of the zone of the source's machine; empty = it is not known.
        databases: Which are replayed; empty = all.
        programs: Directory of its programs; None = where this machine has them.

    Returns:
        What `open_scratch` takes.

    Raises:
        ScratchUnavailableError: The source takes its machine's zone for its own, and nobody said which.
    """
    given = settings.get(_ZONE, "")
    if settings.get("time_zone", "SYSTEM") == "SYSTEM" and given not in _NO_OFFSET and not zone:
        raise ScratchUnavailableError(
            f"the server's time zone is that of its machine, {given}, which has no unique name",
            hint="Set BACKSTAY_SERVER_TIME_ZONE to its name, such as Europe/Berlin.",
        )
    taken = [f"--{name.replace('_', '-')}={settings[name]}" for name in _TAKEN if name in settings]
    only = [f"--replicate-wild-do-table={_pattern(database)}.%" for database in databases]
    return ScratchWish(vendor, (*replication.options, *taken, *only), zone=zone, programs=programs)


def _pattern(name: str) -> str:
    """Write a name so that it stands for itself in a pattern of LIKE."""
    return "".join(f"\\{letter}" if letter in "_%\\" else letter for letter in name)
