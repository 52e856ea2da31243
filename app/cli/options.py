"""Arguments and options that more than one command has."""

from typing import Annotated, Final, Literal

import typer


MAX_THREADS: Final = 64

BackupIdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id or file of a backup, or 'latest'; see 'backup list'."),
]
Databases = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="NAME", help="Only this database. Repeatable."),
]
Tables = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        metavar="GLOB",
        help="Only tables like this: a glob on 'table' or 'database.table'. Repeatable.",
    ),
]
ExcludeTables = Annotated[
    list[str] | None,
    typer.Option("--exclude-table", metavar="GLOB", help="Leave such tables out. Repeatable."),
]
NoData = Annotated[bool, typer.Option("--no-data", help="Definitions only, no rows.")]
DescriptionText = Annotated[
    str, typer.Option("--description", metavar="TEXT", help="Free text, one line.")
]
Level = Annotated[
    int | None,
    typer.Option(
        "--level",
        metavar="N",
        help="Of compression: gzip 1 to 9, zstd 1 to 19. Default: BACKSTAY_LEVEL.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=MAX_THREADS,
        metavar="N",
        help="Connections to the server. Default: BACKSTAY_THREADS.",
        show_default=False,
    ),
]
InStore = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="NAME",
        help="The backups of this store. Default: those of BACKSTAY_BACKUP_DIR.",
        show_default=False,
    ),
]
AcceptSigner = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-signer",
        metavar="ID",
        help="Believe this signer, too; compare its key with the recovery sheet first. Repeatable.",
        show_default=False,
    ),
]
FrequencyName = Literal["hourly", "daily", "weekly"]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else.")]
