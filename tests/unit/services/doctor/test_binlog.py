"""What the doctor says of the archive of the binary log and its copies."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from app.age.x25519 import Identity
from app.binlog.archive.layout import root_of
from app.binlog.ownership import Ownership
from app.bootstrap.program import Program
from app.config import Settings
from app.domain.monitoring import CheckState, DoctorCheck
from app.domain.restores.log_archive import ArchiverState, BinlogOverview, LogCopy
from app.domain.restores.reach import reach_of
from app.services.doctor.binlog import BinlogChecks, copies_of
from app.services.point_in_time.reach import ReachService
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.binlog import archive, corpus, directory_in
from tests.fixtures.clocks import SetClock
from tests.fixtures.kernels import RelaxedKernel


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def reached(*copies):
    """Make the reach of an archive that has nothing but copies."""
    overview = BinlogOverview(
        state=ArchiverState.LIVE, stream="s", archived_end=None, current_as_of=None, lag_seconds=1.0,
        code="", message="", hint="", broken_at="", broken_because="", findings=(), streams=(), copies=copies,
    )  # fmt: skip
    return reach_of(overview, [])


async def test_the_doctor_says_where_signatures_end(tmp_path):
    """An encrypted tail that nobody goes on to seal is a warning, one that grows is not."""
    keys = log_keys_of(tmp_path / "s", Identity.new())
    archive(directory_in(tmp_path, RelaxedKernel()), corpus("mariadb-10.11"), keys=keys).close()
    program = Program(Settings(backup_dir=tmp_path, state_dir=tmp_path / "s"))
    clock = SetClock()
    found: list[DoctorCheck] = []

    async def look():
        clock.advance(seconds=3)
        checks = BinlogChecks(
            program.server, reach, clock, directory=root_of(tmp_path), is_wanted=True, days=0
        )
        found.append({check.name: check for check in await checks.examine()}["log signatures"])

    reach = ReachService(
        binlog=program.binlog, catalogue=program.local, backup_dir=tmp_path, keys=keys, clock=clock
    )
    await look()
    with closing(Ownership.take(LocalDirectory(root_of(tmp_path)))):
        await look()
    await program.close()

    assert [check.state for check in found] == [CheckState.WARN, CheckState.OK]
    assert "behind binlog.000001:" in found[0].detail
    assert "nobody seals it" in found[0].remedy


def test_the_doctor_says_how_far_copies_reach():
    """One that fails, one that is late or has not begun are warnings; each store is named."""
    reach = reached(
        LogCopy("near", NOW - timedelta(minutes=1)),
        LogCopy("late", NOW - timedelta(hours=2)),
        LogCopy("new"),
        LogCopy("away", NOW, "store-unreachable", "no answer", "Look at the network."),
    )
    checks = copies_of(reach, NOW)

    assert [check.state for check in checks] == [CheckState.OK, *[CheckState.WARN] * 3]
    assert [check.detail.partition(":")[0] for check in checks] == ["near", "late", "new", "away"]
    assert "no answer" in checks[3].detail
    assert checks[3].remedy == "Look at the network."
