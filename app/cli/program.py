"""
The program `backstay`: which commands there are, and where each of them is.

A command's module imports what its work needs, the database drivers among it, so it is imported
when the command itself is asked for: lists of commands show what stands in the table below.
"""

import atexit
import errno
import gc
import os
import stat
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from app.cli import exits, output
from app.cli.signals import end_on_signals, ignore_signals
from app.cli.streams import lost_output, open_streams
from app.errors import AppError, InvalidRequestError, StorageError
from app.storage.kernel import share_freed_memory


if TYPE_CHECKING:
    from typer._click.core import Context

# None: help in plain columns, which leave twice the room for words on a narrow terminal.
_MARKUP: Final = None
_HELP_OPTIONS: Final = {"help_option_names": ["--help", "-h"]}
# What the library that checks values puts before the words that say what is wrong with one.
_OF_CHECKS: Final = "Value error, "


class LazyCommand(TyperCommand):
    """
    A command whose module is imported when more than its name and one line of help is needed.

    Attributes:
        target: `module:function`, below `app.cli.commands`.
    """

    def __init__(self, name: str, target: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help, rich_markup_mode=_MARKUP)
        self.target = target

    def load(self) -> TyperCommand:
        """Import the command, with its options and its full help."""
        module, _, function = self.target.partition(":")
        alone = typer.Typer(add_completion=False, rich_markup_mode=_MARKUP)
        alone.command(self.name, context_settings=_HELP_OPTIONS)(
            getattr(import_module(f"app.cli.commands.{module}"), function)
        )
        return cast("TyperCommand", typer.main.get_command(alone))

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: "Context | None" = None,
        **extra: object,
    ) -> "Context":
        """Read the arguments by the real command, which then runs or completes them."""
        try:
            return self.load().make_context(info_name, args, parent, **extra)
        except TyperException as exc:
            exc.message = exc.message.removeprefix(_OF_CHECKS)
            raise


def _group(name: str, summary: str, commands: Sequence[LazyCommand]) -> TyperGroup:
    return TyperGroup(
        name=name,
        help=summary,
        commands=commands,
        no_args_is_help=True,
        rich_markup_mode=_MARKUP,
        context_settings=_HELP_OPTIONS,
    )


# One line of help each, short enough for 80 columns; the whole of it is the function's docstring.
_COMMANDS: Final = (
    LazyCommand("serve", "serve:serve", "Run pages and API until a signal stops it."),
    LazyCommand("cron", "cron:cron", "Make a scheduled backup when it is due; for crontabs."),
    LazyCommand(
        "doctor", "doctor:doctor", "Find what would make a backup fail, and say what to do."
    ),
    LazyCommand("demo", "demo:demo", "Back up, damage and restore a shop on a private server."),
    _group(
        "backup",
        "Create, list, verify and delete backups.",
        (
            LazyCommand("create", "backup:create", "Back up databases in one consistent snapshot."),
            LazyCommand(
                "tables", "tables:tables", "List the server's tables, and which a backup takes."
            ),
            LazyCommand("list", "listing:list_", "List the backups, newest first."),
            LazyCommand("info", "listing:info", "Show what a backup holds and how it was made."),
            LazyCommand("verify", "backup:verify", "Prove a backup to the last byte and row."),
            LazyCommand(
                "copy", "backup:copy", "Copy a backup to another store, and prove the copy."
            ),
            LazyCommand(
                "rewrap", "backup:rewrap", "Copy an encrypted backup for other recipients."
            ),
            LazyCommand("delete", "backup:delete", "Delete a backup."),
            LazyCommand("check", "check:check", "Check the stored backups that are due."),
            LazyCommand("pin", "retention:pin", "Keep a backup: nobody can delete it."),
            LazyCommand("unpin", "retention:unpin", "Unpin a backup, so that it can be deleted."),
            LazyCommand("prune", "retention:prune", "Delete the backups that no rule keeps."),
        ),
    ),
    _group(
        "restore",
        "Restore backups, and undo restores.",
        (
            LazyCommand("run", "restore:run", "Restore a backup, prove it, and swap it in."),
            LazyCommand("options", "restore:options", "Show what a backup can do here."),
            LazyCommand("undo", "restore:undo", "Undo a restore by one statement."),
        ),
    ),
    LazyCommand("recover", "recover:recover", "Make a backup of a point in time."),
    _group(
        "recovery-point",
        "Make recovery points: backups to go back to.",
        (
            LazyCommand(
                "create", "recovery_point:create", "Back up what is there, before something risky."
            ),
        ),
    ),
    _group(
        "catalog",
        "Rebuild the catalogue of the backup directory.",
        (LazyCommand("rebuild", "catalog:rebuild", "Make the catalogue again from the files."),),
    ),
    _group(
        "schedule",
        "Show and set scheduled backups.",
        (
            LazyCommand("show", "schedule:show", "Show the schedules, and when each is next due."),
            LazyCommand("set", "schedule:set_", "Make a schedule, or change it as a whole."),
            LazyCommand("enable", "schedule:enable", "Switch a schedule on, from now on."),
            LazyCommand("disable", "schedule:disable", "Switch a schedule off."),
            LazyCommand("delete", "schedule:delete", "Delete a schedule; its backups stay."),
        ),
    ),
    _group(
        "user",
        "Create and change users of the service.",
        (
            LazyCommand("create", "user:create", "Add a user; asks for the password."),
            LazyCommand("list", "user:list_", "List the users by name."),
            LazyCommand("disable", "user:disable", "Disable a user, and end their sessions."),
            LazyCommand("enable", "user:enable", "Enable a disabled user."),
            LazyCommand("password", "user:password", "Set a user's password."),
            LazyCommand("role", "user:role", "Set a user's role."),
        ),
    ),
    _group(
        "alert",
        "Test and list alerts.",
        (
            LazyCommand("test", "alert:send_test", "Send a test message to every target."),
            LazyCommand("list", "alert:list_", "List alerts and their deliveries."),
        ),
    ),
    _group(
        "key",
        "Make, show and test the keys of backups.",
        (
            LazyCommand("new", "key:new", "Make an identity, which reads encrypted backups."),
            LazyCommand("show", "key:show", "Show the keys, or print the recovery sheet."),
            LazyCommand("check", "key:check", "Prove that encrypted backups can be read here."),
        ),
    ),
    _group(
        "store",
        "List and test stores elsewhere.",
        (
            LazyCommand("list", "store:list_", "List the stores by name."),
            LazyCommand("test", "store:try_", "Try a store, and say what is missing."),
        ),
    ),
    _group(
        "binlog",
        "Archive the binary log, and look into it.",
        (
            LazyCommand("run", "binlog:run", "Archive the binary log until a signal stops it."),
            LazyCommand("status", "binlog:status", "Tell which points in time can be reached."),
            LazyCommand("transactions", "binlog:transactions", "List transactions of the archive."),
            LazyCommand("fetch", "binlog:fetch", "Bring the archive back from a store."),
        ),
    ),
    _group(
        "run",
        "End runs of which nothing is heard any more.",
        (LazyCommand("end", "run:end", "End a run in the history whose installation is gone."),),
    ),
    _group(
        "audit",
        "Verify the audit.",
        (
            LazyCommand("verify", "audit:verify", "Prove that no entry was changed or removed."),
            LazyCommand("accept", "audit:accept", "Begin its proof anew."),
        ),
    ),
)

