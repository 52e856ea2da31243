"""What a service does for itself: it puts right what a killed process has left, and keeps it so."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.documents.backups import BackupDeleted
from app.documents.base import Document
from app.documents.derived import RecoveredOnce, document_of_copy
from app.documents.restores import Restored
from app.domain.backups.catalogue import CopiedBackup
from app.domain.ids import BackupId, instant_of
from app.domain.runs.failures import failure
from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.domain.stores import Page
from app.errors import (
    AppError,
    BackupNotFoundError,
    IntegrityError,
    JournalDamagedError,
    NoIdentityError,
    RunInterruptedError,
)
from app.services.access.sign_ins import SignInService
from app.services.restores.service import RecoveryService
from app.services.runs.service import RunService
from app.services.settlement import Settlement
from app.storage import layout
from app.telemetry.bugs import outlived


_log: Final = logging.getLogger(__name__)
_PERIOD_SECONDS: Final = 60.0
# A server that is not there yet is asked again soon: a restore may wait for its repair.
_RETRY_SECONDS: Final = 5.0
_MAKING: Final = frozenset({RunKind.BACKUP, RunKind.RECOVERY_POINT, RunKind.COPY, RunKind.RECOVERY})
# So many that may be of a run are named; there is more than one only where the history is away for long.
_MOST_NAMES: Final = 5
_ON_DISK: Final = _MAKING | {RunKind.DELETION}
_SWAPPING: Final = frozenset({RunKind.RESTORE, RunKind.UNDO})
_PROVEN: Final = (
    "its process ended; by its journal and the server it was restored, proven and swapped in, and what it"
    " had counted is lost"
)
_LEFT: Final = {
    RunKind.BACKUP: "what it had written was removed",
    RunKind.RECOVERY_POINT: "what it had written was removed",
    RunKind.RECOVERY: "its scratch server is gone, and what it had written was removed",
    RunKind.RECOVERY_DRILL: "its scratch server is gone",
    RunKind.COPY: "what it had written is not listed, and goes with the next copy to there",
    RunKind.DELETION: "the backup is still there",
    RunKind.PRUNE: "what it had deleted is gone, the rest is still there",
    RunKind.RESTORE: "the databases are as they were",
    RunKind.UNDO: "the databases are as they were",
}


class Reconciler:
    """
    Finishes or undoes what killed processes have left, and deletes what has expired.

    Args:
        open_catalogue: Opens the catalogue of a store by its name, or of the backup directory for an empty
            one; blocks.
    """

    def __init__(
        self,
        runs: RunService,
        recoveries: RecoveryService,
        catalogue: Catalogue,
        sign_ins: SignInService,
        settlement: Settlement,
        open_catalogue: Callable[[str], Catalogue],
    ) -> None:
        self._runs = runs
        self._recoveries = recoveries
        self._catalogue = catalogue
        self._sign_ins = sign_ins
        self._settlement = settlement
        self._open_catalogue = open_catalogue

    async def run_forever(self) -> None:
        """Reconcile, again and again, until cancelled; nothing that fails ends it."""
        while True:
            complete = False
            try:
                with outlived(_log, "Reconciliation"):
                    complete = await self.reconcile()
                    await self._sign_ins.delete_expired()
            except AppError as exc:
                _log.warning(
                    "Reconciliation failed; retrying soon", extra={"facts": {"error": str(exc)}}
                )
            await asyncio.sleep(_PERIOD_SECONDS if complete else _RETRY_SECONDS)

    async def reconcile(self) -> bool:
        """
        Finish or undo restores that were interrupted, sweep, and write down how runs ended.

        Restores come first: a server that is left without triggers, or read-only, waits for no disk of backups
        and no history.

        Returns:
            False when the server could not be asked, or the backup directory is away: runs that may
            have changed it are left open.

        Raises:
            AppError: The backup directory, the state directory or the control database refused; restores are
                repaired, and what the others need is done as far as they do not fail.
        """
        is_repaired = await self._repair()
        await self._runs.write_ends()
        await self._runs.listeners.tell_left()
        orphans = await self._runs.orphans()
        for orphan in orphans:
            if orphan.kind not in _SWAPPING | _ON_DISK:
                await self._runs.rewrite(await self._judged(orphan))
        restores = [orphan for orphan in orphans if orphan.kind in _SWAPPING]
        is_settled = is_repaired and await self._settle(restores)
        # Not before they were asked for: of each that is one, what it had written is removed.
        await self._sweep()
        return await self._judge_made(orphans) and is_settled

    async def _sweep(self) -> None:
        disk = self._catalogue.disk
        if disk is None or await asyncio.to_thread(disk.path.exists):
            await asyncio.to_thread(self._catalogue.sweep)

    async def _repair(self) -> bool:
        """Put right what restores have left; returns False where that was not possible."""
        try:
            repairs = await self._recoveries.repair()
        except AppError as exc:
            _log.warning(
                "Interrupted restores could not be repaired", extra={"facts": {"error": str(exc)}}
            )
            return False
        for repair in repairs:
            facts = {"restore_id": repair.journal.restore_id, "outcome": repair.outcome}
            _log.info("Interrupted restore was repaired", extra={"facts": facts})
        return True

    async def _settle(self, orphans: Sequence[Run]) -> bool:
        """Let journals tell what became of restores; returns whether they tell it of all."""
        open_still = [run for run in orphans if await self._is_open(run)]
        for run in [orphan for orphan in orphans if orphan not in open_still]:
            await self._runs.rewrite(await self._judged(run))
        await self._settlement.settle()
        return not open_still

    async def _judge_made(self, orphans: Sequence[Run]) -> bool:
        """Judge what is about backups; returns False where nobody knows since their directory is away."""
        # Where nothing is mounted there is no backup, which says nothing about what was made.
        is_there = await asyncio.to_thread(self._catalogue.directory.exists, layout.HTACCESS)
        are_judged = True
        for run in [orphan for orphan in orphans if orphan.kind in _ON_DISK]:
            if run.backup_id and not run.store and not is_there:
                are_judged = False
            else:
                await self._runs.rewrite(await self._judged(run))
        return are_judged

    async def _is_open(self, run: Run) -> bool:
        """Tell whether a restore could not be repaired yet, perhaps since it is another server's."""
        try:
            journal = await self._recoveries.find_journal(run.restore_id)
        except JournalDamagedError:
            return False
        return journal is not None and not journal.phase.is_over

    async def _judged(self, run: Run) -> Run:
        """Say how an orphan ended, by what is there."""
        try:
            result = await self._found(run)
            error = None if result else await self._interruption(run)
        except AppError as exc:
            if not run.store:
                raise
            result, error = None, _unknown(run, exc)
        if result is None:
            assert error is not None  # noqa: S101 - there is one or the other
            return replace(run, state=RunState.FAILED, error=failure(error))
        return replace(run, state=RunState.SUCCEEDED, result=result.model_dump(mode="json"))

    async def _found(self, run: Run) -> Document | None:
        """Return what came of a run, by what is there; None = nothing."""
        match run.kind:
            case kind if kind in _MAKING:
                return await self._made(run)
            case RunKind.DELETION:
                return await self._deleted(run)
            case RunKind.RESTORE | RunKind.UNDO:
                return await self._swapped(run.restore_id)
            case _:
                return None

    async def _made(self, run: Run) -> Document | None:
        try:
            catalogue = await asyncio.to_thread(self._open_catalogue, run.store)
            return await asyncio.to_thread(_document_of, catalogue, run)
        except (BackupNotFoundError, IntegrityError):
            return None

    async def _deleted(self, run: Run) -> Document | None:
        try:
            catalogue = await asyncio.to_thread(self._open_catalogue, run.store)
            await asyncio.to_thread(catalogue.find, run.backup_id)
        except BackupNotFoundError:
            return BackupDeleted.of(run.backup_id)
        return None

    async def _swapped(self, restore_id: str) -> Document | None:
        try:
            result = await self._recoveries.find_result(restore_id, _PROVEN)
        except JournalDamagedError:
            return None
        return Restored.of(result) if result else None

    async def _interruption(self, run: Run) -> RunInterruptedError:
        """Say what a run has left that its process did not end."""
        if run.kind in _SWAPPING and not await self._is_known(run.restore_id):
            return RunInterruptedError(
                "the process that ran it ended; its journal is damaged, so nobody knows what became of it",
                hint="'backstay doctor' names the journal, and what to do.",
            )
        if run.kind in _MAKING and not run.backup_id and (made := await self._nameless(run)):
            return RunInterruptedError(
                "the process that ran it ended before the history had the name of its backup;"
                f" it may have made {', '.join(made)}",
                hint="'backstay backup info' tells what that is; nothing else was made.",
            )
        return _interrupted(run)

    async def _nameless(self, run: Run) -> Sequence[BackupId]:
        """Find the backups since the begin of a run that no other run has made, so far as the history knows."""
        catalogue = await asyncio.to_thread(self._open_catalogue, run.store)
        is_there = await asyncio.to_thread(catalogue.directory.is_there)
        if run.request.get("dry_run") or not is_there:
            return ()
        found: list[BackupId] = []
        for entry in await asyncio.to_thread(catalogue.entries):
            if instant_of(entry.backup_id) >= run.created_at and len(found) < _MOST_NAMES:
                makers = RunFilter(kinds=tuple(_MAKING), backup_id=entry.backup_id)
                _, count = await self._runs.list(makers, Page(1))
                found += [] if count else [entry.backup_id]
        return found

    async def _is_known(self, restore_id: str) -> bool:
        try:
            await self._recoveries.find_journal(restore_id)
        except JournalDamagedError:
            return False
        return True


def _document_of(catalogue: Catalogue, run: Run) -> Document:
    """Describe a backup that is there, as far as it can be read here; blocks."""
    published = catalogue.published(run.backup_id)
    try:
        manifest = catalogue.manifest(run.backup_id)
    except NoIdentityError:
        manifest = None
    if manifest is not None and run.kind is RunKind.RECOVERY:
        return RecoveredOnce.of(manifest)
    name = published.name
    return document_of_copy(
        CopiedBackup(name.backup_id, name.file, published.size, published.checksum, manifest)
    )


def _interrupted(run: Run) -> RunInterruptedError:
    left = _LEFT.get(run.kind, "it changed nothing that stays")
    return RunInterruptedError(f"the process that ran it ended; {left}", hint="Start it again.")


def _unknown(run: Run, error: AppError) -> RunInterruptedError:
    """Say that nobody knows how a run has ended, since the store that it was about does not answer."""
    return RunInterruptedError(
        f"the process that ran it ended, and nobody knows what became of it: {error}",
        hint=f"Look with 'backstay backup list --store {run.store}' when the store is there again.",
    )
