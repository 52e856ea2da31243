"""
Alerts of what runs have shown of backups in stores.

A store is not read for it, which costs time and money: a backup there is damaged from when a check says so, until
another one says otherwise or it is gone; a drill has failed until one of that store succeeds, or its backup is gone.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.backups.check_notes import DAMAGE_CODES
from app.domain.runs.run import Run, RunKind, RunState


_IN: Final = " in "


class StoreRunMonitor:
    """
    A `RunListener` that raises alerts for damaged and unrestorable backups in stores.

    Args:
        alarm: Where it raises them.
        raised: Tells what the open alerts of a kind are about; None = nobody knows.
    """

    def __init__(
        self, alarm: Alarm, raised: Callable[[AlertKind], Awaitable[Collection[str] | None]]
    ) -> None:
        self._alarm = alarm
        self._raised = raised

    async def begun(self, run: Run) -> None:
        """Do nothing: a run that works has shown nothing yet."""

    async def ended(self, run: Run) -> None:
        """Raise or resolve alerts by what a run has shown."""
        if not run.store:
            return
        is_done = run.state is RunState.SUCCEEDED
        match run.kind:
            case RunKind.VERIFICATION | RunKind.DELETION if is_done:
                await self._resolve_damage(run.backup_id, run.store)
            case RunKind.VERIFICATION if run.error and run.error.code in DAMAGE_CODES:
                await self._raise_damage(run)
            case RunKind.PRUNE if is_done and run.result:
                deleted = run.result.get("deleted")
                for backup in deleted if isinstance(deleted, list) else ():
                    await self._resolve_damage(str(backup["backup_id"]), run.store)
            case RunKind.DRILL if is_done:
                await self._resolve_drills(run.store)
            case RunKind.DRILL if run.state is RunState.FAILED:
                await self._raise_drill(run)
            case _:  # nothing is learned of a backup in a store
                return

    async def told(self, store: str) -> Sequence[tuple[AlertKind, str]]:
        """Return the kind of each alert about a backup in a store, and what it is about."""
        return [
            (kind, about)
            for kind in (AlertKind.VERIFICATION, AlertKind.DRILL)
            for about in await self._raised(kind) or ()
            if about.endswith(f"{_IN}{store}")
        ]

    async def seen(self, told: Sequence[tuple[AlertKind, str]], there: Collection[str]) -> None:
        """
        Resolve alerts about what is not in a store any more: retention deletes without a run, and so do others.

        Args:
            told: What `told` has said before the look.
            there: Ids of all that the look has found.
        """
        for kind, about in told:
            backup_id, _, store = about.partition(_IN)
            if backup_id not in there:
                what = f"backup {backup_id} is not in {store} any more"
                await self._alarm.resolve(kind, about, what)

    async def _raise_damage(self, run: Run) -> None:
        found = run.error.code if run.error else ""
        message = f"backup {run.backup_id} in {run.store} is damaged: a check found {found}"
        hint = (
            "Do not delete other copies of it;"
            f" 'backstay backup verify {run.backup_id} --store {run.store}' checks again."
        )
        about = _about(run.backup_id, run.store)
        await self._alarm.raise_alert(Alert(AlertKind.VERIFICATION, about, message, hint))

    async def _resolve_damage(self, backup_id: str, store: str) -> None:
        what = f"backup {backup_id} in {store} is whole again, or deleted"
        await self._alarm.resolve(AlertKind.VERIFICATION, _about(backup_id, store), what)

    async def _raise_drill(self, run: Run) -> None:
        found = run.error.code if run.error else ""
        message = f"backup {run.backup_id} in {run.store} could not be restored for proof: {found}"
        hint = (
            f"Try it again with 'backstay restore run {run.backup_id} --drill --store {run.store}'."
        )
        about = _about(run.backup_id, run.store)
        await self._alarm.raise_alert(Alert(AlertKind.DRILL, about, message, hint))

    async def _resolve_drills(self, store: str) -> None:
        what = f"a backup in {store} was restored and is equal"
        for about in await self._raised(AlertKind.DRILL) or ():
            if about.endswith(f"{_IN}{store}"):
                await self._alarm.resolve(AlertKind.DRILL, about, what)


def is_in_store(about: str) -> bool:
    """Tell whether an alert is about a backup in a store."""
    return _IN in about


def _about(backup_id: str, store: str) -> str:
    return f"{backup_id}{_IN}{store}"
