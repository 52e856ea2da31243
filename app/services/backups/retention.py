"""
Retention: old backups of one place, the backup directory or a store, are deleted by its rules.

1. The clock is asked whether it can be right; when it cannot, nothing is deleted and an alert is sent.
2. All backups are read and judged. 3. Those that go are deleted one by one, the oldest first:
under the lock of the directory it is seen once more that nobody has pinned it, that nobody reads it,
and that the newer backup because of which it may go is there. 4. Each deletion is in the audit
before the next one begins; where the audit cannot be written, no further backup is deleted.
5. What stays is locked on where the place locks.
6. Of the archived binary log goes what none of the backups that stay needs.

Not guaranteed: an entry in the audit for a backup whose deletion the process did not survive.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.concurrency import shielded
from app.domain.access.audit import AuditEvent, ChangeNote
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.manifest import Manifest
from app.domain.backups.pruning import PruneResult, RetentionPlan
from app.domain.backups.retention import RetentionDecision, RetentionItem
from app.domain.ports import Clock
from app.domain.schedule import Schedule
from app.errors import (
    AlreadyRunningError,
    AppError,
    BackupNotFoundError,
    ClockJumpedError,
    InvalidRequestError,
    StorageError,
)
from app.services.access.audit import AuditService
from app.services.backups.planning import LogRetention, RetentionPlanner
from app.services.backups.retention_items import made_at
from app.services.backups.retention_rules import Rules, unapproved
from app.storage.clock_witness import ClockWitness
from app.storage.run_locks import HeldLocks, Resource, RunLocks


_log: Final = logging.getLogger(__name__)
# Who deletes when nobody asked for it.
ACTOR: Final = "retention"


class RetentionService:
    """
    Deletes what is not kept any more.

    Args:
        catalogue: The backups of the place.
        rules: Those of the place.
        audit: None where nothing can be written down; then nothing is deleted after a backup.
        log: The archived binary log of the place; None where there never is one.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        rules: Rules,
        clock: Clock,
        witness: ClockWitness,
        locks: RunLocks,
        alarm: Alarm,
        audit: AuditService | None,
        log: LogRetention | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._clock = clock
        self._witness = witness
        self._planner = RetentionPlanner(catalogue, rules, witness, log)
        self._locks = locks
        self._alarm = alarm
        self._audit = audit
        self._log = log

    @property
    def resource(self) -> Resource:
        """What no other run may have meanwhile: two prunes would count the same backups twice."""
        store = self._rules.store
        if not store:
            return Resource("prune", "the retention of these backups")
        return Resource(f"prune {store}", f"the retention of the backups in {store!r}")

    async def plan(self, wanted: Schedule | None = None) -> RetentionPlan:
        """
        Say what would go, what would stay, and why; nothing is changed.

        Args:
            wanted: A schedule as it may become: its rules count in the place of those that are kept.

        Returns:
            All backups.

        Raises:
            StorageError: The place cannot be read.
            IntegrityError: `schedule.json` is damaged: nobody knows what is to be kept.
        """
        return (await asyncio.to_thread(self._planner.plan, wanted))[0]

    async def compare(self, wanted: Schedule) -> tuple[RetentionPlan, RetentionPlan]:
        """Plan as `plan` does, of the same backups by the rules as they are and with a schedule as it may become."""
        now, then = await asyncio.to_thread(self._planner.plan, None, wanted)
        return now, then

    async def prune(self, by: str = ACTOR, *, accept_clock: bool = False) -> PruneResult:
        """
        Delete what the rules let go; rules that were changed are approved by it.

        Args:
            by: Who wants it, for the audit.
            accept_clock: Whether what the clock says is right, whatever the witness and backups say.

        Returns:
            What was done; a backup that could not be deleted is named in it, and the others go on.

        Raises:
            ClockJumpedError: The clock cannot be right; nothing was deleted, and an alert is sent.
            InvalidRequestError: Nothing is deleted there by rules.
            StorageError: The place or the state directory cannot be used.
            IntegrityError: `schedule.json` is damaged; nothing was deleted.
        """
        await asyncio.to_thread(self._require_rules)
        await self._require_clock(accept_clock=accept_clock)
        await asyncio.to_thread(self._rules.approve)
        return await self._prune((await self.plan()).decisions, by)

    async def _prune(self, decisions: Sequence[RetentionDecision], by: str) -> PruneResult:
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
        gone = {decision.item.backup_id for decision in deleted}
        kept = [decision.item for decision in decisions if decision.item.backup_id not in gone]
        await self._lock_on([decision.item for decision in decisions if decision.is_kept])
        log = await shielded(asyncio.to_thread(self._log.prune, kept)) if self._log else ()
        return PruneResult(tuple(deleted), tuple(failed), len(kept), log)

    async def _lock_on(self, items: Sequence[RetentionItem]) -> None:
        """Have the place lock on what stays, where it locks at all; what fails is told, and tried again."""
        rules, now = await asyncio.to_thread(self._rules.read), self._clock.now()
        if not rules.locked_for:
            return
        about = f"locks in {self._rules.store}"
        for item in items:
            until = rules.locked_on(item, now)
            try:
                if until is not None:
                    await asyncio.to_thread(self._catalogue.lock_on, item.backup_id, until)
            except BackupNotFoundError:  # somebody has deleted it meanwhile
                continue
            except AppError as exc:
                message = f"{item.backup_id} is not locked on in the store: {exc}"
                await self._alarm.raise_alert(Alert(AlertKind.FAILURE, about, message, exc.hint))
                return
        await self._alarm.resolve(AlertKind.FAILURE, about, "what stays is locked on again")

    async def after_backup(self, made: Manifest) -> None:
        """
        Prune after a backup was made, if it is one that may replace others.

        It raises no AppError: what fails is logged and an alert is raised, and the backup is there all the same.
        """
        if made.options.verify and not made.options.recovery_point:
            await self.by_itself()

    async def by_itself(self) -> None:
        """Prune because it is time to; raises no AppError, as `after_backup`."""
        try:
            if off := (await asyncio.to_thread(self._rules.read)).off:
                await self._alarm.resolve(AlertKind.FAILURE, self._about, off)
                return
            if self._audit is None:  # nobody would see what has gone
                await self._raise_alert("old backups are not deleted: the audit cannot be written")
                return
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
            await shielded(
                asyncio.to_thread(lambda: held.append(locks.acquire(name, (self.resource,))))
            )
            yield
        finally:
            for taken in held:
                taken.release()
                await shielded(asyncio.to_thread(locks.delete, name))

    # -- the steps --------------------------------------------------------------------------------

    def _require_rules(self) -> None:
        off = self._rules.read().off
        if off:
            raise InvalidRequestError(
                f"nothing is deleted there by rules: {off}",
                hint="Write 'retention' where it is defined; docs/stores.md says how.",
            )

    async def _require_clock(self, *, accept_clock: bool) -> None:
        try:
            await asyncio.to_thread(self._check_clock, accept_clock=accept_clock)
        except ClockJumpedError as exc:
            await self._alarm.raise_alert(Alert(AlertKind.CLOCK, "clock", str(exc), exc.hint))
            raise
        await self._alarm.resolve(AlertKind.CLOCK, "clock", "the clock is right")

    def _check_clock(self, *, accept_clock: bool) -> None:
        made = made_at(self._planner.read(anew=True))
        if accept_clock:
            self._witness.accept(made)
        self._witness.record(made)

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
        facts = {
            "backup_id": item.backup_id,
            "reason": decision.reason,
            "size": item.size,
            "store": self._rules.store,
        }
        _log.info("Old backup deleted", extra={"facts": facts})
        if self._audit is not None:
            at, result, note = self._clock.now(), failed.code if failed else "ok", ChangeNote()
            if self._rules.store:
                note.take({"store": self._rules.store}, None)
            event = AuditEvent(
                at=at,
                actor=by,
                role="",
                address="",
                action="delete_backup",
                target=item.backup_id,
                status=0,
                result=result,
                changes=note.text,
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
        await self._require_clock(accept_clock=False)
        plan = await self.plan()
        goes = plan.deleted or plan.pruned_log
        if goes and not await asyncio.to_thread(self._rules.are_approved):
            await self._raise_alert(*unapproved(self._rules.store, plan))
            return
        await asyncio.to_thread(self._rules.approve)
        result = await self._prune(plan.decisions, ACTOR)
        if result.unexpected:
            decision, error = result.unexpected[0]
            await self._raise_alert(
                f"backup {decision.item.backup_id} is not deleted: {error}", error.hint
            )
        elif result.error:
            message = f"old binary log is not deleted: {result.error}"
            await self._raise_alert(message, result.error.hint)
        else:
            await self._alarm.resolve(
                AlertKind.FAILURE, self._about, "old backups are deleted again"
            )

    @property
    def _about(self) -> str:
        """Name the condition; with a space, so that no schedule has this name."""
        return f"{ACTOR} in {self._rules.store}" if self._rules.store else "old backups"

    async def _raise_alert(self, message: str, hint: str = "") -> None:
        await self._alarm.raise_alert(Alert(AlertKind.FAILURE, self._about, message, hint))
