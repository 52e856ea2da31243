"""
Cost against size: our own backup and restore of ever larger shops, and the exponent of their time.

Seconds = constant * size ^ exponent: 1 is linear, and what start-up costs pulls it below 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from . import contest, peers
from .scores import Score


PARTS = ("backup", "restore")


@dataclass(frozen=True, slots=True)
class Point:
    """
    What one size cost.

    Attributes:
        megabytes: Nominal size of the shop.
        raw_bytes: Its plain SQL.
        scores: Ours by part; one that failed has no runs.
    """

    megabytes: int
    raw_bytes: int
    scores: dict[str, Score]


def measure(arena: peers.Arena, program: Path, megabytes: int, rounds: int) -> Point:
    """Back the source up and restore it, so many times each, with gzip."""
    (backup,) = peers.of_our_backup(arena, program, ("gzip",))
    (backed_up,) = contest.compete(arena.server, [backup], rounds)
    (restore,) = peers.of_our_restore(arena, program, ("gzip",))
    (restored,) = contest.compete(arena.server, [restore], rounds)
    return Point(megabytes, arena.raw_bytes, {"backup": backed_up, "restore": restored})


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """
    Fit a power law by least squares of log seconds on log size.

    Args:
        points: Size and seconds, both above 0; two sizes at least.

    Returns:
        1 when the time is proportional to the size.
    """
    logs = [(math.log(size), math.log(seconds)) for size, seconds in points]
    return linear_regression(*zip(*logs, strict=True)).slope


def exponents(points: Sequence[Point]) -> dict[str, float]:
    """Return the fitted exponent of each part that was measured at two sizes or more."""
    found = {}
    for part in PARTS:
        pairs = [
            (float(point.raw_bytes), point.scores[part].median_seconds)
            for point in points
            if point.scores[part].runs
        ]
        if len(pairs) > 1:
            found[part] = exponent(pairs)
    return found


def table(points: Sequence[Point]) -> str:
    """Lay the exponents out as a Markdown table, with the largest against the smallest peak."""
    lines = ["| part | exponent | peak MB, smallest to largest shop |", "|---|---|---|"]
    for part, value in exponents(points).items():
        peaks = [
            f"{point.scores[part].peak_bytes / 1e6:.0f}"
            for point in points
            if point.scores[part].runs
        ]
        lines.append(f"| {part} | {value:.3f} | {', '.join(peaks)} |")
    return "\n".join(lines)


def as_json(points: Sequence[Point]) -> dict[str, object]:
    """Return sizes, medians, peaks and exponents as plain values."""
    return {
        "exponents": exponents(points),
        "points": [
            {
                "megabytes": point.megabytes,
                "raw_bytes": point.raw_bytes,
                "parts": {
                    part: {
                        "median_seconds": score.median_seconds,
                        "megabytes_per_second": point.raw_bytes / 1e6 / score.median_seconds,
                        "peak_bytes": score.peak_bytes,
                    }
                    for part, score in point.scores.items()
                    if score.runs
                },
            }
            for point in points
        ],
    }
