"""The command line of the benchmarks."""

import argparse
import os
from pathlib import Path

from .shapes import DATA_SETS


LEAST_MEGABYTES = 50
# Of each data set when all are measured, so that they take less than an hour; 5,000 of small tables.
MEGABYTES_OF_ALL = 50
MOST_MEGABYTES = 10_000
# Measured on the shop, with our program.
_SHOP_PARTS = ("api", "levels", "recovery", "scale", "stores")
PARTS = ("backup", "restore", "api", "levels", "recovery", "scale", "stores", "micro")
_HERE = Path(__file__)


class Options(argparse.Namespace):
    """Typed command line."""

    shape: str
    megabytes: int | None
    sizes: list[int]
    log_megabytes: int
    rounds: int
    only: str | None
    keep: bool
    datadir: Path | None
    json: Path
    backstay: Path
    mydumper: Path | None

    @property
    def data_sets(self) -> dict[str, int]:
        """Names of the data sets that are measured, with their megabytes."""
        if self.shape == "all":
            return dict.fromkeys(DATA_SETS, self.megabytes or MEGABYTES_OF_ALL)
        return {self.shape: self.megabytes or DATA_SETS[self.shape].megabytes}


def parse(arguments: list[str] | None = None) -> Options:
    """
    Read the command line.

    Args:
        arguments: Those of the process when None.

    Returns:
        Options within their limits; others end the program with a message and status 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Backstay against its peers."
    )
    add = parser.add_argument
    add("--shape", choices=[*DATA_SETS, "all"], default="shop", help="data set (default shop)")
    add(
        "--megabytes",
        type=megabytes,
        help=f"its size as plain SQL, {LEAST_MEGABYTES} to {MOST_MEGABYTES} (default: 400 for the"
        f" shop, 100 for the others, {MEGABYTES_OF_ALL} each for all)",
    )
    add(
        "--sizes",
        type=sizes,
        default="400,800,1600,3200",
        help="megabytes of the shops for --only scale (default %(default)s)",
    )
    add(
        "--log-megabytes",
        type=megabytes,
        default=1000,
        help="size of the binary log for --only recovery (default %(default)s)",
    )
    add("--rounds", type=rounds, default=3, help="runs of each program (default 3)")
    add(
        "--only",
        choices=PARTS,
        help="one part; all but levels, recovery, scale, stores and micro when absent",
    )
    add("--keep", action="store_true", help="keep the data directory and print its path")
    add("--datadir", type=Path, help="reuse this directory, or make and keep it")
    add(
        "--json",
        type=Path,
        default=_HERE.with_name("last.json"),
        help="where to write the results (default %(default)s)",
    )
    add("--backstay", type=Path, default=Path(".venv/bin/backstay"), help="our program")
    newer = os.getenv("MYDUMPER")
    add("--mydumper", type=Path, default=Path(newer) if newer else None, help="a newer mydumper")
    options = parser.parse_args(arguments, namespace=Options())
    if options.only in _SHOP_PARTS:
        if options.shape != "shop":
            parser.error(f"--only {options.only} measures the shop, not --shape {options.shape}")
        if not options.backstay.exists():
            parser.error(f"--only {options.only} measures {options.backstay}, which is not there")
    return options


def megabytes(text: str) -> int:
    """
    Read a size.

    Raises:
        ArgumentTypeError: Not a whole number, or outside of the limits.
    """
    size = _whole(text)
    if not LEAST_MEGABYTES <= size <= MOST_MEGABYTES:
        raise argparse.ArgumentTypeError(
            f"{size} MB is not between {LEAST_MEGABYTES} and {MOST_MEGABYTES} (10 GB)"
        )
    return size


def sizes(text: str) -> list[int]:
    """
    Read a list of sizes.

    Returns:
        At least two, smallest first.

    Raises:
        ArgumentTypeError: One is no size, or there are fewer than two.
    """
    found = sorted({megabytes(part) for part in text.split(",")})
    if len(found) == 1:
        raise argparse.ArgumentTypeError("a line needs two sizes or more, such as 400,800")
    return found


def rounds(text: str) -> int:
    """
    Read how often each program runs.

    Raises:
        ArgumentTypeError: Not a whole number, or below 1.
    """
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError("each program runs once or more")
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
