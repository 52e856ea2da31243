"""Retention of the binary log and of its bases, on real files: no point of the window is ever lost."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from app.age.x25519 import Identity
from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.pruning import leased
from app.binlog.archive.reading import open_stream, open_streams
from app.domain.restores.points import RecoverRequest
from app.errors import BackupInUseError
from app.services.backups.retention_items import item_in
from app.services.log_retention.kept_log import KeptLog
from app.services.point_in_time.plan import plan_recovery
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.logged_installation import LoggedInstallation
from tests.fixtures.series import series


@pytest.mark.long
@pytest.mark.parametrize("seed", range(series(6, 200)))
async def test_retention_never_removes_a_segment_or_a_base_of_the_window(tmp_path, seed):
    """P17: whatever is made, fails, is broken and pruned, what could be recovered of the window still can be."""
    draw = random.Random(seed)  # noqa: S311 - of a test
    days = draw.choice([0, 1, 2.5, 4])
    made = LoggedInstallation(tmp_path, max_backups=draw.randint(1, 3), binlog_days=days)
    for day in range(len(made.borders)):
        if draw.random() < 0.75:
            gtid = "0-1-99999" if draw.random() < 0.2 else None
            await made.back_up(day, gtid=gtid, verify=draw.random() < 0.8)
        if draw.random() < 0.15:
            made.note_break(day)
        first = max(0, day - int(days)) if days else 0
        before = made.recoverable(first, day)
        if days:
            expected = before
        else:  # nothing is promised but what the backups that stay can do
            plan = await made.store.retention.plan()
            gone = {decision.item.backup_id for decision in plan.deleted}
            expected = set()
            if not gone:
                expected = before
        result = await made.store.retention.prune()
        assert result.error is None
        assert expected <= made.recoverable(first, day)
        for stream in open_streams(made.store.path):
            stream.verify()
        made.store.passes(days=1)


async def test_a_base_of_the_window_stays_with_its_reason_and_the_log_from_it_on(tmp_path):
    """Without a window the rules alone count, and the log begins at the oldest backup that stays."""
    made = LoggedInstallation(tmp_path, max_backups=1, binlog_days=3)
    for day in range(6):
        await made.back_up(day)
        made.store.passes(days=1)
    newest = made.store.ids()[0]
    plan = await made.store.retention.plan()
    reasons = {decision.item.backup_id: decision.reason for decision in plan.kept}
    oldest = min(reasons)
    assert reasons[oldest] == "base of the points in time of the last 3 days"
    assert made.store.catalogue.manifest(oldest).position.binlog_position == made.borders[2][1]
    (log,) = plan.log
    assert log.segments == 2
    assert not log.is_whole

    done = await made.store.retention.prune()
    assert done.log == plan.log
    (stream,) = open_streams(made.store.path)
    assert f"{stream.files[0].name}:{stream.files[0].start}" == log.begins_at

    made.store.settings = made.store.settings.model_copy(update={"binlog_days": 0})
    assert (await made.store.retention.prune()).error is None
    assert newest in made.store.ids()
    assert oldest not in made.store.ids()
    (stream,) = open_streams(made.store.path)
    assert stream.files[0].start > int(log.begins_at.rpartition(":")[2])


async def test_nothing_of_the_log_goes_while_a_recovery_reads_it(tmp_path):
    """The next prune takes it; that one is no failure."""
    made = LoggedInstallation(tmp_path, max_backups=1)
    for day in range(6):
        await made.back_up(day)
        made.store.passes(days=1)
    with leased(made.directory):
        result = await made.store.retention.prune()
    assert [type(pruning.error) for pruning in result.log] == [BackupInUseError]
    assert result.error is None
    assert open_stream(made.directory).files[0].start == 0
    assert (await made.store.retention.prune()).log[0].segments > 0
    assert (await made.store.retention.prune()).log == ()


async def test_a_stream_that_ended_goes_when_no_backup_needs_it(tmp_path):
    """A day later at the earliest: a backup that was running then may still be its base."""
    made = LoggedInstallation(tmp_path, max_backups=1)
    made.end()
    await made.store.make()
    assert (await made.store.retention.prune()).log == ()
    made.store.passes(days=2)
    (log,) = (await made.store.retention.prune()).log
    assert log.is_whole
    assert open_streams(made.store.path) == []


async def test_without_a_base_nothing_of_a_running_log_goes(tmp_path):
    """Also when there are backups, and none of them stands in it."""
    made = LoggedInstallation(tmp_path, max_backups=1, binlog_days=1)
    for day in range(4):
        await made.back_up(day, gtid="0-1-99999")
        made.store.passes(days=3)
    assert (await made.store.retention.prune()).log == ()


async def test_of_a_damaged_log_nothing_goes_and_what_may_be_a_base_stays(tmp_path):
    """It is told; somebody may put back what is missing."""
    made = LoggedInstallation(tmp_path, max_backups=1, binlog_days=3)
    for day in range(6):
        await made.back_up(day)
        made.store.passes(days=1)
    names = sorted(made.directory.names())
    made.directory.remove(next(name for name in names if name.endswith("6.json")))
    result = await made.store.retention.prune()
    assert result.error is not None
    assert result.error.code == "binlog-damaged"
    # The newest, the base, and the one that will take its place.
    assert len(made.store.ids()) == 3
    assert len(made.directory.names()) >= len(names) - 1


async def test_where_a_backup_stands_that_nobody_here_reads_is_told_by_no_clock(tmp_path):
    """It was made under a clock that was ahead, and the log before its time is needed all the same."""
    made = LoggedInstallation(tmp_path, max_backups=1)
    somebody = Identity.new()
    reader = keys_of(tmp_path / "keys", somebody, reader=somebody)
    base = await made.back_up(1, keys=reader)
    for _ in range(6):
        made.store.passes(days=1)
    elsewhere = Catalogue(made.store.path, keys_of(tmp_path / "keys", somebody))
    kept = KeptLog(elsewhere, made.store.clock, made.store.path)
    reading = Catalogue(made.store.path, reader).read(anew=True)
    (item,) = [item_in(reading, entry) for entry in reading.survey.entries]
    ahead = replace(item, created_at=item.created_at + timedelta(days=300))
    file, position, _ = made.borders[1]
    assert (item.binlog_file, item.binlog_position) == (file, position)

    unnoted = replace(ahead, binlog_file=None)
    assert kept.plan([unnoted]) == ()
    kept.prune([ahead])
    (stream,) = open_streams(made.store.path)
    assert 0 < stream.files[0].start <= position
    assert (
        plan_recovery(stream, iter([base]), RecoverRequest(made.point(5), (), 1)).base.backup_id
        == base.backup_id
    )


async def test_each_manifest_is_read_once_while_its_backup_is_there(tmp_path):
    """Plans that come after every backup cost no more with the backups of years."""
    made = LoggedInstallation(tmp_path, max_backups=3, binlog_days=3)
    for day in range(3):
        await made.back_up(day)
        made.store.passes(days=1)
    catalogue = made.store.catalogue
    kept = KeptLog(catalogue, made.store.clock, made.store.path, days=3)
    reading = catalogue.read(anew=True)
    items = [item_in(reading, entry) for entry in reading.survey.entries]
    held, planned = kept.hold(items), kept.plan(items)
    assert held
    for entry in reading.survey.entries:
        (made.store.path / f"{entry.file}.manifest.json").unlink()

    assert (kept.hold(items), kept.plan(items)) == (held, planned)
    assert kept.hold(items[:1]).keys() == {items[0].backup_id}
    assert kept.hold(items).keys() == {items[0].backup_id}
