"""
Alerts about what is not there any more: a schedule that was deleted, a store that nobody defines.

Whoever has raised such an alert looks at what there is, and would never see that it is over: also since the
schedule was deleted by a command while no service ran. So what alerts are about is looked for. An alert about
no schedule has a name with a space, or one of `_NONE`.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.alerts.alert import Alarm, AlertKind
from app.domain.schedule import Schedule
from app.errors import AppError


_log: Final = logging.getLogger(__name__)
# What alerts of these kinds may be about besides schedules; a schedule of such a name has one with it.
_NONE: Final = {
    AlertKind.FAILURE: "",
    AlertKind.OVERDUE: "schedule.json",
    AlertKind.MISSED: "",
    AlertKind.UNUSUAL: "manual",
    AlertKind.CLOCK: "clock",
}
_KINDS: Final = (*_NONE, AlertKind.VERIFICATION, AlertKind.DRILL, AlertKind.BINLOG)
_COPIES: Final = "copies to"
_LOG: Final = "binary log in"

# Tells what the open alerts of a kind are about; None = nobody knows.
RaisedAlerts = Callable[[AlertKind], Awaitable[Collection[str] | None]]


@dataclass(frozen=True, slots=True)
class _There:
    """
    What there is.

    Attributes:
        schedules: Names.
        stores: Names.
        copied: Stores that schedules have copies in.
        logged: Stores that get copies of the binary log; None = nobody here knows.
    """

    schedules: frozenset[str]
    stores: frozenset[str]
    copied: frozenset[str]
    logged: frozenset[str] | None

    def gone(self, kind: AlertKind, about: str) -> str:
        """Say what is gone of what an alert is about; empty = nothing, as far as is known."""
        what, _, store = about.rpartition(" ")
        if what in {"store", _COPIES} or what.endswith(" in"):
            if store not in self.stores:
                return f"store {store} is not defined any more"
            if what == _COPIES and store not in self.copied:
                return f"no schedule has copies in {store} any more"
            if what == _LOG and self.logged is not None and store not in self.logged:
                return f"the binary log is not copied to {store} any more"
            return ""
        is_of_schedule = kind in _NONE and not what and about != _NONE[kind]
        return f"schedule {about} is gone" if is_of_schedule and about not in self.schedules else ""


class GoneWatch:
    """
    Resolves alerts about what is gone.

    Args:
        raised: Tells what open alerts are about.
        schedules: Lists the schedules.
        stores: Names the stores that are defined.
        logged: Those that get copies of the binary log; None = nobody here knows.
    """

    def __init__(
        self,
        alarm: Alarm,
        raised: RaisedAlerts,
        schedules: Callable[[], Awaitable[Sequence[Schedule]]],
        stores: Callable[[], Awaitable[Collection[str]]],
        logged: Collection[str] | None,
    ) -> None:
        self._alarm = alarm
        self._raised = raised
        self._schedules = schedules
        self._stores = stores
        self._logged = None if logged is None else frozenset(logged)

    async def check(self) -> None:
        """Look once; never raises an error of this program, and takes nothing for gone that cannot be read."""
        try:
            schedules, stores = await self._schedules(), await self._stores()
        except AppError as exc:
            _log.info("What is gone is not known", extra={"facts": {"error": str(exc)}})
            return
        there = _There(
            schedules=frozenset(schedule.name for schedule in schedules),
            stores=frozenset(stores),
            copied=frozenset(name for each in schedules for name in each.options.copies),
            logged=self._logged,
        )
        for kind in _KINDS:
            for about in await self._raised(kind) or ():
                if what := there.gone(kind, about):
                    await self._alarm.resolve(kind, about, what)
