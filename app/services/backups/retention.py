"""
Retention: old backups are deleted by the rules of their schedules.

1. The clock is asked whether it can be right; when it cannot, nothing is deleted and people are told.
2. All backups are looked at and judged. 3. Those that go are deleted one by one, the oldest first:
under the lock of the directory it is seen once more that nobody has pinned it, that nobody reads it,
and that the newer backup because of which it may go is there. 4. Each deletion is in the audit
before the next one begins; where the audit cannot be written, no further backup is deleted.

Not guaranteed: an entry in the audit for a backup whose deletion the process did not survive.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import shielded
from app.config import Settings
from app.domain.access.audit import AuditEvent
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.backup import CatalogueEntry
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
from app.domain.restores.dry_run import Proof, proven_at
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


@dataclass(frozen=True, slots=True)
class RetentionParts:
    """
    What retention works with.

    Attributes:
        audit: None where nothing can be written down.
    """

    catalogue: Catalogue
    schedules: ScheduleFile
    clock: Clock
    witness: ClockWitness
    locks: RunLocks
    alarm: Alarm
    audit: AuditService | None


class RetentionService:
    """Deletes what is not kept any more."""

    def __init__(self, settings: Settings, parts: RetentionParts) -> None:
        self._settings = settings
        self._parts = parts

    async def plan(self) -> RetentionPlan:
        """
        Say what would go, what would stay, and why; nothing is changed.

        Returns:
            All backups.

        Raises:
            StorageError: The backup directory cannot be read.
            IntegrityError: `schedule.json` is damaged: nobody knows what is to be kept.
        """
        return await asyncio.to_thread(self._plan)

    async def prune(self, by: str = ACTOR, *, accept_clock: bool = False) -> PruneResult:
        """
        Delete what the rules let go.

        Args:
            by: Who wants it, for the audit.
            accept_clock: Whether what the clock says is right, whatever the witness and backups say.

        Returns:
            What was done; a backup that could not be deleted is told in it, and the others go on.

        Raises:
            ClockJumpedError: The clock cannot be right; nothing was deleted, and people are told.
            StorageError: The backup directory or the state directory cannot be used.
            IntegrityError: `schedule.json` is damaged; nothing was deleted.
        """
        await self._require_clock(accept_clock=accept_clock)
        verdicts = (await self.plan()).verdicts
        deleted: list[RetentionDecision] = []
        failed: list[tuple[RetentionDecision, AppError]] = []
        try:
            for one in reversed([verdict for verdict in verdicts if not verdict.is_kept]):
                try:
                    await shielded(self._delete(one, by, deleted))
                except (
                    StorageError
                ) as exc:  # of the directory, or the audit: the next would fail too
                    failed.append((one, exc))
                    break
                except AppError as exc:
                    failed.append((one, exc))
        finally:
            if deleted:
                await shielded(asyncio.to_thread(self._refresh))
        return PruneResult(tuple(deleted), tuple(failed), len(verdicts) - len(deleted))

    async def after_backup(self, made: Manifest) -> None:
        """
        Prune after a backup was made, if it is one that may replace others.

        It raises no AppError: what fails is logged and rung, and the backup is there all the same.
        """
        if not made.options.verify or made.options.recovery_point:
            return
        if self._parts.audit is None:  # nobody would see what has gone
            await self._ring("old backups are not deleted: the audit cannot be written", "")
            return
        try:
            async with self._alone():
                await self._prune_and_tell()
        except AlreadyRunningError:
            _log.info("Nothing is pruned: a prune is running")
        except AppError as exc:
            _log.warning("Old backups are not deleted", extra={"facts": {"error": str(exc)}})
            if not isinstance(exc, ClockJumpedError):  # it was rung already
                await self._ring(str(exc), exc.hint)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Keep runs of other prunes out; raises AlreadyRunningError."""
        name, locks = f"prune_{secrets.token_hex(8)}", self._parts.locks
        held: list[HeldLocks] = []
        try:
            await shielded(asyncio.to_thread(lambda: held.append(locks.acquire(name, (PRUNING,)))))
            yield
        finally:
            for one in held:
                one.release()
                await shielded(asyncio.to_thread(locks.delete, name))

    # -- the steps --------------------------------------------------------------------------------

    async def _require_clock(self, *, accept_clock: bool) -> None:
        try:
            await asyncio.to_thread(self._look_at_clock, accept_clock=accept_clock)
        except ClockJumpedError as exc:
            await self._parts.alarm.raise_alert(Alert(AlertKind.CLOCK, "clock", str(exc), exc.hint))
            raise
        await self._parts.alarm.resolve(AlertKind.CLOCK, "clock", "the clock is right")

    def _look_at_clock(self, *, accept_clock: bool = False) -> None:
        made = self._made()
        if accept_clock:
            self._parts.witness.accept(made)
        self._parts.witness.record(made)

    def _plan(self) -> RetentionPlan:
        clock = None
        try:
            self._parts.witness.check(self._made())
        except ClockJumpedError as exc:
            clock = exc
        items = [self._item(entry) for entry in self._entries()]
        verdicts = self._judge(items)
        # Only those that would go are asked for: a lock for a moment is in nobody's way then.
        used = {
            verdict.item.backup_id
            for verdict in verdicts
            if not verdict.is_kept and self._is_in_use(verdict.item.backup_id)
        }
        if used:
            verdicts = self._judge([replace(one, is_in_use=one.backup_id in used) for one in items])
        return RetentionPlan(verdicts, clock)

    def _judge(self, items: list[RetentionItem]) -> tuple[RetentionDecision, ...]:
        own = {one.name: one.retention for one in self._parts.schedules.read() if one.retention}
        return plan_retention(
            items,
            {**own, "": policy_of(self._settings)},
            self._settings.recovery_point_days,
            self._parts.clock.now(),
        )

    def _made(self) -> dict[str, datetime]:
        return {str(entry.backup_id): entry.created_at for entry in self._entries()}

    def _entries(self) -> tuple[CatalogueEntry, ...]:
        catalogue = self._parts.catalogue
        return catalogue.entries() if catalogue.directory.path.exists() else ()

    def _item(self, entry: CatalogueEntry) -> RetentionItem:
        proofs = self._parts.catalogue.proofs(entry.backup_id)
        try:
            notes = self._parts.catalogue.notes(entry.backup_id)
        except ChecksumMismatchError:
            return item_of(entry, None, proofs)
        return item_of(entry, notes, proofs)

    def _is_in_use(self, backup_id: str) -> bool:
        try:
            return self._parts.catalogue.is_in_use(backup_id)
        except BackupNotFoundError:  # somebody has deleted it meanwhile
            return False

    async def _delete(
        self, verdict: RetentionDecision, by: str, deleted: list[RetentionDecision]
    ) -> None:
        """Delete one backup and write that down, to the end."""
        item, failed = verdict.item, None
        try:
            await asyncio.to_thread(
                self._parts.catalogue.delete,
                item.backup_id,
                covered_by=verdict.covered_by,
                refreshes=False,
            )
        except StorageError as exc:
            if await asyncio.to_thread(self._is_there, item.backup_id):
                raise
            failed = exc  # without its manifest it is no backup any more; the rest is swept later
        deleted.append(verdict)
        facts = {"backup_id": item.backup_id, "reason": verdict.reason, "size": item.size}
        _log.info("Old backup deleted", extra={"facts": facts})
        if self._parts.audit is not None:
            at, result = self._parts.clock.now(), failed.code if failed else "ok"
            event = AuditEvent(at, by, "", "", "delete_backup", item.backup_id, 0, result)
            await self._parts.audit.record(event)
        if failed:
            raise failed

    def _is_there(self, backup_id: str) -> bool:
        try:
            self._parts.catalogue.find(backup_id)
        except BackupNotFoundError:
            return False
        return True

    def _refresh(self) -> None:
        try:
            self._parts.catalogue.refresh()
        except StorageError as exc:  # a cache
            _log.warning("metadata.json is old", extra={"facts": {"error": str(exc)}})

    async def _prune_and_tell(self) -> None:
        result = await self.prune()
        if result.unexpected:
            verdict, error = result.unexpected[0]
            await self._ring(f"{verdict.item.backup_id} is not deleted: {error}", error.hint)
        else:
            await self._parts.alarm.resolve(
                AlertKind.FAILURE, ACTOR, "old backups are deleted again"
            )

    async def _ring(self, message: str, hint: str) -> None:
        await self._parts.alarm.raise_alert(Alert(AlertKind.FAILURE, ACTOR, message, hint))


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
    """Tell whether a backup was read back and found whole, and no later look says otherwise."""
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
