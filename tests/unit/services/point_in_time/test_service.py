"""Recoveries are planned from bases that are not known to be damaged."""

from dataclasses import replace

import pytest

from app.binlog.archive.keys import PLAIN
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.backups.check_notes import Check
from app.domain.backups.manifest import Codec
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.errors import PointNotCoveredError
from app.services.point_in_time.reach import ReachService
from app.services.point_in_time.scratch import ScratchPlace
from app.services.point_in_time.service import PointInTimeService
from tests.fixtures.logged_installation import LoggedInstallation


async def test_a_damaged_base_is_in_the_way_of_no_point(tmp_path):
    """The one before it is taken; without any, it is said before a server is started for nothing."""
    made = LoggedInstallation(tmp_path)
    older, newer = await made.back_up(0), await made.back_up(1)
    file, position, _ = made.borders[2]
    request = RecoverRequest(
        Point(PointKind.POSITION, f"{file}:{position}", file=file, position=position), (), 1
    )
    settings = Settings(backup_dir=made.store.path, state_dir=tmp_path / "state")
    program = Program(settings)
    service = PointInTimeService(
        catalogue=program.local, clock=made.store.clock, codec=Codec.NONE, chunk_bytes=1 << 20,
        place=ScratchPlace(tmp_path / "scratch", None, "", 60.0), backup_dir=made.store.path,
    )  # fmt: skip

    def damage(manifest):
        failed = Check(made.store.clock.now(), success=False, seconds=1, error="checksum-mismatch")
        made.store.catalogue.change_notes(
            manifest.backup_id, lambda notes: replace(notes, checks={"content": failed})
        )

    assert (await service.plan(request)).base.backup_id == newer.backup_id
    damage(newer)
    reach = ReachService(
        binlog=program.binlog, catalogue=program.local, backup_dir=made.store.path, keys=PLAIN,
        clock=made.store.clock,
    )  # fmt: skip

    assert (await service.plan(request)).base.backup_id == older.backup_id
    assert [base.backup_id for base in (await reach.read()).bases] == [older.backup_id]
    damage(older)
    with pytest.raises(PointNotCoveredError):
        await service.plan(request)
    await program.close()
