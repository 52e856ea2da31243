"""Commands about the archive of the binary log."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from app.binlog.status import ArchiverStatus
from app.bootstrap.program import Program
from app.cli.execution import execute_with_program, stop_on_signals
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, print_line, print_status
from app.cli.tables import print_table
from app.documents.monitoring import BinlogFetched, BinlogStatus, BinlogTransactions
from app.domain.restores.log_archive import (
    ArchiverState,
    BinlogOverview,
    FoundTransactions,
    LoggedRows,
    LogPlace,
    LogStreamFacts,
    TransactionQuery,
)
from app.errors import InvalidRequestError


_MOST: Final = 100_000


def run(as_json: AsJson = False) -> None:
    """
    Archive the binary log until a signal stops it.

    For installations without a service; with BACKSTAY_BINLOG=true the service does it.
    """

    async def work(program: Program) -> CommandResult:
        teller, service = _Teller(), program.binlog
        archiving = asyncio.create_task(service.run(teller.tell))

        def stop() -> None:
            archiving.cancel()

        stop_on_signals(stop)
        with suppress(asyncio.CancelledError):
            await archiving
        overview = await service.status()
        return CommandResult(BinlogStatus.of(overview), lambda: print_status("Stopped."))

    execute_with_program(work, as_json=as_json, records_runs=True)


class _Teller:
    """Tells a person what the archiver does, whenever that is something else."""

    def __init__(self) -> None:
        self._told: tuple[ArchiverState, str] | None = None

    def tell(self, status: ArchiverStatus) -> None:
        """Take what it does."""
        if (status.state, status.message) == self._told:
            return
        self._told = status.state, status.message
        print_status(f"{_said(status.state)}{f': {status.message}' if status.message else ''}")
        if status.hint:
            print_status(f"-> {status.hint}")


def _said(state: ArchiverState) -> str:
    return state.value.replace("_", " ")


def status(as_json: AsJson = False) -> None:
    """Tell what the archiver does, and which points in time can be reached."""

    async def work(program: Program) -> CommandResult:
        overview = await program.binlog.status()
        return CommandResult(BinlogStatus.of(overview), lambda: _show(overview))

    execute_with_program(work, as_json=as_json, needs_server=False)


def _show(overview: BinlogOverview) -> None:
    print_line(f"Archiver: {_said(overview.state)}")
    if overview.archived_end is not None:
        print_line(f"Archived to: {_place(overview.archived_end)}")
    if overview.lag_seconds is not None:
        print_line(f"Behind the server: {overview.lag_seconds:.0f} s")
    if overview.message:
        print_line(f"{overview.message}\n-> {overview.hint}")
    for finding in overview.findings:
        print_line(f"{finding.severity}: {finding.message}\n-> {finding.hint}")
    if not overview.streams:
        print_line("No archive. Set BACKSTAY_BINLOG=true, or run 'backstay binlog run'.")
        return
    for copy in overview.copies:
        print_line(f"Copied to {copy.store}: all until {_time(copy.current_as_of)}")
        if copy.message:
            print_line(f"{copy.message}\n-> {copy.hint}")
    rows = [
        (
            stream.id,
            _place(stream.first),
            _place(stream.last),
            _time(stream.committed_at),
            _end(stream),
        )
        for stream in overview.streams
    ]
    print_table(("Stream", "From", "To", "Last commit", "Ended"), rows)


def _place(place: LogPlace | None) -> str:
    return f"{place.file}:{place.position}" if place else "-"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"


def _end(stream: LogStreamFacts) -> str:
    if stream.damage:
        return f"damaged: {stream.damage}"
    if stream.ended_at:
        return f"{stream.ended_at[:19]} {stream.ended_because}"
    return plural(len(stream.breaks), "break") if stream.breaks else "-"


def fetch(
    store: Annotated[str, typer.Argument(metavar="NAME")],
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Also what retention has removed here and is still there; may be much."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the archive back from a store that has copies of it; streams that are here stay as they are."""

    async def work(program: Program) -> CommandResult:
        streams = await program.binlog.fetch(program.stores.open, store, is_whole=whole)
        told = ", ".join(streams) or "nothing: all that is there is here"
        fetched = BinlogFetched(success=True, store=store, streams=streams)
        return CommandResult(fetched, lambda: print_line(f"Fetched {told}."))

    execute_with_program(work, as_json=as_json, needs_server=False)


def transactions(
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Committed then or later; ISO 8601.")
    ] = "",
    until: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Committed then or before.")
    ] = "",
    database: Annotated[
        str, typer.Option("--database", metavar="NAME", help="One that they changed.")
    ] = "",
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="One that they changed or named.")
    ] = "",
    match: Annotated[
        str, typer.Option("--match", metavar="TEXT", help="Text in the statement.")
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=_MOST, help="At most so many.")
    ] = 1000,
    as_json: AsJson = False,
) -> None:
    """List transactions of the archive, to find the one to stop before; times without a zone are UTC."""

    async def work(program: Program) -> CommandResult:
        query = TransactionQuery(
            _moment("--from", since), _moment("--to", until), database, table, match, limit
        )
        found = await program.binlog.transactions(query)
        return CommandResult(BinlogTransactions.of(found), lambda: _show_transactions(found))

    execute_with_program(work, as_json=as_json, needs_server=False)


def _moment(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidRequestError(
            f"{option}: {text!r} is no time", hint="Such as 2024-01-31T14:30:15+01:00."
        ) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show_transactions(found: FoundTransactions) -> None:
    rows = [
        (
            f"{transaction.committed_at:%Y-%m-%d %H:%M:%S}",
            f"{transaction.file}:{transaction.start}",
            transaction.gtid or "-",
            "; ".join(map(_changes, transaction.tables)) or "-",
            transaction.statement or "-",
        )
        for transaction in found.transactions
    ]
    if rows:
        print_table(("Committed", "Just before", "GTID", "Rows", "Statement"), rows)
    else:
        print_line("No transaction of the archive matches.")
    if found.is_cut:
        print_line("There are more; narrow the time, or raise --limit.")


def _changes(rows: LoggedRows) -> str:
    counts = (("+", rows.inserted), ("~", rows.updated), ("-", rows.deleted))
    told = [f"{sign}{'?' if count is None else count}" for sign, count in counts if count != 0]
    return f"{rows.database}.{rows.table} {' '.join(told) or 'opened'}"
