"""The command that proves the audit."""

import typer

from app.cli.edge import perform
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, say


app = typer.Typer(name="audit", help="Who changed what, proven to be whole.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Who changed what, proven to be whole."""


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Prove that no entry of the audit was changed, removed or cut off; needs no server."""

    async def work() -> CommandResult:
        from app.bootstrap.access import open_access
        from app.config import load_settings
        from app.documents.access import AuditVerified

        async with open_access(load_settings()) as parts:
            count = await parts.audit.verify()
        return CommandResult(
            AuditVerified.of(count),
            lambda: say(f"The audit is whole, {plural(count, 'line')}."),
        )

    perform(work, as_json=as_json)
