"""The command for crontabs: a scheduled backup, when it is due."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.edge import perform
from app.cli.options import AsJson
from app.cli.output import Answer, say
from app.cli.runs import perform_run
from app.cli.schedule import FrequencyName


if TYPE_CHECKING:
    from datetime import datetime

    from app.bootstrap import Program
    from app.domain.manifest import Manifest
    from app.domain.schedule import Frequency
    from app.services.order import Order


def cron(
    frequency: Annotated[
        FrequencyName | None,
        typer.Option("--frequency", help="In the place of the schedule's own."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name of the schedule.")
    ] = "default",
    force: Annotated[
        bool, typer.Option("--force", help="Back up even when it is not due.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """
    Make a scheduled backup when it is due; silent, unless it fails or a person looks on.

    It is due when a due time has passed since the last backup that succeeded. Without a schedule of
    that name, --frequency makes one, daily without it.
    """

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings
        from app.domain.schedule import Frequency

        async with program(load_settings(), remembers=True) as parts:
            often = Frequency(frequency) if frequency else await _default(parts, name)
            due = await parts.schedules.due(often, name=name, force=force)
            manifest = await _make(parts, due.order, silent=as_json) if due.order else None
        return _told(manifest, due.next_due)

    perform(work, as_json=as_json)


async def _default(parts: "Program", name: str) -> "Frequency | None":
    """Back up daily where nobody has set anything, as the customer's own script does."""
    from app.domain.schedule import Frequency

    known = {one.name for one in await parts.schedules.list()}
    return None if name in known else Frequency.DAILY


async def _make(parts: "Program", order: "Order[Manifest]", *, silent: bool) -> "Manifest | None":
    """Back up, unless the service or another cron does it already."""
    from app.errors import AlreadyRunningError, NotDueError

    try:
        return await perform_run(parts, order, silent=silent or not sys.stderr.isatty())
    except (NotDueError, AlreadyRunningError):
        return None


def _told(manifest: "Manifest | None", next_due: "datetime | None") -> Answer:
    from app.services import documents

    if manifest is None:
        due = f"{next_due:%Y-%m-%dT%H:%M:%SZ}" if next_due else None
        return Answer({"success": True, "due": False, "next_due_at": due}, lambda: None)

    def show() -> None:
        if sys.stdout.isatty():
            say(f"Backup {manifest.backup_id} created.")

    return Answer({**documents.backup_created(manifest), "due": True}, show)
