"""The log of alerts is kept short, by time that has come."""

from datetime import datetime

from app.control.absent import NoAlerts
from app.control.alerts import AlertRecords
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.stores import AlertFilter, Page
from app.errors import StorageUnavailableError
from app.services.alerts.upkeep import AlertUpkeep
from tests.fixtures.archives import NOON
from tests.fixtures.clocks import SetClock


async def test_alerts_are_removed_when_they_are_over_for_long_by_no_clock_that_jumped(control):
    """What the clock says is not enough; and a log that cannot be read ends nothing."""
    store, clock, elapsed = AlertRecords(control), SetClock(), SetClock()
    upkeep = AlertUpkeep(store, clock, elapsed)
    alert = Alert(AlertKind.DISK, "disk", "it is full")
    await store.raise_alert(alert, NOON, told_before=NOON, targets=())
    await store.resolve(alert.key, NOON, "all is well")

    async def left() -> int:
        _, total = await store.list(AlertFilter(), Page(1, sort="-opened_at"))
        return total

    clock.advance(days=400)
    await upkeep.run_hourly()
    assert await left() == 1
    elapsed.advance(days=91)
    await upkeep.run_hourly()
    assert await left() == 0


async def test_a_log_of_alerts_that_cannot_be_read_is_told(caplog):
    """It is tried again an hour later."""

    class Unreadable(SetClock):
        def now(self) -> datetime:
            raise StorageUnavailableError("witness.json: it does not answer")

    await AlertUpkeep(NoAlerts(), SetClock(), Unreadable()).run_hourly()
    assert "Alert log could not be kept short" in caplog.text
