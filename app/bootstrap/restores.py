"""What restores ask of the history, and recoveries to a point in time put together."""

from functools import partial
from typing import TYPE_CHECKING, Final

from app.archive.catalogue.catalogue import Catalogue
from app.bootstrap.encryption import build_log_keys
from app.config import Settings
from app.domain.backups.manifest import Codec
from app.domain.ports import Clock
from app.domain.runs.run import RunFilter
from app.domain.stores import Page, RunStore
from app.engine.load.target import OwnDatabase
from app.scheduling.clock import SystemClock
from app.security.archive_keys import InstallationKeys
from app.services.restores.service import RecoveryService
from app.storage.clock_witness import ClockWitness, ElapsedClock
from app.storage.journals import Journals


if TYPE_CHECKING:
    from app.bootstrap.program import Program
    from app.services.point_in_time.jobs import RecoveryJobs

# In the state directory.
SCRATCH: Final = "scratch"


async def newest_run(history: RunStore) -> str:
    """Return the id of the newest run; empty when there is none."""
    runs, _ = await history.list(RunFilter(), Page(limit=1))
    return runs[0].run_id if runs else ""


def build_recoveries(program: "Program", store: str) -> RecoveryService:
    """Make what restores from a store, or from the backup directory for an empty name; blocks."""
    settings, clock = program.settings, SystemClock()
    return RecoveryService(
        server=program.server,
        catalogue=program.catalogue_of(store),
        clock=clock,
        journals=Journals(settings.state_dir),
        backups=program.backups_of(""),  # to go back to, at hand
        undo_minutes=settings.undo_minutes,
        own=OwnDatabase(program.control.schema, partial(newest_run, program.history)),
        log=(settings.backup_dir, build_log_keys(settings, program.keys)),
        elapsed=ElapsedClock(ClockWitness(settings.state_dir, clock.now)),
    )


def build_recovery_jobs(
    settings: Settings, catalogue: Catalogue, keys: InstallationKeys, clock: Clock
) -> "RecoveryJobs":
    """Put recoveries together over the backup directory, where the archive of the binary log is."""
    # Here, because every backup and restore would import them: a tenth of its start.
    from app.services.point_in_time.jobs import RecoveryJobs  # noqa: PLC0415
    from app.services.point_in_time.scratch import ScratchPlace  # noqa: PLC0415
    from app.services.point_in_time.service import PointInTimeService  # noqa: PLC0415

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
