"""Recoveries and their drills as runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.documents.derived import Recovered, RecoveryDrilled, RecoveryPlanned
from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Manifest
from app.domain.document import JsonObject
from app.domain.restores.points import RecoverPlan, RecoverRequest, RecoveryDrill
from app.domain.runs.progress import Phase, Progress
from app.domain.runs.run import RunKind
from app.errors import AppError, BaseUnfitError, BinlogDamagedError, PointNotCoveredError
from app.services.afterwards import find_made
from app.services.point_in_time.service import PointInTimeService
from app.services.runs.job import Job
from app.storage.run_locks import Resource


_log: Final = logging.getLogger(__name__)
# Each takes the memory and the disk of a server.
_SCRATCH: Final = Resource("scratch", "the scratch server of recoveries")


@dataclass(slots=True)
class _Planned:
    """What a run has planned: its document says what the backup that came of it does not hold."""

    plan: RecoverPlan | None = None

    def describe(self, manifest: Manifest) -> Recovered:
        """Describe what came of it."""
        return Recovered.of(manifest, unsigned_from=self.plan and self.plan.unsigned_from)


class RecoveryJobs:
    """Makes the jobs; all of a run is read and planned within it, for the archive may be large."""

    def __init__(self, service: PointInTimeService) -> None:
        self._service = service

    def recovery(self, request: RecoverRequest) -> Job[Manifest]:
        """Make the job of a recovery."""
        planned = _Planned()

        async def work(progress: Progress) -> Manifest:
            progress.enter(Phase.INSPECT)
            planned.plan = await self._service.plan(request)
            return await self._recover(planned.plan, progress)

        return Job(
            kind=RunKind.RECOVERY,
            work=work,
            document=planned.describe,
            resources=(_SCRATCH,),
            request=_requested(request, dry_run=False),
        )

    def synthetic(
        self, backup: BackupRequest, follow_up: Callable[[Manifest], Awaitable[None]]
    ) -> Job[Manifest]:
        """
        Make the job of a backup of now that is recovered, not read from the server.

        Args:
            backup: What is wanted, and how it is made.
            follow_up: Done once it is published; what fails there takes nothing back.

        Returns:
            The job; whether there is a base and an archive its run will tell.
        """
        planned = _Planned()

        async def work(progress: Progress) -> Manifest:
            progress.enter(Phase.INSPECT)
            planned.plan = await self._service.plan_newest(backup)
            manifest = await self._recover(planned.plan, progress)
            try:
                await follow_up(manifest)
            except (AppError, asyncio.CancelledError) as exc:
                facts = {"backup_id": manifest.backup_id, "error": str(exc)}
                _log.warning("Backup completed, its follow-up failed", extra={"facts": facts})
            return manifest

        return Job(
            kind=RunKind.RECOVERY,
            work=work,
            document=planned.describe,
            resources=(_SCRATCH,),
            request={
                "to": "end",
                "databases": backup.databases,
                "dry_run": False,
                "schedule": backup.schedule,
            },
        )

    async def _recover(self, plan: RecoverPlan, progress: Progress) -> Manifest:
        """Recover; what fails or is cancelled after the publication takes nothing back."""
        try:
            return await self._service.recover(plan, progress)
        except (AppError, asyncio.CancelledError) as exc:
            made = await find_made(self._service.made, progress.backup_id, exc)
            if made is None:
                raise
            return made

    def dry_run(self, request: RecoverRequest) -> Job[RecoverPlan]:
        """Make the job that only plans a recovery."""

        async def work(progress: Progress) -> RecoverPlan:
            progress.enter(Phase.INSPECT)
            return await self._service.plan(request)

        return Job(
            kind=RunKind.RECOVERY,
            work=work,
            document=RecoveryPlanned.of,
            request=_requested(request, dry_run=True),
        )

    async def find_drill(self) -> str | None:
        """
        Find what a drill would end with.

        Returns:
            Id of the newest backup that an older one and the log lead to; None when nothing does, or there is no
            archive; empty when the archive is damaged: a drill says so.
        """
        try:
            plan = await self._service.plan_drill()
        except (PointNotCoveredError, BaseUnfitError):
            return None
        except BinlogDamagedError:
            return ""
        return plan.backup.backup_id

    def drill(self, backup_id: str, threads: int) -> Job[RecoveryDrill]:
        """Make the job of a drill; `backup_id` is the newer backup, empty for the newest."""

        async def work(progress: Progress) -> RecoveryDrill:
            progress.enter(Phase.INSPECT)
            plan = await self._service.plan_drill(backup_id, threads=threads)
            return await self._service.drill(plan, progress)

        return Job(
            kind=RunKind.RECOVERY_DRILL,
            work=work,
            document=RecoveryDrilled.of,
            resources=(_SCRATCH,),
            backup_id=backup_id,
            request={"backup_id": backup_id},
        )


def _requested(request: RecoverRequest, *, dry_run: bool) -> JsonObject:
    point = request.point
    return {"to": {point.kind: point.text}, "databases": request.databases, "dry_run": dry_run}
