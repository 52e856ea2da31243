"""
What the history says was put into stores: a store that shows less was put back to an older state, or emptied.

A signature cannot tell: what an older state holds was signed as well. Ids sort by time, so the largest one of a
store goes down when it goes back.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from app.domain.runs.run import Run, RunFilter, RunKind, RunState
from app.domain.stores import Page, RunStore
from app.errors import AppError


# Of all stores together; who puts more into others between two into this one is not told of it.
_RUNS: Final = 200
LOST_HINT: Final = (
    "Somebody else may have deleted it, the store may have been put back to an older state, or its definition leads"
    " elsewhere now; see docs/stores.md. A newer backup there ends this."
)
_DONE: Final = (RunState.SUCCEEDED,)


class StoreHistory:
    """
    Knows what this installation has put into stores, as far back as two hundred backups and copies.

    Args:
        runs: The history, which may be of several installations with stores of their own under the same names.
        owner: Says which installation this is; blocks.
    """

    def __init__(self, runs: RunStore, owner: Callable[[], str]) -> None:
        self._runs = runs
        self._owner = owner

    async def put_last(self, store: str) -> str:
        """Return the newest backup that was put into a store and that nobody here has deleted; empty = none is known."""
        try:
            return await self._put_last(store)
        except AppError:  # who cannot be asked knows of nothing
            return ""

    async def lost(self, store: str, put: str, latest: str) -> str:
        """
        Tell whether a store has lost what was put there last.

        Args:
            store: Its name.
            put: What `put_last` said before the look.
            latest: The largest id of a backup that the look has found.

        Returns:
            The id of what is lost; empty = nothing.
        """
        if put <= latest:
            return ""
        # It may have been deleted while somebody looked.
        return put if put == await self.put_last(store) else ""

    async def _put_last(self, store: str) -> str:
        wanted = RunFilter(kinds=(RunKind.BACKUP, RunKind.COPY), states=_DONE)
        runs, _ = await self._runs.list(wanted, Page(limit=_RUNS))
        owner = await asyncio.to_thread(self._owner)
        ours = [run for run in runs if run.store == store and run.owner == owner]
        put = {run.backup_id for run in ours if run.backup_id}
        if not put:
            return ""
        wanted = RunFilter(kinds=(RunKind.DELETION, RunKind.PRUNE), states=_DONE)
        runs, _ = await self._runs.list(wanted, Page(limit=_RUNS))
        gone = {backup_id for run in runs if run.store == store for backup_id in _deleted(run)}
        return max(put - gone, default="")


def _deleted(run: Run) -> list[str]:
    """Return what a deletion or a prune has deleted."""
    if run.kind is RunKind.DELETION:
        return [run.backup_id]
    deleted = (run.result or {}).get("deleted")
    found = deleted if isinstance(deleted, list) else []
    return [str(backup["backup_id"]) for backup in found if isinstance(backup, dict)]
