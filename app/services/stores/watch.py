"""
What lies in each store, as of a moment ago: looked at now and then, so that nobody waits for a store.

1. Each store is looked through every quarter of an hour, and soon after a run has changed something there.
2. A look that takes too long is not waited for, and none is begun while it lasts. 3. What was found stays
known, with when that was; a store that does not answer is never taken for an empty one.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.alerts.alert import Alarm, Alert, AlertKind
from app.domain.places.report import CopiesReport, PlaceState
from app.domain.ports import Clock
from app.domain.runs.run import Run
from app.domain.store_trial import StoreFacts
from app.errors import AppError, StalledError
from app.services.stores.history import LOST_HINT, StoreHistory
from app.services.stores.places import look_at, state_of_directory
from app.services.stores.run_alerts import StoreRunMonitor
from app.services.stores.service import StoreService


_log: Final = logging.getLogger(__name__)
_FRESH_SECONDS: Final = 900.0
_LOOK_SECONDS: Final = 20.0
_MOST_LOOKS: Final = 4


class StoreWatch:
    """
    Knows what lies in stores; a `RunListener`, to look again where a run has changed something.

    Args:
        open_catalogue: Opens the catalogue of a store by its name, or of the backup directory for an empty
            one; blocks.
        alarm: Hears of stores that cannot be looked at, or have lost something.
        history: Knows what was put into each store.
        in_stores: Hears which backups are there.
    """

    def __init__(
        self,
        stores: StoreService,
        open_catalogue: Callable[[str], Catalogue],
        clock: Clock,
        alarm: Alarm,
        history: StoreHistory,
        in_stores: StoreRunMonitor,
    ) -> None:
        self._stores = stores
        self._open_catalogue = open_catalogue
        self._clock = clock
        self._alarm = alarm
        self._history = history
        self._in_stores = in_stores
        # Threads of its own: a store that does not answer must not take those that others need.
        self._looks = ThreadPoolExecutor(_MOST_LOOKS, thread_name_prefix="store")
        self._looking: set[str] = set()
        self._known: dict[str, PlaceState] = {}
        self._looked: dict[str, float] = {}

    async def begun(self, run: Run) -> None:
        """Do nothing: a run that works has changed nothing yet."""

    async def ended(self, run: Run) -> None:
        """Look again soon where a run may have changed something."""
        self._looked.pop(run.store, None)

    async def refresh(self) -> None:
        """Look at the stores whose last look is old; raises what a definition that makes no sense does."""
        now = self._clock.monotonic()
        facts = await self._stores.list()
        due = [
            store
            for store in facts
            if now - self._looked.get(store.name, float("-inf")) > _FRESH_SECONDS
        ]
        await asyncio.gather(*map(self._look, due))

    async def report(self) -> CopiesReport:
        """Tell what is known by now of the backup directory and of each store, and whether that is enough."""
        return await asyncio.to_thread(self.report_now)

    def report_now(self) -> CopiesReport:
        """Tell what `report` does; blocks, for threads."""
        here = state_of_directory(self._open_catalogue(""), self._now())
        try:
            stores = self._stores.list_now()
        except AppError as exc:  # the page of stores says why
            _log.warning("Stores are not known", extra={"facts": {"error": str(exc)}})
            stores = ()
        return CopiesReport.of((here, *map(self._state, stores)))

    def close(self) -> None:
        """Wait for no look any more."""
        self._looks.shutdown(wait=False, cancel_futures=True)

    def _state(self, store: StoreFacts) -> PlaceState:
        known = self._known.get(store.name)
        # Of another place nothing is known, whatever its name is.
        if known is not None and known.place == store.place:
            return known
        return PlaceState(store.name, store.kind, store.place, store.is_offsite, store.site)

    async def _look(self, store: StoreFacts) -> None:
        name = store.name
        if name in self._looking:
            return
        self._looked[name] = self._clock.monotonic()
        state = self._state(store)
        put, told = await self._history.put_last(name), await self._in_stores.told(name)
        self._looking.add(name)
        look = self._looks.submit(lambda: look_at(state, self._open_catalogue(name), self._now()))
        look.add_done_callback(lambda _: self._looking.discard(name))
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                found = await asyncio.shield(asyncio.wrap_future(look))
        except AppError as exc:
            await self._fail(store, exc)
        except TimeoutError:
            await self._fail(store, StalledError(f"no answer within {_LOOK_SECONDS:.0f} seconds"))
        else:
            lost = await self._history.lost(name, put, found.latest)
            self._known[name] = replace(found, lost=lost)
            await self._alarm.resolve(AlertKind.FAILURE, _about(name), f"store {name} answers")
            await self._tell_loss(self._known[name])
            await self._in_stores.seen(told, found.there)

    async def _tell_loss(self, place: PlaceState) -> None:
        about = f"backups in {place.name}"
        if place.lost:
            message = f"store {place.name}: {place.loss}"
            await self._alarm.raise_alert(Alert(AlertKind.FAILURE, about, message, LOST_HINT))
        else:
            what = f"store {place.name} has what was put there last"
            await self._alarm.resolve(AlertKind.FAILURE, about, what)

    async def _fail(self, store: StoreFacts, error: AppError) -> None:
        self._known[store.name] = replace(self._state(store), error=error)
        message = f"store {store.name} cannot be looked at: {error}"
        _log.warning(
            "Look at store failed", extra={"facts": {"store": store.name, "error": error.code}}
        )
        alert = Alert(AlertKind.FAILURE, _about(store.name), message, error.hint)
        await self._alarm.raise_alert(alert)

    def _now(self) -> datetime:
        return self._clock.now()


def _about(store: str) -> str:
    """Name the condition; with a space, so that no schedule has this name."""
    return f"store {store}"
