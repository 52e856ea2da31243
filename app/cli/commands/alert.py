"""Commands about alerts; they need no database server, and no service."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from app.bootstrap.alerting import open_alerts
from app.cli.execution import execute, read_settings
from app.cli.exits import exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, minute, print_error, print_line
from app.cli.tables import print_table
from app.documents.alerts import AlertList, AlertTest, FailedAlertTest
from app.domain.alerts.notice import AlertRecord, Delivery
from app.domain.stores import AlertFilter, Page
from app.errors import DeliveryError
from app.scheduling.clock import SystemClock


def send_test(as_json: AsJson = False) -> None:
    """Send a test message to every target now, and show which arrived."""

    async def work() -> CommandResult:
        async with open_alerts(read_settings(), SystemClock()) as alerts:
            await alerts.load()
            return _test_result(await alerts.test())

    execute(work, as_json=as_json)


def _test_result(outcomes: Mapping[str, str]) -> CommandResult:
    missed = sum(bool(reason) for reason in outcomes.values())
    rows = [(target, reason or "ok") for target, reason in outcomes.items()]
    if not missed:
        return CommandResult(
            AlertTest.of(outcomes), lambda: print_table(("Target", "Result"), rows)
        )
    error = DeliveryError(
        f"{missed} of {len(outcomes)} targets did not take the message",
        hint="See docs/alerts.md for what the reasons mean.",
    )

    def show() -> None:
        print_table(("Target", "Result"), rows)
        print_error(error.title, str(error), error.hint)

    return CommandResult(FailedAlertTest.failed(outcomes, error), show, exit_code(error))


def list_(
    only_open: Annotated[bool, typer.Option("--open", help="Only open alerts.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=500, metavar="N", help="How many at most.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """List alerts and their deliveries, newest first."""
    wanted = AlertFilter(is_open=True if only_open else None)
    page = Page(limit=limit, sort="-opened_at")

    async def work() -> CommandResult:
        async with open_alerts(read_settings(), SystemClock()) as alerts:
            alerts_found, total = await alerts.list(wanted, page)
        return CommandResult(AlertList.of(alerts_found, total), lambda: _show(alerts_found))

    execute(work, as_json=as_json)


def _show(alerts: Sequence[tuple[AlertRecord, Sequence[Delivery]]]) -> None:
    if not alerts:
        print_line("No alerts.")
        return
    headings = ("Since (UTC)", "Until (UTC)", "Alert", "Seen", "Message", "Deliveries")
    print_table(headings, [_row(alert, attempts) for alert, attempts in alerts])


def _row(alert: AlertRecord, attempts: Sequence[Delivery]) -> tuple[str, ...]:
    latest: dict[str, Delivery] = {}
    for attempt in attempts:  # the newest comes first
        latest.setdefault(attempt.target, attempt)
    deliveries = [
        f"{target}: {'waiting' if attempt.at is None else attempt.error or 'ok'}"
        for target, attempt in latest.items()
    ]
    return (
        minute(alert.opened_at),
        minute(alert.closed_at),
        f"{alert.kind}: {alert.about}",
        str(alert.count),
        alert.message,
        "\n".join(deliveries) or "none",
    )
