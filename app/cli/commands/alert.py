"""Commands about alerts; they need no database server, and no service."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, note, say, table
from app.errors import DeliveryError


if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.alerts.notice import AlertRecord, Delivery

app = typer.Typer(name="alert", help="Who is told when something is wrong.", no_args_is_help=True)


@app.command("test")
def send_test(as_json: AsJson = False) -> None:
    """Send a message to every target now, and say who has got it."""

    async def work() -> CommandResult:
        from app.bootstrap.alerting import open_alerts
        from app.bootstrap.program import SystemClock
        from app.config import load_settings
        from app.documents.alerts import AlertTest, FailedAlertTest

        async with open_alerts(load_settings(), SystemClock()) as alerts:
            await alerts.load()
            outcomes = await alerts.test()
        document = AlertTest.of(outcomes)
        missed = [target for target, error in outcomes.items() if error]
        error = DeliveryError(
            f"{len(missed)} of {len(outcomes)} targets did not take the message",
            hint="See docs/alerts.md for what the reasons mean.",
        )
        if missed:
            document = FailedAlertTest.failed(outcomes, error)

        def show() -> None:
            table(("Target", "Result"), [(one, why or "ok") for one, why in outcomes.items()])
            if missed:
                note(f"{error.title}: {error}")
                note(f"Hint: {error.hint}")

        return CommandResult(document, show, exit_code(error) if missed else OK)

    perform(work, as_json=as_json)


@app.command("list")
def list_(
    only_open: Annotated[
        bool, typer.Option("--open", help="Only conditions that are not over.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=500, metavar="N", help="How many at most.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """List conditions and who was told of them, newest first."""

    async def work() -> CommandResult:
        from app.bootstrap.alerting import open_alerts
        from app.bootstrap.program import SystemClock
        from app.config import load_settings
        from app.documents.alerts import AlertList
        from app.domain.stores import AlertFilter, Page

        wanted = AlertFilter(is_open=True if only_open else None)
        page = Page(limit=limit, sort="-opened_at")
        async with open_alerts(load_settings(), SystemClock()) as alerts:
            found, total = await alerts.list(wanted, page)

        def show() -> None:
            if not found:
                say("No alerts.")
                return
            headings = ("Since (UTC)", "Until (UTC)", "Alert", "Seen", "Message", "Told")
            table(headings, [_row(record, attempts) for record, attempts in found])

        return CommandResult(AlertList.of(found, total), show)

    perform(work, as_json=as_json)


def _row(record: "AlertRecord", attempts: "Sequence[Delivery]") -> tuple[str, ...]:
    latest: dict[str, Delivery] = {}
    for attempt in attempts:  # the newest comes first
        latest.setdefault(attempt.target, attempt)
    told = [
        f"{one.target}: {'waiting' if one.at is None else one.error or 'ok'}"
        for one in latest.values()
    ]
    return (
        f"{record.opened_at:%Y-%m-%d %H:%M}",
        f"{record.closed_at:%Y-%m-%d %H:%M}" if record.closed_at else "-",
        f"{record.kind}: {record.about}",
        str(record.count),
        record.message,
        "\n".join(told) or "nobody",
    )
