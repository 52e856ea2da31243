"""The stores and the copies in them, put together."""

from typing import TYPE_CHECKING

from app.config import Settings, find_variable
from app.domain.ports import Clock
from app.scheduling.clock import SystemClock
from app.services.stores.service import StoreService


if TYPE_CHECKING:
    from app.bootstrap.program import Program
    from app.services.scheduled_copies import ScheduledCopies
    from app.services.stores.watch import StoreWatch


def build_stores(settings: Settings) -> StoreService:
    """Make what knows the stores; nothing is read or opened yet."""
    return StoreService(
        settings.state_dir, settings.stores.get_secret_value(), find_variable, SystemClock()
    )


def build_scheduled_copies(program: "Program", clock: Clock) -> "ScheduledCopies":
    """Put them together of what the program has."""
    from app.services.scheduled_copies import ScheduledCopies  # noqa: PLC0415 - who lists stores needs none of it

    return ScheduledCopies(
        schedules=program.schedules,
        local=program.local,
        copies=program.copies,
        jobs=program.jobs,
        runs=program.runs,
        clock=clock,
        alarm=program.alerts,
    )


def build_store_watch(program: "Program") -> "StoreWatch":
    """Make what knows what lies in stores."""
    from app.services.stores.history import StoreHistory  # noqa: PLC0415 - as above
    from app.services.stores.run_alerts import StoreRunMonitor  # noqa: PLC0415 - as above
    from app.services.stores.watch import StoreWatch  # noqa: PLC0415 - as above
    from app.storage.run_locks import RunLocks  # noqa: PLC0415 - as above

    history = StoreHistory(program.history, RunLocks(program.settings.state_dir).owner)
    return StoreWatch(
        program.stores,
        program.catalogue_of,
        SystemClock(),
        program.alerts,
        history,
        StoreRunMonitor(program.alerts, program.alerts.raised),
    )
