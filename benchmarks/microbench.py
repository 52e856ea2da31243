"""Run the micro-benchmarks and take over their figures."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


_ROOT = Path(__file__).parents[1]


class MicroBenchmarksFailedError(Exception):
    """Pytest ended with an error, which it has printed."""


def run() -> tuple[str, list[dict[str, object]]]:
    """
    Run `benchmarks/micro` with pytest-benchmark, in a process of its own.

    Returns:
        A Markdown table, and the figures for the JSON file.

    Raises:
        MicroBenchmarksFailedError: One of them failed.
    """
    with tempfile.TemporaryDirectory(prefix="backstay-micro-") as directory:
        path = Path(directory) / "micro.json"
        command = [
            *(sys.executable, "-m", "pytest", "benchmarks/micro", "-q"),
            # Blocked in pyproject.toml, so that ordinary test runs do not load it.
            *("-p", "pytest_benchmark.plugin", f"--benchmark-json={path}"),
        ]
        done = subprocess.run(command, cwd=_ROOT, check=False, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise MicroBenchmarksFailedError(done.stdout)
        found = json.loads(path.read_text())["benchmarks"]
    figures = [_figures(benchmark) for benchmark in found]
    return table(figures), figures


def table(figures: list[dict[str, object]]) -> str:
    """Lay the figures out as a Markdown table."""
    lines = [
        "| piece | bytes | median ms | min | max | MB/s | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        size = float(str(figure["bytes"]))
        median, least, most = (
            float(str(figure[name])) for name in ("median_seconds", "min_seconds", "max_seconds")
        )
        lines.append(
            f"| {figure['name']} | {size:,.0f} | {1e3 * median:.3f} | {1e3 * least:.3f}"
            f" | {1e3 * most:.3f} | {size / 1e6 / median:,.0f} | {figure['rounds']} |"
        )
    return "\n".join(lines)


def _figures(benchmark: dict[str, dict[str, object]]) -> dict[str, object]:
    stats = benchmark["stats"]
    return {
        "name": str(benchmark["name"]).removeprefix("test_"),
        "bytes": benchmark["extra_info"]["bytes"],
        "median_seconds": stats["median"],
        "min_seconds": stats["min"],
        "max_seconds": stats["max"],
        "rounds": stats["rounds"],
    }
