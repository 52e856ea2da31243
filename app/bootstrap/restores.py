"""What restores ask of the history, and recoveries to a point in time put together."""

from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.bootstrap.encryption import build_log_keys
from app.config import Settings
from app.domain.backups.manifest import Codec
from app.domain.ports import Clock
from app.domain.runs.run import RunFilter
from app.domain.stores import Page, RunStore
from app.security.archive_keys import InstallationKeys
from app.services.point_in_time.jobs import RecoveryJobs
from app.services.point_in_time.scratch import ScratchPlace
from app.services.point_in_time.service import PointInTimeService


# In the state directory.
SCRATCH: Final = "scratch"


async def newest_run(history: RunStore) -> str:
    """Return the id of the newest run; empty when there is none."""
    runs, _ = await history.list(RunFilter(), Page(limit=1))
    return runs[0].run_id if runs else ""


def build_recovery_jobs(
    settings: Settings, catalogue: Catalogue, keys: InstallationKeys, clock: Clock
) -> RecoveryJobs:
    """Put recoveries together over the backup directory, where the archive of the binary log is."""
    place = ScratchPlace(
        root=settings.state_dir / SCRATCH,
        programs=settings.scratch_bin,
        zone=settings.server_time_zone,
        timeout_seconds=settings.timeout,
    )
    service = PointInTimeService(
        catalogue=catalogue,
        clock=clock,
        place=place,
        backup_dir=settings.backup_dir,
        log_keys=build_log_keys(settings, keys),
        codec=Codec(settings.codec if settings.compress else Codec.NONE),
        chunk_bytes=settings.chunk_bytes,
        lag_seconds=settings.binlog_lag_seconds,
    )
    return RecoveryJobs(service)
