"""Commands that prove the audit, and let its proof begin anew."""

from typing import Annotated, Final

import typer

from app.bootstrap.access import Access
from app.cli.access import execute_with_access
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, print_line
from app.cli.runs import actor
from app.documents.access import AuditAccepted, AuditVerified
from app.domain.access.audit import AuditEvent, AuditHead, AuditProof, CutKind
from app.errors import InvalidRequestError
from app.scheduling.clock import SystemClock


# Of a number that a database can hold.
_MOST_DIGITS: Final = 18


def verify(
    head: Annotated[
        str,
        typer.Option(
            "--head",
            metavar="NUMBER:DIGEST",
            help="A head that was kept elsewhere, such as in the log; it must be there as well.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Prove that no entry of the audit was changed, removed or cut off; needs no server."""

    async def work(access: Access) -> CommandResult:
        proof = await access.audit.verify(_head(head) if head else None)
        return CommandResult(AuditVerified.of(proof), lambda: _show(proof))

    execute_with_access(work, as_json=as_json)


def accept(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit.")],
    as_json: AsJson = False,
) -> None:
    """Let the proof begin anew behind what is there, such as when a key is lost; needs no server."""

    async def work(access: Access) -> CommandResult:
        at, words = SystemClock().now(), " ".join(reason.split())
        cut = await access.audit.accept(
            AuditEvent(at, actor(), "", "", "accept_audit", words, 0, "ok")
        )
        return CommandResult(
            AuditAccepted.of(cut),
            lambda: print_line(f"Entries up to {cut.number} are not proven any more."),
        )

    execute_with_access(work, as_json=as_json)


def _head(text: str) -> AuditHead:
    """Read a head as the log has it; raises InvalidRequestError."""
    number, _, digest = text.partition(":")
    if not (number.isascii() and number.isdecimal() and digest) or len(number) > _MOST_DIGITS:
        raise InvalidRequestError("--head: a number, a colon and a digest, as in the log")
    return AuditHead(int(number), digest.strip().lower())


def _show(proof: AuditProof) -> None:
    cut = proof.cut
    if cut is not None and cut.kind is CutKind.REMOVED:
        print_line(f"Entries up to {cut.number} were removed by age; their checkpoint is sealed.")
    elif cut is not None:
        print_line(
            f"Entries up to {cut.number} are not proven: accepted on {cut.at:%Y-%m-%d %H:%M} UTC."
        )
    if not proof.entries:
        print_line("There are no entries to prove.")
        return
    print_line(
        f"The audit is whole: {plural(proof.entries, 'line')}, {proof.first} to {proof.last}."
    )
    print_line(f"Head: {proof.last}:{proof.digest}")
    if proof.unkeyed:
        print_line(f"Written without a key, by older versions: {plural(proof.unkeyed, 'line')}.")