app = typer.Typer(
    name="backstay",
    no_args_is_help=True,
    rich_markup_mode=_MARKUP,
    pretty_exceptions_enable=False,
    context_settings=_HELP_OPTIONS,
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        output.print_line(f"backstay {version('backstay')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=lambda value: _print_version(wanted=value),
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log to stderr what the program does.")
    ] = False,
) -> None:
    """Proven backups and proven restores of MySQL and MariaDB."""
    if verbose:
        from app.bootstrap.logs import log_verbosely  # noqa: PLC0415 - it brings the settings

        log_verbosely()


def build_program() -> TyperGroup:
    """Put the commands together, without importing any."""
    program = cast("TyperGroup", typer.main.get_command(app))
    for command in _COMMANDS:
        program.add_command(command)
    return program


def main() -> NoReturn:
    """Run the command that the arguments name, and end with its code."""
    # What lives at the end needs no collection: without this, leaving takes a sixth of a second.
    atexit.register(gc.freeze)
    # An umask that takes away the owner's own rights would make files that we could not open again.
    os.umask(os.umask(0) & ~stat.S_IRWXU)
    share_freed_memory()
    open_streams()
    _leave(_run(sys.argv[1:]))


def _run(arguments: Sequence[str]) -> int:
    """Run a command, and return its code."""
    as_json = "--json" in arguments
    try:
        _require_text(arguments)
        # Typer reports a wrong option itself, except where only a document may be printed.
        code = build_program().main(arguments, prog_name="backstay", standalone_mode=not as_json)
    except SystemExit as exc:
        code = exc.code
    except TyperException as exc:
        code = _report_usage(exc.format_message())
    except (AppError, KeyboardInterrupt) as exc:
        code = output.report_failure(exc, as_json=as_json)
    return code if isinstance(code, int) else exits.OK


def _leave(code: int) -> NoReturn:
    """Tell when the result could not be printed, and end; no signal changes the code any more."""
    end_on_signals(code)
    lost = lost_output()
    # A reader that has seen enough, such as `head`, is no failure of ours.
    if lost is not None and lost.errno != errno.EPIPE:
        error = StorageError(
            f"the result could not be printed: {(lost.strerror or type(lost).__name__).lower()}",
            hint="What was asked for was done, unless something else is said above.",
        )
        code = code or output.report_failure(error, as_json=False)
    ignore_signals()
    sys.exit(code)


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as exc:
            raise InvalidRequestError(f"argument {argument!r} is not UTF-8") from exc


def _report_usage(message: str) -> int:
    """Print the document of a command that was not understood."""
    hint = "Try 'backstay --help'."
    output.print_document(output.error_document("usage", "Usage", message, hint, retryable=False))
    return exits.USAGE
