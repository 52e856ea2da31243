"""Which scratch server a replay needs: what the source was set to wherever a definition or a value depends on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.binlog.replayed import AS_OPTIONS, MACHINE_ZONE, ZONE
from app.engine.replication import Replication
from app.engine.schema.databases import scratch_schemas
from app.errors import ScratchUnavailableError
from app.sandbox.scratch import ScratchOptions


_NO_OFFSET: Final = frozenset({"", "UTC", "GMT", "UCT", "Universal", "Zulu", "Etc/UTC"})


def scratch_options(
    vendor: str,
    replication: Replication,
    settings: Mapping[str, str],
    *,
    zone: str,
    databases: Sequence[str],
    programs: Path | None,
) -> ScratchOptions:
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
    given = settings.get(MACHINE_ZONE, "")
    if settings.get(ZONE, "SYSTEM") == "SYSTEM" and given not in _NO_OFFSET and not zone:
        raise ScratchUnavailableError(
            f"the server's time zone is that of its machine, {given}, which has no unique name",
            hint="Set BACKSTAY_SERVER_TIME_ZONE to its name, such as Europe/Berlin.",
        )
    taken = [
        f"--{name.replace('_', '-')}={settings[name]}" for name in AS_OPTIONS if name in settings
    ]
    patterns = [(_pattern(database), *scratch_schemas(database)) for database in databases]
    only = [f"--replicate-wild-do-table={pattern}.%" for found in patterns for pattern in found]
    return ScratchOptions(
        vendor, (*replication.options, *taken, *only), zone=zone, programs=programs
    )


def _pattern(name: str) -> str:
    """Write a name so that it stands for itself in a pattern of LIKE."""
    return "".join(f"\\{letter}" if letter in "_%\\" else letter for letter in name)
