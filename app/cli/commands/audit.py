"""The command that proves the audit."""

from app.bootstrap.access import Access
from app.cli.access import execute_with_access
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, print_line
from app.documents.access import AuditVerified


def verify(as_json: AsJson = False) -> None:
    """Prove that no entry of the audit was changed, removed or cut off; needs no server."""

    async def work(access: Access) -> CommandResult:
        count = await access.audit.verify()
        return CommandResult(
            AuditVerified.of(count),
            lambda: print_line(f"The audit is whole, {plural(count, 'line')}."),
        )

    execute_with_access(work, as_json=as_json)
