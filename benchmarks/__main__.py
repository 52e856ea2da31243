"""Run the benchmarks: `python -m benchmarks --help`."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import api, contest, peers, shop
from .server import BenchServer


OURS = "backstay gzip"


def main() -> int:
    """
    Make the data, run the contests, print the tables.

    Returns:
        Exit status: 0 when every contestant did its work.
    """
    options = _parse()
    with _directory(options) as directory, BenchServer(directory) as server:
        if not server.has(contest.SOURCE):
            started = time.monotonic()
            shop.load(server, contest.SOURCE, options.megabytes)
            _say(f"generated the shop in {time.monotonic() - started:.0f} s")
        work = directory / "work"
        work.mkdir(exist_ok=True)
        plain_dump = work / "dump.sql"
        raw_bytes = peers.write_plain_dump(server, plain_dump)
        rows = server.row_counts(contest.SOURCE)
        _say(f"{sum(rows.values()):,} rows, {raw_bytes / 1e6:,.0f} MB of SQL: {rows}")
        arena = peers.Arena(server, work, _ours(options.backstay), options.mydumper, raw_bytes)
        report = _Report(options, rows, raw_bytes)
        if options.only in {None, "backup"}:
            report.add("backup", contest.compete(server, peers.of_backup(arena), options.rounds))
        if options.only in {None, "restore"}:
            contestants = peers.of_restore(arena, plain_dump)
            report.add("restore", contest.compete(server, contestants, options.rounds))
            contest.fresh_target(server, create=False)()
        if options.only in {None, "api"} and arena.backstay is not None:
            found = api.measure(server, arena.backstay, options.rounds)
            report.note("api", api.table(found), api.as_json(found))
    return int(report.has_failures)


class _Options(argparse.Namespace):
    """Typed command line."""

    megabytes: int
    rounds: int
    only: str | None
    keep: bool
    datadir: Path | None
    json: Path
    backstay: Path
    mydumper: Path | None


class _Report:
    """Print each contest when it is over, and keep the JSON file up to date."""

    def __init__(self, options: _Options, rows: dict[str, int], raw_bytes: int) -> None:
        self.has_failures = False
        self._path = options.json
        self._raw_bytes = raw_bytes
        self._results: dict[str, object] = {}
        self._document = {
            "rows": rows,
            "raw_bytes": raw_bytes,
            "rounds": options.rounds,
            "cores": os.cpu_count(),
            "results": self._results,
        }

    def add(self, name: str, scores: list[contest.Score]) -> None:
        """Publish the scores of one contest."""
        self.note(name, contest.table(scores, self._raw_bytes, OURS), contest.as_json(scores))
        self.has_failures |= any(score.failure for score in scores)

    def note(self, name: str, text: str, figures: object) -> None:
        """Publish what was measured."""
        _say(f"\n{name}\n{text}")
        self._results[name] = figures
        self._path.write_text(json.dumps(self._document, indent=2) + "\n")


def _parse() -> _Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    add = parser.add_argument
    add("--megabytes", type=int, default=shop.DEFAULT_MEGABYTES, help="raw SQL of the shop")
    add("--rounds", type=int, default=3, help="runs of each program (default 3)")
    add("--only", choices=("backup", "restore", "api"), help="one part instead of all")
    add("--keep", action="store_true", help="keep the data directory and print its path")
    add("--datadir", type=Path, help="reuse this directory, or make and keep it")
    add(
        "--json",
        type=Path,
        default=Path(__file__).with_name("last.json"),
        help="where to write the results",
    )
    add("--backstay", type=Path, default=Path(".venv/bin/backstay"), help="our program")
    newer = os.getenv("MYDUMPER")
    add("--mydumper", type=Path, default=Path(newer) if newer else None, help="a newer mydumper")
    return parser.parse_args(namespace=_Options())


@contextmanager
def _directory(options: _Options) -> Iterator[Path]:
    """Yield the server's directory; remove it afterwards unless it is to be kept."""
    if options.datadir:
        yield options.datadir
        return
    directory = Path(tempfile.mkdtemp(prefix="backstay-bench-"))
    try:
        yield directory
    finally:
        if options.keep:
            _say(f"kept: --datadir {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _ours(program: Path) -> Path | None:
    if program.exists():
        return program.absolute()
    _say(f"{program} is not there: measuring the peers only")
    return None


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
