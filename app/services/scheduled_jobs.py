"""What runs of schedules do: read the server, or recover a backup up to now."""

from collections.abc import Callable

from app.config import Settings
from app.domain.backups.manifest import Manifest
from app.domain.schedule import Frequency, Schedule, ScheduleKind
from app.errors import InvalidRequestError, InvalidScheduleError
from app.services.backups.options import BackupOptions
from app.services.jobs import Jobs
from app.services.point_in_time.jobs import RecoveryJobs
from app.services.runs.job import Job


class ScheduledJobs:
    """
    Makes the jobs of schedules.

    Args:
        jobs: Of backups that read the server.
        recoveries: Finds those of backups that are recovered.
        settings: Say what a schedule leaves open.
    """

    def __init__(
        self, jobs: Jobs, recoveries: Callable[[], RecoveryJobs], settings: Settings
    ) -> None:
        self._jobs = jobs
        self._recoveries = recoveries
        self._settings = settings

    @property
    def has_server(self) -> bool:
        """Whether there is a server to back up."""
        return self._jobs.has_server

    def require(self, schedule: Schedule) -> None:
        """Refuse options with which no backup can be made; raises InvalidScheduleError."""
        try:
            _options(schedule, "").request(self._settings)
        except InvalidRequestError as exc:
            raise InvalidScheduleError(str(exc), hint=exc.hint) from exc

    def make(self, schedule: Schedule, frequency: Frequency | None = None) -> Job[Manifest]:
        """
        Make the job of a schedule.

        Args:
            schedule: As it is.
            frequency: In the place of its own.

        Returns:
            The job, not claimed yet.

        Raises:
            NoServerError: There is no server to back up.
        """
        when = frequency or schedule.frequency or schedule.cron
        if schedule.kind is ScheduleKind.SYNTHETIC:
            options = _options(schedule, f"Synthetic backup ({when})")
            wanted = options.request(self._settings)
            return self._recoveries().synthetic(wanted, self._jobs.follow_up)
        options = _options(schedule, f"Scheduled backup ({when})")
        return self._jobs.backup(options, schedule.options.store)


def _options(schedule: Schedule, description: str) -> BackupOptions:
    options = schedule.options
    return BackupOptions(
        databases=options.databases,
        tables=options.tables,
        exclude_tables=options.exclude_tables,
        include_data=options.include_data,
        description=options.description or description,
        level=options.level,
        compress=options.compress,
        verify=options.verify,
        schedule=schedule.name,
    )
