"""
Swaps: the moment in which a restore touches live data, and what a crash in it leaves behind.

1. Journal: swapping. From here on triggers may be missing.
2. A try: fence, drop the triggers of old tables (RENAME refuses them), one RENAME, and the proof of what
   came (`app.services.restores.guard`). When others hold locks for too long, everything is put back and
   the next try comes after a pause.
3. Journal: finishing. The tables have changed places.
4. Sequence defaults, triggers, routines, views, events, foreign keys; then the fence comes down. Journal: done.

A crash before the RENAME is put back, one after it finished or reversed: each table is looked for by the
identity that was written down before.

Not guaranteed: without the right to set read_only nothing keeps writers away between 2 and 4, so their
rows miss the triggers of that moment; views, routines and events change one by one.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

from app.concurrency import shielded
from app.domain.ports import Clock
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase
from app.domain.restores.result import SwapReport
from app.engine.flavor import LOAD_SESSION
from app.engine.load.objects import apply_objects, apply_together
from app.engine.schema import foreign_keys
from app.engine.schema.databases import (
    drop_database,
    drop_if_empty,
    end_lost_work,
    wait_for_backups,
)
from app.engine.schema.marks import with_identities
from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session
from app.engine.server.heartbeat import awake
from app.engine.server.server import Server
from app.engine.swap import plan
from app.engine.swap.gate import drop_gates
from app.engine.swap.read_only import is_read_only
from app.engine.swap.rename import (
    LOCK_SECONDS,
    Move,
    Standing,
    all_moves,
    find_standing,
    hold_locks,
    lock_waits_translated,
    lower_fence,
    may_fence,
    raise_fence,
    rename,
    repoint_defaults,
)
from app.errors import TablesInUseError
from app.services.restores.guard import Guard, rename_guarded
from app.storage.journals import Journals, new_restore_id


# Between tries others get their work done; all of it takes about half a minute.
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
_BATCH: Final = 500  # measured: 3 ms a table, but 5 ms from 4,000 on
# A killed process's idle connection ends at once, one in a statement when that gives up waiting.
_LOCK_WAIT_SECONDS: Final = {RestorePhase.LOADING: 1}
_MOST_LOCK_WAIT_SECONDS: Final = 10


class Swaps:
    """Makes, finishes, reverses and expires swaps, and keeps their journals."""

    def __init__(self, server: Server, journals: Journals, clock: Clock) -> None:
        self._server = server
        self._journals = journals
        self._clock = clock

    async def record(self, journal: Journal) -> Journal:
        """Write a journal and return it; a cancelled thread would write it later, over newer ones."""
        await shielded(asyncio.to_thread(self._journals.save, journal))
        return journal

    async def journals(self) -> list[Journal]:
        """Return the journals of this server, newest first."""
        found = await asyncio.to_thread(self._journals.all)
        return [journal for journal in found if journal.server == self._server.where]

    async def find(self, restore_id: str) -> Journal | None:
        """Read a journal; None when there is none; raises JournalDamagedError."""
        return await asyncio.to_thread(self._journals.find, restore_id)

    @asynccontextmanager
    async def locked(
        self, databases: Sequence[str], *, seconds: int = 0, logged: bool = True
    ) -> AsyncIterator[Session]:
        """
        Lock databases against other restores for a block.

        Yields:
            The connection that holds the locks; it waits for tables only shortly.

        Raises:
            AlreadyRunningError: Another restore holds one of them.
        """
        state = {**LOAD_SESSION, "lock_wait_timeout": str(LOCK_SECONDS)}
        if not logged:
            state["sql_log_bin"] = "0"
        async with (
            self._server.session(state) as session,
            hold_locks(session, databases, seconds=seconds),
            awake(session),
        ):
            yield session

    # -- forward ----------------------------------------------------------------------------------

    async def swap(
        self, session: Session, journal: Journal, guard: Guard | None = None
    ) -> tuple[Journal, SwapReport]:
        """
        Let tables change places, and put everything around them right.

        Args:
            session: Holds the locks; waits for tables only shortly.
            journal: With complete plans.
            guard: Knows what was proven; None = nothing was.

        Returns:
            The journal, finishing; and what was done.

        Raises:
            TablesInUseError: Others did not let go of the tables; everything is as it was.
            StagingChangedError: What waited, or what came, is not what was proven; ask `recover`.
            DatabaseError: Ask `recover` to put things right.
        """
        known = tuple([await with_identities(session, swap) for swap in journal.swaps])
        journal = await self.record(replace(journal, phase=RestorePhase.SWAPPING, swaps=known))
        report = SwapReport()
        await plan.create_databases(session, journal.swaps)
        for pause in (*_PAUSES, 0.0):
            report.tries += 1
            journal = await self._plan_fence(session, journal, report, guard)
            try:
                await self._try(session, journal, report, guard)
                break
            except TablesInUseError:
                journal = await self._put_back(session, journal)
                if not pause:
                    raise
            await asyncio.sleep(pause)
        at = int((await ServerClock.read(session)).seconds)
        journal = replace(journal, phase=RestorePhase.FINISHING, renamed_at=at)
        journal = await self.finish(session, await self.record(journal), report)
        return journal, report

    async def _plan_fence(
        self, session: Session, journal: Journal, report: SwapReport, guard: Guard | None
    ) -> Journal:
        """Record that the server will be made read-only, where that is needed and allowed."""
        needed = any(swap.needs_fence for swap in journal.swaps)
        if journal.fenced or not (needed or (guard is not None and guard.wants_fence)):
            return journal
        report.fence = "read_only"
        if await is_read_only(session):  # by somebody else, who will also undo it
            return journal
        if await may_fence(session):
            return await self.record(replace(journal, fenced=True))
        report.fence = "none" if needed else "not needed"
        return journal

    async def _try(
        self, session: Session, journal: Journal, report: SwapReport, guard: Guard | None
    ) -> None:
        """Do the RENAME and prove it, or raise with nothing renamed or with a proof that failed."""
        if journal.fenced:
            await raise_fence(session)
        for swap in journal.swaps:
            await plan.drop_obstacles(session, swap)
        moves, at_once = all_moves(journal.swaps), 0
        # Where there was no database nobody looks, and the server takes longer for many at once.
        if all(swap.created for swap in journal.swaps):
            at_once = _BATCH
            if report.tries > 1:
                moves = (await find_standing(session, journal.swaps)).left
        if guard is None:
            await rename(session, moves, at_once=at_once)
        else:
            noted = await rename_guarded(self._server, session, moves, guard, at_once=at_once)
            report.warnings += noted

    async def finish(self, session: Session, journal: Journal, report: SwapReport) -> Journal:
        """
        Bring everything around the moved tables into its wanted state; may be run again.

        Returns:
            The journal, no longer fenced.

        Raises:
            TablesInUseError: Others did not let go of a table.
            DatabaseError: The server refused.
        """
        for pause in (*_PAUSES, 0.0):
            try:
                report.warnings += await self._finish(session, journal)
                break
            except TablesInUseError:
                if not pause:
                    raise
            await asyncio.sleep(pause)
        journal = await self._unfence(session, journal)
        for swap in journal.swaps:
            if swap.removed:
                report.warnings += await drop_if_empty(session, swap.target)
        return journal

    async def _finish(self, session: Session, journal: Journal) -> list[str]:
        warnings: list[str] = []
        with lock_waits_translated():
            for swap in journal.swaps:
                await repoint_defaults(session, swap, journal.swaps)
            wanted = [(swap.target, swap.wanted) for swap in journal.swaps]
            warnings += await apply_together(session, wanted)
            for swap in journal.swaps:
                await foreign_keys.ensure(session, swap.foreign_keys)
                kept = foreign_keys.moved(swap.kept_foreign_keys, swap.kept)
                await foreign_keys.drop(session, kept)
        return warnings

    async def complete(self, session: Session, journal: Journal, *, minutes: float) -> Journal:
        """
        Declare a swap done, and keep the old tables for some time, if the server can.

        Returns:
            The journal as it stays until then; without a time when nothing is kept.
        """
        # Nobody looks after a restore that is done, so all else comes before.
        for swap in journal.swaps:
            await drop_if_empty(session, swap.source)
        if journal.undoes and (other := await self.find(journal.undoes)):
            for swap in other.swaps:
                await drop_if_empty(session, swap.source)
            await self.record(replace(other, phase=RestorePhase.FORGOTTEN, swaps=()))
        swaps = tuple([await plan.with_kept_marks(session, swap) for swap in journal.swaps])
        minutes *= not await plan.cannot_keep(session, swaps)
        until = self._clock.now() + timedelta(minutes=minutes)
        journal = replace(journal, phase=RestorePhase.DONE, keep_until=until, swaps=swaps)
        await self.record(journal)
        if minutes <= 0:
            await self.expire(session, journal)
            return replace(journal, keep_until=None)
        return journal

    async def expire(self, session: Session, journal: Journal) -> None:
        """Drop the old tables of a swap that is done."""
        for swap in journal.swaps:
            await drop_database(session, swap.kept)
        done = replace(journal, phase=RestorePhase.FORGOTTEN, swaps=())
        await self.record(done)

    async def delete(self, journal: Journal) -> None:
        """Delete the journal of a restore; nothing can be undone or finished by it any more."""
        await asyncio.to_thread(self._journals.remove, journal.restore_id)

    # -- back -------------------------------------------------------------------------------------

    async def plan_undo(
        self, session: Session, journal: Journal, undo_id: RestoreId | None = None
    ) -> Journal:
        """
        Plan the swap that brings the old tables back; None = it gets a new id.

        Returns:
            A journal that was not written yet.

        Raises:
            UndoExpiredError: Old tables are gone.
        """
        restore_id = undo_id or new_restore_id()
        return Journal(
            restore_id=restore_id,
            kind=RestoreKind.UNDO,
            backup_id=journal.backup_id,
            server=journal.server,
            began_at=self._clock.now(),
            phase=RestorePhase.SWAPPING,
            swaps=await plan.plan_reversal(session, journal, restore_id),
            logged=journal.logged,
            recovery_point=journal.recovery_point,
            undoes=journal.restore_id,
        )

    async def recover(self, restore_id: str, *, forward: bool) -> RestorePhase:
        """
        Finish or undo a restore that was interrupted.

        Args:
            restore_id: Which; one without a journal never began.
            forward: Whether a RENAME that has happened is finished; otherwise it is reversed.

        Returns:
            LOADING when all is as before, FINISHING when all is as it should be after, DONE when
            nothing was to be done.

        Raises:
            AlreadyRunningError: It was not interrupted, it is still at work.
            DatabaseError: The server fails; the journal stays for the next time.
        """
        begun = await self.find(restore_id)
        if begun is None:
            return RestorePhase.LOADING
        seconds = _LOCK_WAIT_SECONDS.get(begun.phase, _MOST_LOCK_WAIT_SECONDS)
        async with self.locked(begun.targets, seconds=seconds, logged=begun.logged) as session:
            journal = await self.find(restore_id)  # whoever held the locks may have gone on
            if journal is None or journal.phase.is_over:
                return RestorePhase.DONE
            standing = Standing()
            if journal.phase is not RestorePhase.LOADING:
                await drop_gates(session, journal.swaps)
                standing = await find_standing(session, journal.swaps)
            is_proven = journal.phase is RestorePhase.FINISHING
            if not (standing.made or is_proven):
                await self.discard(session, journal)
                return RestorePhase.LOADING
            # What was proven is the application's, which may have changed it.
            if not forward or (standing.lost and not is_proven):
                await self._reverse(session, journal, standing.left)
                return RestorePhase.LOADING
            await rename(session, standing.left)
            journal = await self.record(replace(journal, phase=RestorePhase.FINISHING))
            await self.finish(session, journal, SwapReport())
            return RestorePhase.FINISHING

    async def discard(self, session: Session, journal: Journal) -> None:
        """Put everything back after a restore whose RENAME has not happened."""
        if journal.phase is not RestorePhase.LOADING:
            journal = await self._put_back(session, journal)
            for swap in journal.swaps:
                await drop_if_empty(session, swap.kept)
                if swap.created:
                    await drop_if_empty(session, swap.target)
            # From here on new tables are missing because they were dropped, not because they moved.
            await self.record(replace(journal, phase=RestorePhase.LOADING))
        await wait_for_backups(session)
        for swap in journal.swaps:
            if journal.kind is not RestoreKind.UNDO:
                await end_lost_work(session, swap.source)
                await drop_database(session, swap.source)
        await self.delete(journal)

    async def _reverse(self, session: Session, journal: Journal, left: Sequence[Move]) -> None:
        """Swap back a restore whose RENAME has happened; only what it had loaded is dropped."""
        await rename(session, left)
        undo = await self.plan_undo(session, journal)
        is_undo = journal.kind is RestoreKind.UNDO
        if is_undo:  # what it has brought goes back to where it was kept
            pairs = zip(undo.swaps, journal.swaps, strict=True)
            undo = replace(undo, swaps=tuple(replace(new, kept=old.source) for new, old in pairs))
        # The server may be fenced already; the undo takes that over, and lowers it.
        undo, _ = await self.swap(session, replace(undo, fenced=journal.fenced))
        if not is_undo:
            await self.complete(session, undo, minutes=0)
        for swap in undo.swaps:
            await drop_if_empty(session, swap.source)
        for obsolete in (journal, undo):
            await self.delete(obsolete)

    async def _put_back(self, session: Session, journal: Journal) -> Journal:
        """Make triggers and views again that were dropped for a RENAME, and lower the fence."""
        for swap in journal.swaps:
            if not swap.created:
                await apply_objects(session, swap.target, swap.present)
        return await self._unfence(session, journal)

    async def _unfence(self, session: Session, journal: Journal) -> Journal:
        if not journal.fenced:
            return journal
        await lower_fence(session)
        return await self.record(replace(journal, fenced=False))
