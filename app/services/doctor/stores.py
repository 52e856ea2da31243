"""The doctor's checks of stores: whether each answers, what is there, and whether that is enough."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.places.report import CopiesReport, PlaceState
from app.domain.places.sizes import size
from app.domain.ports import Clock
from app.domain.store_trial import StoreFacts
from app.errors import AppError, StalledError
from app.services.stores.history import LOST_HINT, StoreHistory
from app.services.stores.places import look_at, state_of_directory
from app.services.stores.service import StoreService
from app.storage.schedules import ScheduleFile


# All are asked at once; whoever waits for the doctor waits no longer for a store that does not answer.
_SECONDS: Final = 20.0


class StoreChecks:
    """
    Examines the stores of one installation; changes nothing there.

    Args:
        stores: Knows their names.
        open_catalogue: Opens the catalogue of a store by its name, or of the backup directory for an empty
            one; blocks.
        clock: Of this machine.
        history: Knows what was put into each store.
    """

    def __init__(
        self,
        stores: StoreService,
        open_catalogue: Callable[[str], Catalogue],
        clock: Clock,
        history: StoreHistory,
    ) -> None:
        self._stores = stores
        self._open_catalogue = open_catalogue
        self._clock = clock
        self._history = history

    async def examine(self) -> Sequence[DoctorCheck]:
        """Return a finding a store, and one of all together; raises no error of this program."""
        try:
            stores = await self._stores.list()
        except AppError as exc:
            return [failed("stores", exc)]
        undefined = await asyncio.to_thread(self._undefined, {store.name for store in stores})
        if not stores:
            return undefined
        now = self._clock.now()
        here, *there = await asyncio.gather(
            asyncio.to_thread(lambda: state_of_directory(self._open_catalogue(""), now)),
            *(self._look(store, now) for store in stores),
        )
        copies = _judged_copies(CopiesReport.of((here, *there)))
        return [*undefined, *map(_judged, there), copies]

    def _undefined(self, known: Collection[str]) -> list[DoctorCheck]:
        """Find the stores that schedules name and nobody defines, as after a change of a name."""
        disk = self._open_catalogue("").disk
        try:
            schedules = ScheduleFile(disk).read() if disk else ()
        except AppError:  # the check of schedules says why
            return []
        return [
            _judged_undefined(schedule.name, store)
            for schedule in schedules
            for store in schedule.options.stores
            if schedule.enabled and store not in known
        ]

    async def _look(self, store: StoreFacts, now: datetime) -> PlaceState:
        place = PlaceState(store.name, store.kind, store.place, store.is_offsite, store.site)
        put = await self._history.put_last(store.name)
        try:
            async with asyncio.timeout(_SECONDS):
                look = lambda: look_at(place, self._open_catalogue(store.name), now)  # noqa: E731 - for a thread
                found = await asyncio.to_thread(look)
        except AppError as exc:
            return replace(place, error=exc)
        except TimeoutError:
            late = StalledError(f"no answer within {_SECONDS:.0f} seconds")
            return replace(place, error=late)
        return replace(found, lost=await self._history.lost(store.name, put, found.latest))


def _judged(place: PlaceState) -> DoctorCheck:
    what = f"store {place.name}"
    if place.error is not None:
        return failed(what, place.error)
    detail = "1 backup" if place.count == 1 else f"{place.count} backups"
    if place.newest:
        detail += f", the newest of {place.newest.created_at:%Y-%m-%d %H:%M} UTC"
    if place.free_bytes is not None:
        detail += f"; {size(place.free_bytes)} free"
    if place.lost:
        return DoctorCheck(what, CheckState.WARN, f"{detail}; {place.loss}", LOST_HINT)
    if place.damaged:
        detail += f"; {place.damaged} damaged or without a manifest"
        remedy = f"'backstay backup list --store {place.name}' names them."
        return DoctorCheck(what, CheckState.WARN, detail, remedy)
    return DoctorCheck(what, CheckState.OK, detail)


def _judged_undefined(schedule: str, store: str) -> DoctorCheck:
    detail = f"the schedule {schedule} has its backups or copies there, and it is not defined"
    remedy = (
        "Define it again under this name, or give the schedule the new one: 'backstay schedule set"
        f" {schedule} --store NAME' or '--copies NAME'."
    )
    return DoctorCheck(f"store {store}", CheckState.FAIL, detail, remedy)


def _judged_copies(report: CopiesReport) -> DoctorCheck:
    names = ["the live data", *(place.name or "the backup directory" for place in report.counted)]
    detail = f"{report.copies} of 3 copies: {', '.join(names)}; {report.offsite} off-site"
    for place, other in report.doubles:
        detail += f"; {place.name} is where {other.name} is, and no further copy"
    if report.is_met:
        return DoctorCheck("copies", CheckState.OK, detail)
    missing = "; ".join(report.missing)
    remedy = "'backstay schedule set NAME --copies STORE' makes copies by itself; docs/stores.md says what counts."
    return DoctorCheck("copies", CheckState.WARN, f"{detail}; missing: {missing}", remedy)
