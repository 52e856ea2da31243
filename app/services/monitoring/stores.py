"""The doctor's checks of stores: whether each answers, and what is there."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.catalogue import Survey
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.errors import AppError, StalledError
from app.services.stores.service import StoreService


# All are asked at once; whoever waits for the doctor waits no longer for a store that does not answer.
_SECONDS: Final = 20.0


class StoreChecks:
    """
    Examines the stores of one installation; changes nothing there.

    Args:
        stores: Knows their names.
        open_catalogue: Opens the catalogue of a store by its name; blocks.
    """

    def __init__(self, stores: StoreService, open_catalogue: Callable[[str], Catalogue]) -> None:
        self._stores = stores
        self._open_catalogue = open_catalogue

    async def examine(self) -> Sequence[DoctorCheck]:
        """Return a finding a store; raises no error of this program."""
        try:
            names = [store.name for store in await self._stores.list()]
        except AppError as exc:
            return [failed("stores", exc)]
        return await asyncio.gather(*map(self._examine, names))

    async def _examine(self, name: str) -> DoctorCheck:
        what = f"store {name}"
        try:
            async with asyncio.timeout(_SECONDS):
                survey = await asyncio.to_thread(lambda: self._open_catalogue(name).survey())
        except AppError as exc:
            return failed(what, exc)
        except TimeoutError:
            return failed(what, StalledError(f"no answer within {_SECONDS:.0f} seconds"))
        return _judged(name, what, survey)


def _judged(name: str, what: str, survey: Survey) -> DoctorCheck:
    count = len(survey.entries)
    detail = "1 backup" if count == 1 else f"{count} backups"
    if survey.entries:
        detail += f", the newest of {survey.entries[0].created_at:%Y-%m-%d %H:%M} UTC"
    if survey.problems or survey.orphans:
        detail += f"; {len(survey.problems) + len(survey.orphans)} damaged or without a manifest"
        remedy = f"'backstay backup list --store {name}' names them."
        return DoctorCheck(what, CheckState.WARN, detail, remedy)
    return DoctorCheck(what, CheckState.OK, detail)
