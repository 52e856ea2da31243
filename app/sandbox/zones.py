"""
Time zones as a server's tables hold them, made from the zones of this machine.

A server knows zones by name only where somebody has filled its tables; a scratch server needs those that its
source had, and the vendors' programs for it are not on every machine.

Source: RFC 8536 for the files; https://mariadb.com/kb/en/mysqltime_zone-table and those beside it.
"""

import struct
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import TZPATH, available_timezones


_HEADER: Final = struct.Struct(">4s1s15x6l")
# A statement stays far below any max_allowed_packet.
_ROWS: Final = 5000
_TABLES: Final = (
    "time_zone",
    "time_zone_name",
    "time_zone_transition",
    "time_zone_transition_type",
)


class _Zone(NamedTuple):
    """
    One file.

    Attributes:
        transitions: Seconds since 1970, and the number of the type that begins there.
        types: Offset from UTC in seconds, whether it is summer time, and abbreviation.
    """

    transitions: Sequence[tuple[int, int]]
    types: Sequence[tuple[int, int, str]]


def zone_statements() -> Iterator[str]:
    """
    Fill the tables of a server with the zones of this machine.

    Yields:
        Statements, for an account that may write the system schema.
    """
    rows: dict[str, list[str]] = {table: [] for table in _TABLES}
    for number, name in enumerate(sorted(available_timezones()), start=1):
        data = _read(name)
        zone = _parse(data) if data else None
        if zone is None:
            continue
        rows["time_zone"].append(f"({number},'N')")
        rows["time_zone_name"].append(f"('{name}',{number})")
        rows["time_zone_transition"] += [f"({number},{at},{kind})" for at, kind in zone.transitions]
        rows["time_zone_transition_type"] += [
            f"({number},{kind},{offset},{summer},'{label}')"
            for kind, (offset, summer, label) in enumerate(zone.types)
        ]
    for table in _TABLES:
        yield f"TRUNCATE TABLE mysql.{table}"
        for begin in range(0, len(rows[table]), _ROWS):
            values = ",".join(rows[table][begin : begin + _ROWS])
            yield f"INSERT INTO mysql.{table} VALUES {values}"


def _read(name: str) -> bytes | None:
    for root in TZPATH:
        if (file := Path(root) / name).is_file():
            return file.read_bytes()
    try:
        return resources.files("tzdata.zoneinfo").joinpath(name).read_bytes()
    except (ModuleNotFoundError, OSError):
        return None


def _parse(data: bytes) -> _Zone | None:
    """
    Read the first block of a file, whose times have 32 bits as a server's have.

    Returns:
        The zone; None of a file that keeps its times in the second block and by a rule: an unknown zone
        ends a replay, a half known one would change its values.
    """
    _, version, _, _, _, times, types, chars = _HEADER.unpack_from(data)
    if not times and version >= b"2" and _HEADER.unpack_from(data, _second(data))[5]:
        return None
    at = _HEADER.size
    moments = struct.unpack_from(f">{times}l", data, at)
    kinds = data[at + 4 * times : at + 5 * times]
    at += 5 * times
    labels = data[at + 6 * types : at + 6 * types + chars]
    found = [struct.unpack_from(">lBB", data, at + 6 * index) for index in range(types)]
    return _Zone(
        list(zip(moments, kinds, strict=True)),
        [
            (offset, summer, labels[place : labels.index(b"\0", place)].decode("ascii"))
            for offset, summer, place in found
        ],
    )


def _second(data: bytes) -> int:
    """Return where the second block begins."""
    isut, isstd, leap, times, types, chars = _HEADER.unpack_from(data)[2:]
    length: int = times * 5 + types * 6 + chars + leap * 8 + isstd + isut
    return _HEADER.size + length
