"""Whether points in time go back as far as is wanted, and what is told where they do not."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from app.binlog.archive.keys import PLAIN
from app.binlog.archive.layout import root_of
from app.binlog.ownership import Ownership
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.alerts.alert import AlertKind
from app.domain.restores.log_archive import (
    ArchiverState,
    BinlogOverview,
    LogBreak,
    LogStreamFacts,
)
from app.domain.restores.reach import Base, reach_of
from app.services.monitoring.binlog import BinlogMonitor, shortfall
from app.services.point_in_time.reach import ReachService
from app.storage.local import LocalDirectory
from tests.fixtures.binlog import archive, corpus, directory_in
from tests.fixtures.clocks import SetClock
from tests.fixtures.kernels import RelaxedKernel
from tests.fixtures.monitored_installation import NOWHERE, RaisedAlerts


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def ago(days):
    return NOW - timedelta(days=days)


def reached(*, began=30.0, bases=(), breaks=(), ended=None):
    """Make the reach of one stream by days ago; `bases` and `breaks` are such."""
    stream = LogStreamFacts(
        id="s",
        began_at=ago(began).isoformat(),
        committed_at=NOW if ended is None else ago(ended),
        breaks=tuple(LogBreak(ago(days).isoformat(), 1, 4, "of a test") for days in breaks),
        ended_at="" if ended is None else ago(ended).isoformat(),
    )
    overview = BinlogOverview(
        state=ArchiverState.LIVE, stream="s", archived_end=None, current_as_of=None, lag_seconds=1.0,
        code="", message="", hint="", broken_at="", broken_because="", findings=(), streams=(stream,),
    )  # fmt: skip
    return reach_of(overview, [Base(f"b{days}", "s", ago(days), False) for days in bases])


@pytest.mark.parametrize(
    ("facts", "lacking"),
    [
        ({"bases": [8.0, 3.0]}, ""),
        ({"bases": [3.0]}, "2026-01-28 12:00"),
        ({"bases": []}, "none of now"),
        ({"bases": [8.0, 2.0], "breaks": [4.0]}, "2026-01-29 12:00"),
        ({"bases": [9.0], "breaks": [1.0]}, "none of now"),
        ({"bases": [9.0], "ended": 1.0}, "none of now"),
        ({"bases": [1.9], "began": 2.0}, ""),
        ({"bases": [], "began": 0.5}, ""),
    ],
)
def test_a_window_that_is_shorter_than_wished_is_told(facts, lacking):
    """Gaps count, and what an archive cannot hold yet that is younger does not."""
    found = shortfall(reached(**facts), 7, NOW)
    assert (lacking in found) if lacking else not found
    assert not shortfall(reached(**facts), 0, NOW)


async def test_an_archive_that_nobody_goes_on_with_is_told(tmp_path):
    """An archiver that is dead tells nothing itself; one that ends and comes back within its time is no alert."""
    archive(directory_in(tmp_path, RelaxedKernel()), corpus("mariadb-10.11"), roll_after=1).close()
    program = Program(
        Settings(database_url=SecretStr(NOWHERE), backup_dir=tmp_path, state_dir=tmp_path / "s")
    )
    alerts, clock = RaisedAlerts(), SetClock()
    reach = ReachService(
        binlog=program.binlog, catalogue=program.local, backup_dir=tmp_path, keys=PLAIN, clock=clock
    )
    monitor = BinlogMonitor(reach, alerts, clock, days=0, lag_seconds=300)
    told = []

    async def look(seconds):
        clock.advance(seconds=seconds)
        await monitor.check()
        told.append(alerts.about(AlertKind.BINLOG))

    await look(299)
    await look(2)
    with closing(Ownership.take(LocalDirectory(root_of(tmp_path)))):
        await look(3)
    await program.close()

    assert told == [[], ["binary log archiver"], []]
