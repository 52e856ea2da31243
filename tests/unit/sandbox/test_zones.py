"""Time zones for the tables of a server."""

import struct
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from app.sandbox import zones
from tests.fixtures.servers import OwnServers, Sql


def test_a_server_knows_the_zones_of_the_machine(own_server: OwnServers):
    """What it converts by name is what Python converts."""
    with Sql(own_server().url) as sql:
        sql.script(zones.zone_statements())
        for name in ("Europe/Moscow", "America/New_York", "Asia/Kathmandu", "UTC"):
            for year, month in ((1985, 6), (2024, 1), (2024, 7)):
                at = datetime(year, month, 1, 12, tzinfo=UTC)
                ((found,),) = sql.run(f"SELECT CONVERT_TZ('{at:%F %T}', '+00:00', '{name}')")
                assert found == at.astimezone(ZoneInfo(name)).replace(tzinfo=None)


def test_a_file_that_tells_its_times_by_a_rule_is_left_out():
    """Half a zone would change values in silence; an unknown one ends a replay."""
    empty = struct.pack(">4s1s15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + bytes(6) + b"LMT\0"
    later = struct.pack(">4s1s15x6l", b"TZif", b"2", 0, 0, 0, 1, 1, 4)

    assert zones._parse(empty + later) is None
