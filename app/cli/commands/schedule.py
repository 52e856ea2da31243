"""Commands that show and set schedules."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

import typer

from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.options import (
    AsJson,
    Databases,
    DescriptionText,
    ExcludeTables,
    FrequencyName,
    Level,
    NoData,
    Tables,
)
from app.cli.output import CommandResult, minute, print_line
from app.cli.rules import KeepOption, policy_of
from app.cli.runs import audited
from app.cli.tables import print_table
from app.documents.schedules import ScheduleChanged, ScheduleDeleted, ScheduleList
from app.domain.access.audit import ChangeNote
from app.domain.schedule import (
    Frequency,
    Schedule,
    ScheduleChange,
    ScheduleKind,
    ScheduleOptions,
)
from app.services.schedules import ScheduleService


FrequencyOption = Annotated[
    FrequencyName | None,
    typer.Option(
        "--frequency",
        metavar="FREQUENCY",
        help="hourly, daily at 02:00, or weekly on Sundays at 02:00.",
    ),
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
StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="NAME",
        help="The store that its backups are made in. Default: BACKSTAY_BACKUP_DIR.",
        show_default=False,
    ),
]
CopiesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--copies", metavar="NAME", help="A store that gets a copy of each backup. Repeatable."
    ),
]
KindOption = Annotated[
    Literal["backup", "synthetic"],
    typer.Option(
        "--kind",
        metavar="KIND",
        help="backup reads the server; synthetic recovers an older backup up to now.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")]


def show(as_json: AsJson = False) -> None:
    """Show the schedules, and when each is next due; needs no server."""

    async def work(program: Program) -> CommandResult:
        schedules = await program.schedules.list()
        return CommandResult(ScheduleList.of(schedules), lambda: _show(schedules))

    execute_with_program(work, as_json=as_json, needs_server=False)


def set_(
    name: NameArgument = "default",
    kind: KindOption = "backup",
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
    level: Level = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not read backups back before publishing them.")
    ] = False,
    store: StoreOption = "",
    copies: CopiesOption = None,
    keep: KeepOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a schedule, or change the one of that name as a whole; needs no server."""
    change = ScheduleChange(
        name=name,
        kind=ScheduleKind(kind),
        frequency=Frequency(frequency) if frequency else None,
        cron=cron,
        timezone=timezone,
        enabled=not disabled,
        external=external,
        options=ScheduleOptions(
            databases=tuple(database or ()),
            tables=tuple(tables or ()),
            exclude_tables=tuple(exclude_table or ()),
            include_data=not no_data,
            description=description,
            level=level,
            verify=False if no_verify else None,
            copies=tuple(copies or ()),
            store=store,
        ),
        retention=policy_of(keep) if keep else None,
    )
    _change(
        name,
        "set_schedule",
        lambda schedules, note: schedules.set(change, note=note),
        as_json=as_json,
    )


def enable(name: NameArgument = "default", as_json: AsJson = False) -> None:
    """Switch a schedule on, from now on; needs no server."""
    _change(
        name,
        "enable_schedule",
        lambda schedules, note: schedules.enable(name, enabled=True, note=note),
        as_json=as_json,
    )


def disable(name: NameArgument = "default", as_json: AsJson = False) -> None:
    """Switch a schedule off, until it is enabled; needs no server."""
    _change(
        name,
        "disable_schedule",
        lambda schedules, note: schedules.enable(name, enabled=False, note=note),
        as_json=as_json,
    )


def delete(name: NameArgument, as_json: AsJson = False) -> None:
    """Delete a schedule; its backups stay. Needs no server."""

    async def work(program: Program) -> CommandResult:
        async with audited(program.audit, "delete_schedule", name) as note:
            await program.schedules.delete(name, note)
        return CommandResult(
            ScheduleDeleted.of(name),
            lambda: print_line(f"Schedule {name} deleted; backups stay."),
        )

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True)


def _change(
    name: str,
    action: str,
    change: Callable[[ScheduleService, ChangeNote], Awaitable[Schedule]],
    *,
    as_json: bool,
) -> None:
    async def work(program: Program) -> CommandResult:
        async with audited(program.audit, action, name) as note:
            changed = await change(program.schedules, note)
        return CommandResult(ScheduleChanged.of(changed), lambda: _show([changed]))

    execute_with_program(work, as_json=as_json, needs_server=False, records_runs=True)


def _show(schedules: Sequence[Schedule]) -> None:
    if not schedules:
        print_line("No schedules. Make one with 'backstay schedule set --frequency daily'.")
        return
    rows = [
        (
            schedule.name,
            schedule.kind.value,
            schedule.frequency or schedule.cron,
            schedule.timezone,
            ", ".join(schedule.options.databases) or "all",
            schedule.options.store or "-",
            minute(schedule.last_success_at, "never"),
            _next(schedule),
        )
        for schedule in schedules
    ]
    print_table(
        (
            "Name",
            "Kind",
            "When",
            "Zone",
            "Databases",
            "Store",
            "Last success (UTC)",
            "Next due (UTC)",
        ),
        rows,
    )


def _next(schedule: Schedule) -> str:
    due = schedule.next_due()
    if not schedule.enabled:
        return "disabled"
    by = " by cron" if schedule.external else ""
    return f"{minute(due)}{by}" if due else "never"
