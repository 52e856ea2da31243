"""What a recovery is planned from: no break and no gap is passed over, whatever clocks say."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.binlog.archive.layout import root_of
from app.binlog.archive.reading import open_streams
from app.binlog.archive.streams import change_stream_document
from app.binlog.archive.writing import StreamWriter
from app.binlog.ownership import Ownership
from app.binlog.status import ArchiverStatus, write_status
from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Codec
from app.domain.restores.log_archive import ArchiverState
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.errors import BaseUnfitError, PointNotCoveredError
from app.services.point_in_time.archive_end import end_of
from app.services.point_in_time.plan import plan_recovery
from app.services.point_in_time.scratch import ScratchPlace
from app.services.point_in_time.service import PointInTimeService
from app.services.point_in_time.standing import breaks_since
from app.storage.local import LocalDirectory
from tests.fixtures.binlog import corpus, document_of, events_of, go_on
from tests.fixtures.logged_installation import LoggedInstallation


def opened(made):
    (stream,) = open_streams(made.store.path)
    return stream


def plan(made, point, told=None):
    """Plan with all the backups that are there."""
    those = (made.store.catalogue.manifest(backup_id) for backup_id in made.store.ids())
    return plan_recovery(opened(made), those, RecoverRequest(point), told)


async def test_a_backup_recovered_to_before_a_break_is_no_base_for_what_follows_it(tmp_path):
    """It was made after the break, and holds what was there before."""
    made = LoggedInstallation(tmp_path)
    base = await made.back_up(2)
    made.store.passes(days=1)
    made.note_break(5)
    made.store.passes(days=1)
    recovered = await made.back_up(3, recovered_from=base.backup_id)

    with pytest.raises(BaseUnfitError, match=f"{recovered.backup_id}: .* of a test"):
        plan(made, made.point(9))
    assert plan(made, made.point(5)).base == recovered
    for manifest in (base, recovered):
        assert [found.reason for found in breaks_since(opened(made), manifest)] == ["of a test"]


async def test_a_backup_of_another_history_is_no_base_though_position_and_gtids_fit(tmp_path):
    """A server that was put back from a copy does alike what it did before: it may come to the same GTIDs there."""
    made = LoggedInstallation(tmp_path)
    early = await made.back_up(2, at=made.born - timedelta(minutes=1))
    with pytest.raises(BaseUnfitError, match=f"{early.backup_id}: .* before this archive"):
        plan(made, made.point(9))
    made.store.passes(days=1)
    late = await made.back_up(2, recovered_from=early.backup_id)
    assert plan(made, made.point(9)).base == late

    foreign = replace(late, recovered_in="f" * 12)
    with pytest.raises(BaseUnfitError, match=f"{late.backup_id}: .* from another archive"):
        plan_recovery(opened(made), iter([foreign]), RecoverRequest(made.point(9)))


async def test_a_backup_by_a_clock_that_was_behind_is_no_base_of_what_was_before_it(tmp_path):
    """What it holds is told by its place in the log."""
    made = LoggedInstallation(tmp_path)
    await made.back_up(2)
    *_, last = opened(made).transactions()
    before = last.committed_at - timedelta(seconds=1)

    assert made.store.clock.now() < before
    with pytest.raises(PointNotCoveredError, match="no backup was made before"):
        plan(made, Point(PointKind.TIME, "then", at=before))


async def test_a_database_that_is_named_twice_is_one(tmp_path):
    """Also for the server that replays it."""
    made = LoggedInstallation(tmp_path)
    base = await made.back_up(2)
    name = base.databases[0].name

    planned = plan_recovery(opened(made), iter([base]), RecoverRequest(made.point(3), (name, name)))

    assert planned.databases == (name,)


@pytest.mark.parametrize("kind", [PointKind.GTID, PointKind.BEFORE_GTID])
async def test_a_transaction_that_sequences_skipped_is_not_held(tmp_path, kind):
    """It would stand behind the backup, so no other backup is asked for."""
    made = LoggedInstallation(tmp_path)
    await made.back_up(2)

    with pytest.raises(PointNotCoveredError, match="does not hold 0-1-009: it reaches from"):
        plan(made, Point(kind, "0-1-009"))


@pytest.mark.parametrize("days", [1, -1])
async def test_a_break_behind_a_backup_counts_whatever_the_clock_said(tmp_path, days):
    """And one at its place only where it is later."""
    made = LoggedInstallation(tmp_path)
    await made.back_up(2)
    made.store.clock.advance(days=days)
    made.note_break(5)
    with pytest.raises(BaseUnfitError, match="of a test"):
        plan(made, made.point(9))
    made.store.clock.advance(days=1)

    later = await made.back_up(5)

    assert plan(made, made.point(9)).base == later
    assert breaks_since(opened(made), later) == ()


async def test_a_break_at_the_end_of_the_log_lies_before_what_is_wanted_later(tmp_path):
    """Nothing was logged since: at its position nobody can say on which side of it, at a moment one can."""
    made = LoggedInstallation(tmp_path)
    last = len(made.borders) - 1
    await made.back_up(2)
    made.store.passes(days=400)
    made.note_break(last)
    before, behind = (made.store.clock.now() + timedelta(minutes=by) for by in (0, 2))

    stream = opened(made)
    told = ArchiverStatus(
        ArchiverState.LIVE, stream.id, stream.window[1], round(behind.timestamp() * 1000)
    )

    for point in (Point(PointKind.TIME, "then", at=behind), end_of(stream, behind)):
        with pytest.raises(BaseUnfitError, match="of a test"):
            plan(made, point, told)
    for point in (Point(PointKind.TIME, "then", at=before), made.point(last)):
        assert plan(made, point, told).cut.following is None


async def test_a_moment_is_covered_up_to_the_last_commit_or_as_the_archiver_has_told(tmp_path):
    """What was received later may have been committed long before."""
    made = LoggedInstallation(tmp_path)
    await made.back_up(2)
    stream = opened(made)
    last = datetime.fromtimestamp(stream.committed_ms / 1000, UTC)
    then = last + timedelta(minutes=20)
    point = Point(PointKind.TIME, "then", at=then)
    with pytest.raises(PointNotCoveredError):
        plan(made, point)
    assert plan(made, replace(point, at=last)).cut.following is None

    told = ArchiverStatus(
        ArchiverState.LIVE, stream.id, stream.window[1], round(then.timestamp() * 1000)
    )

    assert plan(made, point, told).cut.following is None


async def test_what_is_recovered_as_of_now_is_of_the_stream_that_grows(tmp_path):
    """By its own times an ended one may be newer: it began while the clock was ahead."""
    made = LoggedInstallation(tmp_path)
    base = await made.back_up(2)
    growing, now = opened(made), made.store.clock.now()
    root = LocalDirectory(root_of(made.store.path))
    ended = LocalDirectory(root.path / ("f" * 12))
    ahead = (now + timedelta(days=1)).isoformat()
    first, second = corpus("mariadb-10.11")
    document = replace(document_of(first), stream="f" * 12, began_at=ahead, ended_at=ahead)
    writer = StreamWriter.begin(ended, document, Codec.NONE)
    go_on(writer, events_of(first), [second]).close()
    status = ArchiverStatus(
        ArchiverState.LIVE, growing.id, growing.window[1], round(now.timestamp() * 1000)
    )
    service = PointInTimeService(
        catalogue=made.store.catalogue,
        clock=made.store.clock,
        place=ScratchPlace(tmp_path / "scratch", None, "", 60.0),
        backup_dir=made.store.path,
        codec=Codec.NONE,
        chunk_bytes=1 << 20,
    )
    with closing(Ownership.take(root)):
        write_status(root, status)
        plan_now = await service.plan_newest(BackupRequest())
        assert (plan_now.stream, plan_now.base) == (growing.id, base)

        change_stream_document(made.directory, lambda found: replace(found, ended_at=ahead))
        with pytest.raises(PointNotCoveredError, match="broken off"):
            await service.plan_newest(BackupRequest())
