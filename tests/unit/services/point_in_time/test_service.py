"""Recoveries are planned from bases that are not known to be damaged."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from app.binlog.archive.documents import STREAMS
from app.binlog.archive.keys import PLAIN
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.backups.check_notes import Check
from app.domain.backups.manifest import Codec
from app.domain.restores.log_archive import TransactionQuery
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.errors import BinlogDamagedError, PointNotCoveredError
from app.services.binlog.search import search as find_transactions
from app.services.point_in_time.reach import ReachService
from app.services.point_in_time.scratch import ScratchPlace
from app.services.point_in_time.service import PointInTimeService
from tests.fixtures.binlog import corpus, document_of
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


async def test_a_damaged_stream_is_in_the_way_of_older_points_alone(tmp_path):
    """What a newer one reaches is not refused because of it, and no older one answers for it."""
    made = LoggedInstallation(tmp_path)
    base = await made.back_up(1)
    service = PointInTimeService(
        catalogue=made.store.catalogue, clock=made.store.clock, codec=Codec.NONE,
        chunk_bytes=1 << 20, place=ScratchPlace(tmp_path / "scratch", None, "", 60.0),
        backup_dir=made.store.path,
    )  # fmt: skip
    request = RecoverRequest(made.point(2), (), 1)

    def beside(began):
        """Put another stream there, which is damaged."""
        other = made.directory.path.parent / "ba9876543210"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(made.directory.path, other)
        document = replace(
            document_of(corpus("mariadb-10.11")[0], began.isoformat()), stream=other.name
        )
        (other / "stream.json").write_bytes(STREAMS.dump(document))
        return other

    older = beside(made.born - timedelta(days=1))
    assert (await service.plan(request)).base.backup_id == base.backup_id
    search = TransactionQuery(limit=2)
    with pytest.raises(BinlogDamagedError):
        await find_transactions(made.store.path, PLAIN, search)
    (older / "stream.json").write_bytes(b"x")
    os.utime(older / "stream.json", (0, 0))
    assert (await service.plan(request)).base.backup_id == base.backup_id
    newer = beside(made.born + timedelta(days=1))
    with pytest.raises(BinlogDamagedError):
        await service.plan(request)
    (newer / "stream.json").unlink()
    with pytest.raises(BinlogDamagedError):
        await service.plan(request)
