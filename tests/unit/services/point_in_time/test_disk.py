"""Whether there is room for a recovery, before it begins."""

from dataclasses import replace

import pytest

from app.domain.backups.manifest import Codec, PositionEntry
from app.domain.ids import parse_backup_id
from app.domain.restores.points import Cut, Place, Point, PointKind, RecoverPlan, RecoverRequest
from app.errors import StorageFullError
from app.services.point_in_time.disk import measured
from tests.fixtures.archives import draft_of


def plan_of(rows, log_bytes, databases=()):
    """Plan a recovery from a base with so many rows."""
    base = draft_of(parse_backup_id("backup_65ba1f2f3d4e5"), Codec.GZIP, {"orders": rows})
    point = Point(PointKind.POSITION, "binlog.000001:4", file="binlog.000001", position=4)
    cut = Cut(Place(1, 4), "binlog.000001", None, None, 0, "", PositionEntry())
    return RecoverPlan(RecoverRequest(point, (), 1), "s", base, cut, databases, log_bytes, ())


def needed(plan, root):
    space = measured(plan, root).space
    assert space
    return space.needed


def test_more_data_and_more_log_need_more_disk_and_what_is_there_is_enough(tmp_path):
    """The directory need not be there yet; databases that are left out need nothing."""
    small = plan_of(10, 0)
    measured(small, tmp_path / "none" / "yet").require_possible()
    assert needed(plan_of(10, 1000), tmp_path) - needed(small, tmp_path) >= 2000
    shop = small.base.databases[0]
    large = replace(shop, tables=tuple(replace(table, raw_size=10**6) for table in shop.tables))
    plan = replace(small, base=replace(small.base, databases=(large,)))
    assert needed(plan, tmp_path) > needed(small, tmp_path) + 10**6
    assert needed(replace(plan, databases=("other",)), tmp_path) <= needed(small, tmp_path)


def test_a_recovery_for_which_there_is_no_room_is_refused_as_a_restore_is(tmp_path):
    """The plan says so, and nothing is begun."""
    plan = measured(plan_of(10, 1 << 60), tmp_path)
    assert [problem.code for problem in plan.problems] == ["storage-full"]
    with pytest.raises(StorageFullError, match="state directory"):
        plan.require_possible()
