"""
Copies that schedules want: of the newest backup of each, in each of its stores.

1. The newest backup of a schedule, in the backup directory or the store that it goes to, is looked for in each
of the stores that get copies. 2. Where it is not, it is copied by a run of its own, one after another, and the
copy is read back from there. 3. What failed is tried again after a pause that grows, and an alert tells of it
until it is there. 4. A store that does not answer is asked by one of them at a time; what fails by itself, such as
a damaged backup, keeps no other from being copied.

No backup waits for any of this, and what was missed is found by what is there, so a restart loses nothing.

Not guaranteed: copies of older backups that a newer one has overtaken meanwhile.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.ids import BackupId
from app.domain.ports import Clock
from app.domain.runs.run import Origin, Requester
from app.domain.schedule import Schedule
from app.errors import AlreadyRunningError, AppError, BackupNotFoundError, StorageError
from app.services.backups.copies import CopyService
from app.services.jobs import Jobs
from app.services.runs.service import RunService
from app.services.schedules import ScheduleService


_log: Final = logging.getLogger(__name__)
_REQUESTER: Final = Requester("copies", Origin.SCHEDULE)
# Short for a connection that was cut, and no storm against a store that is down for the night.
_PAUSES: Final = (60.0, 300.0, 900.0, 3600.0)


@dataclass(frozen=True, slots=True)
class CopyResult:
    """
    A copy that was to be made.

    Attributes:
        failure: Why there is none; None when there is.
    """

    backup_id: BackupId
    store: str
    failure: AppError | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A copy that a schedule wants."""

    schedule: Schedule
    backup_id: BackupId
    store: str

    @property
    def key(self) -> tuple[str, str]:
        """By schedule and store."""
        return self.schedule.name, self.store


@dataclass(slots=True)
class _Trouble:
    """
    A copy that could not be made.

    Attributes:
        tries: How often it was tried.
        next_try: When it is tried next, by a clock that never goes back.
        is_stores: Whether it may be the store that fails; not if others could be copied there since.
    """

    tries: int
    next_try: float
    is_stores: bool


class ScheduledCopies:
    """
    Makes the copies that are missing.

    Args:
        local: The backup directory.
        copies: Knows where they are.
    """

    def __init__(
        self,
        *,
        schedules: ScheduleService,
        local: Catalogue,
        copies: CopyService,
        jobs: Jobs,
        runs: RunService,
        clock: Clock,
        alarm: Alarm,
    ) -> None:
        self._schedules = schedules
        self._local = local
        self._copies = copies
        self._jobs = jobs
        self._runs = runs
        self._clock = clock
        self._alarm = alarm
        self._turn = asyncio.Lock()
        # By schedule and store, what is known to be there, so that nobody is asked every minute.
        self._there: dict[tuple[str, str], BackupId] = {}
        self._troubles: dict[tuple[str, str], _Trouble] = {}

    async def run_due(self) -> tuple[CopyResult, ...]:
        """
        Make the copies that are missing, but for those whose pause is not over.

        Returns:
            What was tried. Nothing while another call of this process goes on.

        Raises:
            AppError: Schedules or backups cannot be read.
        """
        if self._turn.locked():
            return ()
        async with self._turn:
            wanted = [
                _Wanted(schedule, newest, store)
                for schedule in await self._schedules.list()
                if (newest := await asyncio.to_thread(self._newest, schedule)) is not None
                for store in schedule.options.copies
            ]
            keys = {each.key for each in wanted}
            self._troubles = {key: known for key, known in self._troubles.items() if key in keys}
            # First what has failed the least: of several in one store each has its turn.
            results = [await self._make(each) for each in sorted(wanted, key=self._tries)]
        return tuple(result for result in results if result is not None)

    def _tries(self, wanted: _Wanted) -> int:
        trouble = self._troubles.get(wanted.key)
        return trouble.tries if trouble else 0

    def _newest(self, schedule: Schedule) -> BackupId | None:
        if not schedule.options.copies:
            return None
        if schedule.options.store:  # it need not be asked every minute
            return BackupId(schedule.last_backup_id) if schedule.last_backup_id else None
        if not self._local.directory.is_there():
            return None
        entries = self._local.read().survey.entries
        return next((entry.backup_id for entry in entries if entry.schedule == schedule.name), None)

    async def _make(self, wanted: _Wanted) -> CopyResult | None:
        """Make a copy; None = it is there already, or it is too early to try again."""
        backup_id, store = wanted.backup_id, wanted.store
        if self._there.get(wanted.key) == backup_id or self._is_too_early(wanted):
            return None
        try:
            if await self._copies.is_whole(backup_id, store):
                result = None
            else:
                job = await self._jobs.copy(backup_id, wanted.schedule.options.store, store)
                await self._runs.perform(job, _REQUESTER)
                result = CopyResult(backup_id, store)
        except BackupNotFoundError:
            # It was deleted, or was never in the store that its schedule names now: nobody waits for it.
            self._there[wanted.key] = backup_id
            self._troubles.pop(wanted.key, None)
            return None
        except AlreadyRunningError:  # somebody else is at it, or the service is stopping
            return None
        except AppError as exc:
            return await self._failed(wanted, exc)
        await self._made(wanted)
        return result

    def _is_too_early(self, wanted: _Wanted) -> bool:
        """Tell whether the pause of a copy is not over, or that of another one of which the store may be the reason."""
        now = self._clock.monotonic()
        return any(
            now < trouble.next_try and (key == wanted.key or trouble.is_stores)
            for key, trouble in self._in_store(wanted.store)
        )

    async def _made(self, wanted: _Wanted) -> None:
        self._there[wanted.key] = wanted.backup_id
        self._troubles.pop(wanted.key, None)
        others = self._in_store(wanted.store)
        for _, trouble in others:
            trouble.is_stores = False
        if not others:
            what = "the newest copy is there"
            await self._alarm.resolve(AlertKind.FAILURE, _about(wanted.store), what)

    async def _failed(self, wanted: _Wanted, error: AppError) -> CopyResult:
        backup_id, store = wanted.backup_id, wanted.store
        known = self._troubles.get(wanted.key, _Trouble(0, 0.0, is_stores=True))
        pause = _PAUSES[min(known.tries, len(_PAUSES) - 1)]
        self._troubles[wanted.key] = _Trouble(
            known.tries + 1,
            self._clock.monotonic() + pause,
            is_stores=known.is_stores and isinstance(error, StorageError),
        )
        message = f"backup {backup_id} could not be copied to {store}: {error}"
        _log.warning(f"Copy failed: {message}", extra={"facts": {"again_after": pause}})
        await self._alarm.raise_alert(Alert(AlertKind.FAILURE, _about(store), message, error.hint))
        return CopyResult(backup_id, store, error)

    def _in_store(self, store: str) -> list[tuple[tuple[str, str], _Trouble]]:
        return [(key, trouble) for key, trouble in self._troubles.items() if key[1] == store]


def _about(store: str) -> str:
    """Name the condition; with a space, so that no schedule has this name."""
    return f"copies to {store}"
