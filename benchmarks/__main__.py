"""Run the benchmarks: `python -m benchmarks --help`."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import api, contest, dataset, machine, microbench, options as cli, peers, recovery, scale
from .report import Report, progress
from .scores import Contest
from .server import BenchServer
from .shapes import DATA_SETS


def main(arguments: list[str] | None = None) -> int:
    """
    Make the data, run the contests, print the tables.

    Args:
        arguments: Command line; that of the process when None.

    Returns:
        Exit status: 0 when every contestant did its work.
    """
    options = cli.parse(arguments)
    facts = machine.facts(options.backstay, options.mydumper)
    with Report(options.json, options.rounds, facts) as report:
        if options.only == "micro":
            report.note("micro", *microbench.run())
        elif options.only == "scale":
            _scale(options, report)
        else:
            for name, megabytes in options.data_sets.items():
                measure(options, report, name, megabytes)
    return int(report.has_failures)


def measure(options: cli.Options, report: Report, name: str, megabytes: int) -> None:
    """
    Run the contests on one data set.

    Args:
        options: Which parts, how often, which programs.
        report: Gets the scores.
        name: Of the data set.
        megabytes: Its size as plain SQL; also such as the command line refuses.
    """
    data = f"{name} {megabytes} MB"
    with _arena(options, report, name, megabytes) as arena:
        if options.only in {None, "backup"}:
            scores = contest.compete(arena.server, peers.of_backup(arena), options.rounds)
            report.add(Contest(data, "backup", arena.raw_bytes, scores))
        if options.only in {None, "restore"}:
            contestants = peers.of_restore(arena)
            scores = contest.compete(arena.server, contestants, options.rounds)
            report.add(Contest(data, "restore", arena.raw_bytes, scores))
            contest.fresh_target(arena.server, create=False)()
        if options.only == "levels" and arena.backstay is not None:
            scores = contest.compete(
                arena.server, peers.of_our_levels(arena, arena.backstay), options.rounds
            )
            report.add(Contest(data, "backup by level", arena.raw_bytes, scores))
        if options.only == "stores" and arena.backstay is not None:
            _stores(options, report, arena, data)
        if options.only == "recovery" and arena.backstay is not None:
            _recovery(options, report, arena)
        if name == "shop" and options.only in {None, "api"} and arena.backstay is not None:
            found = api.measure(arena.server, arena.backstay, options.rounds)
            report.note("api", api.table(found), api.as_json(found))


def _stores(options: cli.Options, report: Report, arena: peers.Arena, data: str) -> None:
    from . import stores  # noqa: PLC0415 - its servers are those of the tests

    assert arena.backstay is not None  # noqa: S101 - whoever calls has looked
    ratios: dict[str, dict[str, float]] = {}
    with stores.serving(arena.work) as places:
        for part, contestants in (("backup", stores.of_backup), ("restore", stores.of_restore)):
            found = contestants(arena, arena.backstay, places)
            scores = contest.compete(arena.server, found, options.rounds)
            report.add(Contest(data, f"{part} by a store", arena.raw_bytes, scores))
            ratios[part] = stores.ratios(scores)
    report.note("stores", stores.table(ratios), ratios)


def _recovery(options: cli.Options, report: Report, arena: peers.Arena) -> None:
    assert arena.backstay is not None  # noqa: S101 - whoever calls has looked
    found = recovery.measure(arena, arena.backstay, options.rounds, options.log_megabytes)
    report.note("recovery", recovery.table(found), recovery.as_json(found))


def _scale(options: cli.Options, report: Report) -> None:
    points: list[scale.Point] = []
    for megabytes in options.sizes:
        with _arena(options, report, "shop", megabytes) as arena:
            point = scale.measure(arena, options.backstay.absolute(), megabytes, options.rounds)
        for part, score in point.scores.items():
            report.add(Contest(f"shop {megabytes} MB", part, point.raw_bytes, [score]))
        points.append(point)
    report.note("scale", scale.table(points), scale.as_json(points))


@contextmanager
def _arena(
    options: cli.Options, report: Report, name: str, megabytes: int
) -> Iterator[peers.Arena]:
    """Start a server of its own for a data set, so that no other one lies in its files."""
    with (
        _directory(options, f"{name}-{megabytes}") as directory,
        BenchServer(directory) as server,
    ):
        _fill(server, name, megabytes, directory / "filled")
        contest.fresh_target(server, create=False)()
        work = directory / "work"
        work.mkdir(exist_ok=True)
        raw_bytes = peers.write_plain_dump(server, work)
        counts = server.row_counts(contest.SOURCE)
        tables, rows = len(counts), sum(counts.values())
        report.describe(
            f"{name} {megabytes} MB", {"tables": tables, "rows": rows, "raw_bytes": raw_bytes}
        )
        progress(f"{tables:,} tables, {rows:,} rows, {raw_bytes / 1e6:,.0f} MB of SQL")
        least_bytes = int(raw_bytes * peers.LEAST_RATIO)
        backstay = _ours(options.backstay)
        yield peers.Arena(server, work, backstay, options.mydumper, raw_bytes, least_bytes)


def _fill(server: BenchServer, name: str, megabytes: int, mark: Path) -> None:
    """Load the data set unless a whole one is there; the mark is made when it is whole."""
    if mark.exists():
        return
    started = time.monotonic()
    server.execute(f"DROP DATABASE IF EXISTS `{contest.SOURCE}`")
    dataset.load(server, contest.SOURCE, DATA_SETS[name].tables(megabytes))
    mark.touch()
    progress(f"generated {name}, {megabytes} MB, in {time.monotonic() - started:.0f} s")


@contextmanager
def _directory(options: cli.Options, name: str) -> Iterator[Path]:
    """Yield a directory for one server; remove it afterwards unless it is to be kept."""
    if options.datadir:
        yield options.datadir / name
        return
    parent = Path(tempfile.mkdtemp(prefix="backstay-bench-"))
    try:
        yield parent / name
    finally:
        if options.keep:
            progress(f"kept: --datadir {parent}")
        else:
            shutil.rmtree(parent, ignore_errors=True)


def _ours(program: Path) -> Path | None:
    if program.exists():
        return program.absolute()
    progress(f"{program} is not there: measuring the peers only")
    return None


if __name__ == "__main__":
    sys.exit(main())
