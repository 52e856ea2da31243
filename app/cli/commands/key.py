"""Commands on the keys of backups; none needs a server, a service or a control database."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.age.identity_file import protected, write_identity
from app.age.x25519 import Identity
from app.bootstrap.encryption import build_backup_keys, build_signers
from app.cli.execution import execute, read_settings
from app.cli.exits import exit_code
from app.cli.options import AsJson
from app.cli.output import CommandResult, print_error, print_line, print_pairs, print_status
from app.cli.streams import begin_line, read_secret
from app.documents.keys import KeyMade, KeysFailed, KeysProven, KeysShown
from app.documents.recovery_sheet import recovery_sheet
from app.domain.keys import IdentityPlace, KeyProof, Signer
from app.errors import InvalidRequestError, NoIdentityError
from app.scheduling.clock import SystemClock
from app.security.backup_keys import RECIPIENTS, create_identity_file


def new(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Keep it in a new file, for its owner alone. Default: print it.",
            show_default=False,
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option("--passphrase", help="Protect it by a passphrase, which is asked for."),
    ] = False,
    passphrase_stdin: Annotated[
        bool,
        typer.Option("--passphrase-stdin", help="Read the passphrase as one line from stdin."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an identity, which reads encrypted backups, and print the line that encrypts for it."""
    is_protected = passphrase or passphrase_stdin
    secret = read_secret("Passphrase", from_stdin=passphrase_stdin) if is_protected else ""

    async def work() -> CommandResult:
        if is_protected and not secret:
            raise InvalidRequestError("the passphrase is empty")
        identity = Identity.new()
        data = write_identity(identity, SystemClock().now())
        if is_protected:
            data = await asyncio.to_thread(protected, data, secret)
        if out is not None:
            await asyncio.to_thread(create_identity_file, out, data)
        recipient = str(identity.recipient)
        document = KeyMade(
            success=True,
            recipient=recipient,
            setting=f"{RECIPIENTS}={recipient}",
            protected=is_protected,
            file=str(out) if out else None,
            identity=None if out else data.decode(),
        )
        return CommandResult(document, lambda: _show_new(document))

    execute(work, as_json=as_json)


def _show_new(made: KeyMade) -> None:
    # Nothing else on stdout, so that it can be sent to a file: the identity, or the line for `.env`.
    begin_line()
    if made.identity is None:
        print_status(f"Identity written to {made.file}.")
        print_line(made.setting)
    else:
        print_line(made.identity.removesuffix("\n"))
        print_status(made.setting)
    print_status("Keep a copy where this machine cannot lose it: without it no backup can be read.")


def show(
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Print the recovery sheet, of 80 columns.")
    ] = False,
    secret: Annotated[
        bool, typer.Option("--secret", help="Print the identities on the sheet, too: secret.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show for whom backups are encrypted, who signs them, and where identities come from."""

    async def work() -> CommandResult:
        if secret and not sheet:
            raise InvalidRequestError("--secret: only on the sheet", hint="Add --sheet.")
        return await asyncio.to_thread(_shown, with_sheet=sheet, with_secrets=secret)

    execute(work, as_json=as_json)


def _shown(*, with_sheet: bool, with_secrets: bool) -> CommandResult:
    settings = read_settings()
    keys, signers = build_backup_keys(settings), build_signers(settings)
    recipients = [str(recipient) for recipient in keys.recipients()]
    places = keys.places
    sheet = None
    if with_sheet:
        if not recipients:
            raise _nobody()
        identities = keys.identities() if with_secrets else ()
        if with_secrets and not identities:
            raise NoIdentityError("no identity is here that could be on the sheet")
        secrets = [identity.secret_text() for identity in identities]
        sheet = recovery_sheet(recipients, signers.own(), secrets, SystemClock().now())
    known = signers.known()
    document = KeysShown.of(recipients, known, places, sheet)
    if sheet is not None:
        return CommandResult(document, lambda: print_line(sheet))
    return CommandResult(document, lambda: _show_keys(recipients, known, places))


def _show_keys(
    recipients: Sequence[str], signers: Sequence[Signer], places: Sequence[IdentityPlace]
) -> None:
    own = [signer for signer in signers if signer.is_own]
    pairs = [
        ("Encrypts for", recipients or ["nobody: backups are not encrypted"]),
        ("Signs as", [f"{signer.signer_id}  {signer.key}" for signer in own] or ["nobody yet"]),
        (
            "Believes",
            [f"{signer.signer_id}  {signer.key}" for signer in signers if not signer.is_own],
        ),
        (
            "Reads with",
            [f"{place.variable}: {place.what}" for place in places]
            or ["nothing: no identity is set, so nothing encrypted can be read here"],
        ),
    ]
    print_pairs([
        (name if not number else "", line)
        for name, lines in pairs
        for number, line in enumerate(lines)
    ])


def check(as_json: AsJson = False) -> None:
    """Encrypt a text for each recipient, and prove that the identities which are here decrypt it."""

    async def work() -> CommandResult:
        keys = build_backup_keys(read_settings())
        if not keys.encrypts:
            raise _nobody()
        proof = await asyncio.to_thread(keys.prove)
        return _proven(proof)

    execute(work, as_json=as_json)


def _proven(proof: KeyProof) -> CommandResult:
    if len(proof.unopened) < len(proof.recipients):
        return CommandResult(KeysProven.of(proof), lambda: _show_proof(proof))
    error = NoIdentityError(
        "no identity here opens what is encrypted for any of the recipients",
        hint="Set BACKSTAY_IDENTITY_FILE to one that does, at least for this test.",
    )

    def show() -> None:
        _show_proof(proof)
        print_error(error.title, str(error), error.hint)

    return CommandResult(KeysFailed.failed(proof, error), show, exit_code(error))


def _show_proof(proof: KeyProof) -> None:
    for tried in proof.recipients:
        print_line(
            f"{tried.recipient}: opened by {tried.opened_by}"
            if tried.opened_by
            else f"{tried.recipient}: nothing here opens it"
        )
    for tried in proof.others:
        print_line(f"{tried.recipient}: older backups only, by {tried.opened_by}")


def _nobody() -> InvalidRequestError:
    return InvalidRequestError(
        f"{RECIPIENTS} is empty: backups are not encrypted",
        hint="Make an identity with 'backstay key new', and set what it prints.",
    )
