"""The command that makes a point to go back to."""

from typing import Annotated

import typer

from app.cli.commands.backup import create_backup
from app.cli.options import AsJson, Databases, Threads
from app.services.backups.options import BackupOptions


def create(
    database: Databases = None,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="Free text, one line.")
    ] = "Recovery point",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Back up what is there now, before something risky; never counted against other backups."""
    options = BackupOptions(
        databases=tuple(database or ()),
        description=description,
        recovery_point=True,
        threads=threads,
    )
    create_backup(options, as_json=as_json)
