"""What commands on users and the audit run with: the control database alone."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from app.bootstrap.access import Access, open_access
from app.cli.execution import execute, read_settings
from app.cli.output import CommandResult


def execute_with_access(
    work: Callable[[Access], Awaitable[CommandResult]], *, as_json: bool
) -> NoReturn:
    """Run a command with the control database open until it returns."""

    async def opened() -> CommandResult:
        async with open_access(read_settings()) as access:
            return await work(access)

    execute(opened, as_json=as_json)
