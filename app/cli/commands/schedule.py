"""Commands that show and set schedules."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.edge import perform
from app.cli.options import (
    AsJson,
    Databases,
    DescriptionText,
    ExcludeTables,
    NoData,
    Tables,
)
from app.cli.output import CommandResult, say, table


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from app.domain.backups.retention import RetentionPolicy
    from app.domain.schedule import Schedule
    from app.services.schedules import ScheduleService

FrequencyName = Literal["hourly", "daily", "weekly"]
FrequencyOption = Annotated[
    FrequencyName | None,
    typer.Option("--frequency", help="hourly, daily at 02:00, or weekly on Sundays at 02:00."),
]
CronOption = Annotated[
    str,
    typer.Option("--cron", metavar="EXPR", help="Instead: '30 2 * * 1-5'.", show_default=False),
]
ZoneOption = Annotated[
    str, typer.Option("--timezone", metavar="ZONE", help="IANA name. Default: BACKSTAY_TIMEZONE.")
]
ExternalOption = Annotated[
    bool, typer.Option("--external", help="The service leaves it to 'backstay cron'.")
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="RULE=N",
        help="What is kept: count, days, hourly, daily, weekly, monthly, yearly; and the limits"
        " max_days and max_bytes. Repeatable. Default: as the settings say.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]

app = typer.Typer(name="schedule", help="What is backed up by itself.", no_args_is_help=True)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the schedules, and when each is next due; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.schedules import ScheduleList

        async with open_program(load_settings(), needs_server=False) as parts:
            schedules = await parts.schedules.list()
        return CommandResult(ScheduleList.of(schedules), lambda: _show(schedules))

    perform(work, as_json=as_json)


@app.command("set")
def set_(
    name: NameArgument = "default",
    frequency: FrequencyOption = None,
    cron: CronOption = "",
    timezone: ZoneOption = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not run it for now.")] = False,
    external: ExternalOption = False,
    database: Databases = None,
    tables: Tables = None,
    exclude_table: ExcludeTables = None,
    no_data: NoData = False,
    description: DescriptionText = "",
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not read backups back before publishing them.")
    ] = False,
    keep: KeepOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule, or change the one of that name as a whole; needs no server."""

    async def work() -> CommandResult:
        from app.domain.schedule import Frequency, ScheduleOptions
        from app.services.schedules import ScheduleChange

        options = ScheduleOptions(
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            exclude_tables=tuple(exclude_table or ()),
            include_data=not no_data,
            description=description,
            verify=False if no_verify else None,
        )
        wish = ScheduleChange(
            name=name,
            frequency=Frequency(frequency) if frequency else None,
            cron=cron,
            timezone=timezone,
            enabled=not disabled,
            external=external,
            options=options,
            retention=_policy(keep) if keep else None,
        )
        return await _changed(lambda schedules: schedules.set(wish))

    perform(work, as_json=as_json)


@app.command()
def enable(name: NameArgument = "default", as_json: AsJson = False) -> None:
    """Switch a schedule on, from now on; needs no server."""
    _switch(name, enabled=True, as_json=as_json)


@app.command()
def disable(name: NameArgument = "default", as_json: AsJson = False) -> None:
    """Switch a schedule off, until it is enabled; needs no server."""
    _switch(name, enabled=False, as_json=as_json)


@app.command()
def delete(name: NameArgument, as_json: AsJson = False) -> None:
    """Forget a schedule; its backups stay. Needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.program import open_program
        from app.config import load_settings
        from app.documents.schedules import ScheduleDeleted

        async with open_program(load_settings(), needs_server=False) as parts:
            await parts.schedules.delete(name)
        return CommandResult(
            ScheduleDeleted.of(name), lambda: say(f"Schedule {name} deleted; backups stay.")
        )

    perform(work, as_json=as_json)


def _switch(name: str, *, enabled: bool, as_json: bool) -> None:
    perform(
        lambda: _changed(lambda schedules: schedules.enable(name, enabled=enabled)),
        as_json=as_json,
    )


async def _changed(change: "Callable[[ScheduleService], Awaitable[Schedule]]") -> CommandResult:
    """Change a schedule and show it."""
    from app.bootstrap.program import open_program
    from app.config import load_settings
    from app.documents.schedules import ScheduleChanged

    async with open_program(load_settings(), needs_server=False) as parts:
        changed = await change(parts.schedules)
    return CommandResult(ScheduleChanged.of(changed), lambda: _show([changed]))


def _policy(rules: "Sequence[str]") -> "RetentionPolicy":
    """Read rules like `daily=7`; raises InvalidRequestError."""
    from pydantic import TypeAdapter, ValidationError

    from app.domain.backups.retention import RetentionPolicy
    from app.errors import InvalidRequestError

    known = RetentionPolicy.__dataclass_fields__
    values = dict(rule.partition("=")[::2] for rule in rules)
    wrong = InvalidRequestError(
        "--keep: a rule and a number, such as daily=7", hint=f"Rules: {', '.join(known)}."
    )
    try:
        policy = TypeAdapter(RetentionPolicy).validate_strings(values)
    except ValidationError as exc:
        raise wrong from exc
    if not values.keys() <= known.keys() or any(getattr(policy, name) < 0 for name in known):
        raise wrong
    return policy


def _show(schedules: "Sequence[Schedule]") -> None:
    if not schedules:
        say("No schedules. Make one with 'backstay schedule set --frequency daily'.")
        return
    rows = [
        (
            schedule.name,
            schedule.frequency or schedule.cron,
            schedule.timezone,
            ", ".join(schedule.options.databases) or "all",
            f"{schedule.last_success_at:%Y-%m-%d %H:%M}" if schedule.last_success_at else "never",
            _next(schedule),
        )
        for schedule in schedules
    ]
    table(("Name", "When", "Zone", "Databases", "Last success (UTC)", "Next due (UTC)"), rows)


def _next(schedule: "Schedule") -> str:
    due = schedule.next_due()
    if not schedule.enabled:
        return "disabled"
    by = " by cron" if schedule.external else ""
    return f"{due:%Y-%m-%d %H:%M}{by}" if due else "never"
