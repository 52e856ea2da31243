"""
Retention: old backups are deleted by the rules of their schedules.

1. The clock is asked whether it can be right; when it cannot, nothing is deleted and an alert is sent.
2. All backups are read and judged. 3. Those that go are deleted one by one, the oldest first:
under the lock of the directory it is seen once more that nobody has pinned it, that nobody reads it,
and that the newer backup because of which it may go is there. 4. Each deletion is in the audit
before the next one begins; where the audit cannot be written, no further backup is deleted.

Not guaranteed: an entry in the audit for a backup whose deletion the process did not survive.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.readings import Reading
from app.concurrency import shielded
from app.config import Settings
from app.domain.access.audit import AuditEvent
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.catalogue import Survey
from app.domain.backups.check_notes import UNREADABLE, Notes
from app.domain.backups.manifest import Manifest
from app.domain.backups.pruning import PruneResult, RetentionPlan
from app.domain.backups.retention import (
    Holdings,
    RetentionDecision,
    RetentionItem,
    RetentionPolicy,
    plan_retention,
)
from app.domain.ports import Clock
from app.domain.restores.proofs import Proof, proven_at
from app.domain.schedule import Schedule
from app.errors import (
    AlreadyRunningError,
    AppError,
    BackupNotFoundError,
    ChecksumMismatchError,
    ClockJumpedError,
    ManifestError,
    StorageError,
    TruncatedFileError,
)
from app.services.access.audit import AuditService
from app.storage.clock_witness import ClockWitness
from app.storage.run_locks import HeldLocks, Resource, RunLocks
from app.storage.schedules import ScheduleFile


_log: Final = logging.getLogger(__name__)
# Two prunes would count the same backups twice.
PRUNING: Final = Resource("prune", "the retention of these backups")
# Who deletes when nobody asked for it.
ACTOR: Final = "retention"
_READ_BACK: Final = ("hashes", "inflate", "content")
_DAMAGED: Final = frozenset(
    kind.code for kind in (ChecksumMismatchError, TruncatedFileError, ManifestError)
)


class RetentionService:
    """
    Deletes what is not kept any more.

    Args:
        audit: None where nothing can be written down; then nothing is deleted after a backup.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        catalogue: Catalogue,
        schedules: ScheduleFile,
        clock: Clock,
        witness: ClockWitness,
        locks: RunLocks,
        alarm: Alarm,
        audit: AuditService | None,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._schedules = schedules
        self._clock = clock
        self._witness = witness
        self._locks = locks
        self._alarm = alarm
        self._audit = audit

    async def plan(self, wanted: Schedule | None = None) -> RetentionPlan:
        """
        Say what would go, what would stay, and why; nothing is changed.

        Args:
            wanted: A schedule as it may become: its rules count in the place of those that are kept.

        Returns:
            All backups.

        Raises:
            StorageError: The backup directory cannot be read.
            IntegrityError: `schedule.json` is damaged: nobody knows what is to be kept.
        """
        return await asyncio.to_thread(self._plan, wanted)

    async def prune(self, by: str = ACTOR, *, accept_clock: bool = False) -> PruneResult:
        """
        Delete what the rules let go.

        Args:
            by: Who wants it, for the audit.
            accept_clock: Whether what the clock says is right, whatever the witness and backups say.

        Returns:
            What was done; a backup that could not be deleted is named in it, and the others go on.

        Raises:
            ClockJumpedError: The clock cannot be right; nothing was deleted, and an alert is sent.
            StorageError: The backup directory or the state directory cannot be used.
            IntegrityError: `schedule.json` is damaged; nothing was deleted.
        """
        await self._require_clock(accept_clock=accept_clock)
        decisions = (await self.plan()).decisions
        deleted: list[RetentionDecision] = []
        failed: list[tuple[RetentionDecision, AppError]] = []
        try:
            for decision in reversed([found for found in decisions if not found.is_kept]):
                try:
                    await shielded(self._delete(decision, by, deleted))
                except StorageError as exc:
                    # Of the directory, or the audit: the next would fail too.
                    failed.append((decision, exc))
                    break
                except AppError as exc:
                    failed.append((decision, exc))
        finally:
            if deleted:
                await shielded(asyncio.to_thread(self._refresh))
        return PruneResult(tuple(deleted), tuple(failed), len(decisions) - len(deleted))

    async def after_backup(self, made: Manifest) -> None:
        """
        Prune after a backup was made, if it is one that may replace others.

        It raises no AppError: what fails is logged and an alert is raised, and the backup is there all the same.
        """
        if not made.options.verify or made.options.recovery_point:
            return
        if self._audit is None:  # nobody would see what has gone
            await self._raise_alert("old backups are not deleted: the audit cannot be written")
            return
        try:
            async with self._alone():
                await self._prune_and_report()
        except AlreadyRunningError:
            _log.info("Prune skipped: another prune is running")
        except AppError as exc:
            _log.warning(
                "Prune failed; old backups are not deleted", extra={"facts": {"error": str(exc)}}
            )
            if not isinstance(exc, ClockJumpedError):  # its alert is raised already
                await self._raise_alert(str(exc), exc.hint)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Keep runs of other prunes out; raises AlreadyRunningError."""
        name, locks = f"prune_{secrets.token_hex(8)}", self._locks
        held: list[HeldLocks] = []
        try:
            await shielded(asyncio.to_thread(lambda: held.append(locks.acquire(name, (PRUNING,)))))
            yield
        finally:
            for taken in held:
                taken.release()
                await shielded(asyncio.to_thread(locks.delete, name))

    # -- the steps --------------------------------------------------------------------------------

    async def _require_clock(self, *, accept_clock: bool) -> None:
        try:
            await asyncio.to_thread(self._check_clock, accept_clock=accept_clock)
        except ClockJumpedError as exc:
            await self._alarm.raise_alert(Alert(AlertKind.CLOCK, "clock", str(exc), exc.hint))
            raise
        await self._alarm.resolve(AlertKind.CLOCK, "clock", "the clock is right")

    def _check_clock(self, *, accept_clock: bool) -> None:
        made = _made(self._read(anew=True))
        if accept_clock:
            self._witness.accept(made)
        self._witness.record(made)

    def _plan(self, wanted: Schedule | None) -> RetentionPlan:
        reading, clock = self._read(anew=False), None
        try:
            self._witness.check(_made(reading))
        except ClockJumpedError as exc:
            clock = exc
        items = [_item(entry, reading) for entry in reading.survey.entries]
        schedules = {schedule.name: schedule for schedule in self._schedules.read()}
        if wanted is not None:
            schedules[wanted.name] = wanted
        decisions = self._judge(items, schedules.values())
        # Only those that would go are asked for: a lock for a moment is in nobody's way then.
        used = {
            decision.item.backup_id
            for decision in decisions
            if not decision.is_kept and self._is_in_use(decision.item.backup_id)
        }
        if used:
            items = [replace(item, is_in_use=item.backup_id in used) for item in items]
            decisions = self._judge(items, schedules.values())
        return RetentionPlan(decisions, clock)

    def _judge(
        self, items: list[RetentionItem], schedules: Collection[Schedule]
    ) -> tuple[RetentionDecision, ...]:
        own = {schedule.name: schedule.retention for schedule in schedules if schedule.retention}
        return plan_retention(
            items,
            {**own, "": policy_of(self._settings)},
            self._settings.recovery_point_days,
            self._clock.now(),
            {schedule.name: schedule.pace for schedule in schedules},
        )

    def _read(self, *, anew: bool) -> Reading:
        catalogue = self._catalogue
        if not catalogue.directory.is_there():
            return Reading(Survey((), (), ()), {})
        return catalogue.read(anew=anew)

    def _is_in_use(self, backup_id: str) -> bool:
        try:
            return self._catalogue.is_in_use(backup_id)
        except BackupNotFoundError:  # somebody has deleted it meanwhile
            return False

    async def _delete(
        self, decision: RetentionDecision, by: str, deleted: list[RetentionDecision]
    ) -> None:
        """Delete one backup and write that down, to the end."""
        item, failed = decision.item, None
        try:
            await asyncio.to_thread(
                self._catalogue.delete,
                item.backup_id,
                covered_by=decision.covered_by,
                refreshes=False,
            )
        except StorageError as exc:
            if await asyncio.to_thread(self._is_there, item.backup_id):
                raise
            failed = exc  # without its manifest it is no backup any more; the rest is swept later
        deleted.append(decision)
        facts = {"backup_id": item.backup_id, "reason": decision.reason, "size": item.size}
        _log.info("Old backup deleted", extra={"facts": facts})
        if self._audit is not None:
            at, result = self._clock.now(), failed.code if failed else "ok"
            event = AuditEvent(
                at=at,
                actor=by,
                role="",
                address="",
                action="delete_backup",
                target=item.backup_id,
                status=0,
                result=result,
            )
            await self._audit.record(event)
        if failed:
            raise failed

    def _is_there(self, backup_id: str) -> bool:
        try:
            self._catalogue.find(backup_id)
        except BackupNotFoundError:
            return False
        return True

    def _refresh(self) -> None:
        try:
            self._catalogue.refresh()
        except StorageError as exc:  # a cache
            _log.warning("metadata.json is old", extra={"facts": {"error": str(exc)}})

    async def _prune_and_report(self) -> None:
        result = await self.prune()
        if result.unexpected:
            decision, error = result.unexpected[0]
            await self._raise_alert(
                f"{decision.item.backup_id} is not deleted: {error}", error.hint
            )
        else:
            await self._alarm.resolve(AlertKind.FAILURE, ACTOR, "old backups are deleted again")

    async def _raise_alert(self, message: str, hint: str = "") -> None:
        await self._alarm.raise_alert(Alert(AlertKind.FAILURE, ACTOR, message, hint))


def _made(reading: Reading) -> dict[str, datetime]:
    return {str(entry.backup_id): entry.created_at for entry in reading.survey.entries}


def _item(entry: CatalogueEntry, reading: Reading) -> RetentionItem:
    beside = reading.beside[entry.backup_id]
    return item_of(entry, None if beside.error else beside.notes, beside.proofs)


def policy_of(settings: Settings) -> RetentionPolicy:
    """Return the policy of the settings, for all backups whose schedule has none of its own."""
    return RetentionPolicy(
        count=settings.max_backups,
        days=settings.keep_days,
        hourly=settings.keep_hourly,
        daily=settings.keep_daily,
        weekly=settings.keep_weekly,
        monthly=settings.keep_monthly,
        yearly=settings.keep_yearly,
        max_days=settings.max_days,
        max_bytes=settings.max_total_bytes,
    )


def item_of(entry: CatalogueEntry, notes: Notes | None, proofs: tuple[Proof, ...]) -> RetentionItem:
    """Make what retention sees of a backup; None = its notes cannot be understood."""
    return RetentionItem(
        backup_id=entry.backup_id,
        created_at=entry.created_at.astimezone(UTC),
        size=entry.size,
        schedule=entry.schedule,
        holdings=Holdings(
            databases=frozenset(entry.databases),
            requested=None if entry.requested is None else frozenset(entry.requested),
            tables=frozenset(entry.tables),
            exclude_tables=frozenset(entry.exclude_tables),
            include_data=entry.include_data,
        ),
        is_good=notes is not None and is_good(entry, notes, proofs),
        pinned=_pinned(notes),
        is_recovery_point=entry.recovery_point,
    )


def is_good(entry: CatalogueEntry, notes: Notes, proofs: tuple[Proof, ...]) -> bool:
    """Tell whether a backup was read back and found whole, and no later check says otherwise."""
    read_at = notes.checked_at(*_READ_BACK)
    shown = [at for at in (read_at, proven_at(proofs)) if at is not None]
    known_at = max(shown, default=entry.created_at if entry.verify else None)
    if known_at is None or notes.is_damaged:
        return False
    return not any(proof.error in _DAMAGED and proof.at > known_at for proof in proofs)


def _pinned(notes: Notes | None) -> str:
    if notes is None:
        return UNREADABLE
    if notes.pin is None:
        return ""
    return f"pinned by {notes.pin.by}" + (f": {notes.pin.reason}" if notes.pin.reason else "")
