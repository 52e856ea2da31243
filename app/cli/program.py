"""
The program `backstay`: its commands, put together.

Modules that do the work are imported by the command that needs them, so that help and version are
there at once.
"""

import atexit
import gc
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from app.cli import edge, output
from app.cli.commands import (
    alert,
    audit,
    backup,
    catalog,
    checks,
    cron,
    demo,
    doctor,
    recovery_point,
    restore,
    retention,
    schedule,
    serve,
    user,
)
from app.errors import AppError, InvalidRequestError


app = typer.Typer(
    name="backstay",
    help="Proven backups and proven restores of MySQL and MariaDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (checks.check, retention.pin, retention.unpin, retention.prune):
    backup.app.command()(command)
app.add_typer(backup.app)
app.add_typer(restore.app)
app.add_typer(recovery_point.app)
app.add_typer(catalog.app)
app.add_typer(schedule.app)
app.add_typer(user.app)
app.add_typer(alert.app)
app.add_typer(audit.app)
app.command("serve")(serve.serve)
app.command("cron")(cron.cron)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.say(f"backstay {version('backstay')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            is_eager=True,
            callback=lambda value: _show_version(wanted=value),
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log to stderr what the program does.")
    ] = False,
) -> None:
    """Proven backups and proven restores of MySQL and MariaDB."""
    if verbose:
        from app.bootstrap.logs import log_verbosely

        log_verbosely()


def main() -> None:
    """Run the command that the arguments name."""
    # What lives at the end needs no collection: without this, leaving takes a sixth of a second.
    atexit.register(gc.freeze)
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    output.prepare()
    try:
        _require_text(arguments)
        command = typer.main.get_command(app)
        # Typer reports a wrong option itself, except where only a document may be printed.
        sys.exit(command.main(arguments, prog_name="backstay", standalone_mode=not as_json))
    except TyperException as exc:
        sys.exit(edge.usage(exc.format_message()))
    except (AppError, KeyboardInterrupt) as exc:
        sys.exit(output.fail(exc, as_json=as_json))


def _require_text(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequestError(f"argument {argument!r} is not UTF-8") from exc
