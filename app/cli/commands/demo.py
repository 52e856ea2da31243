"""
The demonstration: a private server and a small shop are made, backed up, damaged and restored.

Everything lives in one temporary directory, which is gone afterwards, whatever happens.
"""

import shutil
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.cli import exits
from app.cli.execution import execute
from app.cli.options import AsJson
from app.cli.output import CommandResult, duration, plural, print_line, print_status
from app.cli.tables import print_table
from app.concurrency import run_in_thread
from app.config import Settings
from app.documents.demo import DemoReport, DemoTable
from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Manifest
from app.domain.places.sizes import size
from app.domain.restores.restore import RestoreRequest
from app.sandbox import shop
from app.sandbox.server import PrivateServer


SHOP: Final = "shop"
# The first column of a table stays whole, and is to leave room for what came of each step.
_STEP_WIDTH: Final = 34
# What a restored shop must also do, not only hold.
_VIEW_QUERY: Final = "SELECT COUNT(*), SUM(sold) FROM best_sellers"
_PROCEDURE_QUERY: Final = "CALL order_total(4711)"


@dataclass(frozen=True, slots=True)
class _Shop:
    """
    What a shop holds, as the server itself reports it.

    Attributes:
        tables: Name -> rows and CHECKSUM TABLE.
        queries: What the view and the procedure return.
    """

    tables: dict[str, tuple[int, int]]
    queries: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What was done, step by step, with seconds."""

    silent: bool
    steps: list[tuple[str, float, str]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Time a step; the block may append a detail."""
        began = time.monotonic()
        details: list[str] = []
        if not self.silent:
            print_status(f"{title} ...")
        yield details
        self.steps.append((title, time.monotonic() - began, "; ".join(details)))


def demo(as_json: AsJson = False) -> None:
    """Back up, damage and restore a sample shop on a private server; needs no settings."""

    async def work() -> CommandResult:
        directory = Path(tempfile.mkdtemp(prefix="backstay-demo-"))
        try:
            return await _demonstrate(directory, Report(silent=as_json))
        finally:
            await run_in_thread(lambda: shutil.rmtree(directory, ignore_errors=True))

    execute(work, as_json=as_json)


async def _demonstrate(directory: Path, report: Report) -> CommandResult:
    async with private_server(directory, report) as settings, open_program(settings) as program:
        with report.step("Make a shop") as details:
            before = await make_shop(program)
            details.append(plural(sum(rows for rows, _ in before.tables.values()), "row"))
        manifest = await _back_up(program, report)
        with report.step("Damage the shop") as details:
            details.extend(await _damage(program))
            damaged = await _examine(program, SHOP)
        await _restore(program, manifest, report)
        with report.step("Undo the restore, and undo that: one statement each") as details:
            undone = await _undo_twice(program, manifest) == damaged
            details.append("the damage was back, and is gone" if undone else "NOT the damaged shop")
        with report.step("Compare with the shop before, by the server's own checksums") as details:
            after = await _examine(program, SHOP)
            details.append("equal" if after == before else "DIFFERENT")
        server = f"{manifest.server.vendor} {manifest.server.version}"
    return _result(report, server, (before, damaged, after), manifest, undone=undone)


@asynccontextmanager
async def private_server(directory: Path, report: Report) -> AsyncIterator[Settings]:
    """Run a server in the directory for the length of a block."""
    with report.step("Start a private MariaDB server"):
        server = await run_in_thread(lambda: PrivateServer.create(directory / "server"))
        await _start(server)
    try:
        yield Settings.model_validate({
            "database_url": server.url,
            "backup_dir": directory / "backups",
            "state_dir": directory / "state",
        })
    finally:
        await run_in_thread(server.stop)


async def _start(server: PrivateServer) -> None:
    try:
        await run_in_thread(server.start)
    except BaseException:
        await run_in_thread(server.stop)
        raise


async def make_shop(program: Program) -> _Shop:
    """Fill the server with the sample shop."""
    async with program.server.session() as session:
        for statement in shop.statements(SHOP):
            await session.query(statement)
    return await _examine(program, SHOP)


