"""The command that lists the tables of the server."""

from app.bootstrap.program import Program
from app.cli.execution import execute_with_program
from app.cli.options import AsJson, Databases, ExcludeTables, Tables
from app.cli.output import CommandResult, plural, print_line
from app.cli.tables import print_table
from app.documents.schedules import PrintedTableSelection
from app.domain.places.sizes import size
from app.domain.server.inventory import Selection
from app.scheduling.clock import SystemClock
from app.services.backups.inventory import InventoryService


def tables(
    database: Databases = None,
    tables: Tables = None,
    exclude_table: ExcludeTables = None,
    as_json: AsJson = False,
) -> None:
    """List the tables of the server, and which of them a backup with these options would take."""

    async def work(program: Program) -> CommandResult:
        service = InventoryService(program.server, SystemClock())
        found = await service.select(database or (), tables or (), exclude_table or ())
        return CommandResult(PrintedTableSelection.of(found), lambda: _show(found))

    execute_with_program(work, as_json=as_json)


def _show(found: Selection) -> None:
    every = [(table, "yes") for table in found.taken] + [(table, "no") for table in found.left_out]
    every.sort(key=lambda pair: (pair[0].database, pair[0].name))
    if every:
        print_table(
            ("Table", "Taken", "Rows", "Size"),
            [(table.label, taken, f"{table.rows:,}", size(table.size)) for table, taken in every],
            right=2,
        )
    count = plural(len(found.taken), "table")
    print_line(f"A backup takes {count} of {len(every)}, about {size(found.size)} of data.")
    for pattern in found.patterns:
        verb = "leaves out" if pattern.leaves_out else "takes"
        print_line(f"{pattern.pattern} {verb} {plural(len(pattern.tables), 'table')}.")
    for name in found.missing:
        print_line(f"There is no database {name}.")
    if found.would_fail:
        print_line("A backup would fail: not all that is named is there.")