async def _examine(program: Program, database: str) -> _Shop:
    async with program.server.session() as session:
        await session.query(f"USE {database}")
        tables: dict[str, tuple[int, int]] = {}
        queries: list[str] = []
        here = {row[0] for row in await session.texts("SHOW TABLES")}
        for name in (name for name in shop.TABLES if name in here):
            ((_, checksum),) = await session.texts(f"CHECKSUM TABLE {name} EXTENDED")
            rows = await session.scalar(f"SELECT COUNT(*) FROM {name}")  # noqa: S608 - our own names
            tables[name] = (int(str(rows)), int(checksum))
        if here.issuperset(shop.TABLES):
            queries = [
                str((await session.query(sql)).rows) for sql in (_VIEW_QUERY, _PROCEDURE_QUERY)
            ]
    return _Shop(tables, tuple(queries))


async def _back_up(program: Program, report: Report) -> Manifest:
    with report.step("Back it up") as details:
        request = BackupRequest(
            databases=(SHOP,), description="Demo", threads=program.settings.threads
        )
        manifest = await program.backups.create(request)
        details.append(f"{size(manifest.raw_size)} of SQL in {size(manifest.size)}")
    with report.step("Verify the backup") as details:
        proof = await program.backups.verify(manifest.backup_id)
        details.append(f"{plural(proof.rows, 'row')} counted, every SHA-256 right")
    return manifest


async def _damage(program: Program) -> tuple[str, ...]:
    async with program.server.session() as session:
        await session.query(f"USE {SHOP}")
        for statement in shop.damage():
            await session.query(statement)
    return shop.damage()


async def _restore(program: Program, manifest: Manifest, report: Report) -> None:
    with report.step("Restore it in place: load beside it, read back, compare, swap") as details:
        request = RestoreRequest(backup_id=manifest.backup_id, threads=program.settings.threads)
        result = await program.recoveries.restore(await program.recoveries.plan(request))
        details.append(plural(result.rows_count, "row") + (" proven" if result.verified else ""))


async def _undo_twice(program: Program, manifest: Manifest) -> _Shop:
    """Return the shop between an undo and its undo."""
    undone = await program.recoveries.undo(manifest.backup_id)
    between = await _examine(program, SHOP)
    await program.recoveries.undo(undone.restore_id)
    return between


def _result(
    report: Report,
    server: str,
    shops: tuple[_Shop, _Shop, _Shop],
    manifest: Manifest,
    *,
    undone: bool,
) -> CommandResult:
    before, damaged, after = shops
    success = after == before and damaged != before and undone
    tables = [
        DemoTable(
            table=name,
            rows=count,
            rows_damaged=damaged.tables[name][0] if name in damaged.tables else None,
            rows_restored=after.tables[name][0] if name in after.tables else None,
            harmed=damaged.tables.get(name) != (count, checksum),
            equal=after.tables.get(name) == (count, checksum),
        )
        for name, (count, checksum) in before.tables.items()
    ]
    document = DemoReport.of(manifest, report.steps, tables, success=success, server=server)
    code = exits.OK if success else exits.BUG
    return CommandResult(document, lambda: _show(report, server, shops, manifest), code)


def _show(
    report: Report, server: str, shops: tuple[_Shop, _Shop, _Shop], manifest: Manifest
) -> None:
    before, damaged, after = shops
    print_line(f"\n{server}, private, in a temporary directory\n")
    print_table(
        ("Step", "Result", "Time"),
        [
            (textwrap.fill(title, _STEP_WIDTH), detail, duration(seconds))
            for title, seconds, detail in report.steps
        ],
        right=1,
    )
    print_table(
        ("Table", "After the restore", "Rows before", "damaged", "restored"),
        [
            (
                name,
                "equal" if after.tables.get(name) == facts else "DIFFERENT",
                f"{facts[0]:,}",
                _state(damaged.tables.get(name), facts),
                f"{after.tables[name][0]:,}" if name in after.tables else "gone",
            )
            for name, facts in before.tables.items()
        ],
        right=3,
    )
    print_line(
        "View and procedure return the same." if after.queries == before.queries else "DIFFERENT"
    )
    print_line("Without Backstay, the same file restores with the server's own client:")
    print_line(f"  zcat {manifest.file} | mariadb {SHOP}\n")
    print_line(
        "Everything holds." if after == before else "The restored shop is NOT the one backed up."
    )


def _state(damaged: tuple[int, int] | None, before: tuple[int, int]) -> str:
    if damaged is None:
        return "dropped"
    return f"{damaged[0]:,}" + ("" if damaged == before else " changed")
