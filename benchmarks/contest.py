"""
Backstay against its peers: the same data, the same server, in turn.

1. Every contestant runs once a round (A B C, A B C, ...), so a noisy minute hurts all alike.
2. Before each run the server settles and the last output is gone; neither is timed.
3. Exit status, output and restored row counts are checked: a peer that fails is not fast.

What is not guaranteed: peak memory is sampled every 100 ms, so a process that lives shorter may be
missed; the server's CPU time includes background work that happens during the run.
"""

import os
import shlex
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Thread

from .server import BenchServer


SAMPLE_SECONDS = 0.1
SOURCE = "shop"
TARGET = "shop_restored"
_HEADINGS = (
    "program",
    "median s",
    "min",
    "max",
    "MB/s",
    "times ours",
    "output MB",
    "peak MB",
    "client CPU s",
    "server CPU s",
)


class ContestantFailedError(Exception):
    """A contestant exited with an error or did not do its work."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """
    One program to be measured.

    Attributes:
        name: Row label of the table, unique within its contest.
        command: What a user would type; run by bash with pipefail.
        prepare: Run before each round, not timed.
        check: Run after each round, not timed; raises ContestantFailedError.
        output: File or directory whose size is reported; None for a restore.
    """

    name: str
    command: str
    prepare: Callable[[], None]
    check: Callable[[], None]
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """
    One measured execution.

    Attributes:
        seconds: Wall clock.
        client_cpu_seconds: User and system time of the command and its children.
        server_cpu_seconds: The same of the server, while the command ran.
        peak_bytes: Largest sum of resident memory over the command's processes.
        output_bytes: Size of what was written, 0 for a restore.
    """

    seconds: float
    client_cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    output_bytes: int


@dataclass(slots=True)
class Score:
    """All runs of one contestant, or the reason why it has none."""

    name: str
    command: str
    runs: list[Run] = field(default_factory=list)
    failure: str = ""

    @property
    def median_seconds(self) -> float:
        """Median wall clock of the runs; there must be one."""
        return statistics.median(run.seconds for run in self.runs)


def compete(server: BenchServer, contestants: list[Contestant], rounds: int) -> list[Score]:
    """
    Run all contestants in turn.

    Args:
        server: The server that every command talks to.
        contestants: In the order of a round.
        rounds: How often each runs, at least 1.

    Returns:
        One score per contestant, in the same order; a failed one keeps its reason and runs no more.
    """
    scores = [Score(one.name, one.command) for one in contestants]
    for _ in range(rounds):
        for one, score in zip(contestants, scores, strict=True):
            if score.failure:
                continue
            try:
                score.runs.append(_run(server, one))
            except ContestantFailedError as error:
                score.failure = str(error)
    return scores


def table(scores: Iterable[Score], raw_bytes: int, ours: str) -> str:
    """
    Lay the scores out as a Markdown table.

    Args:
        scores: Of one contest.
        raw_bytes: Size of the data as plain SQL, for MB/s.
        ours: Name of the contestant that ratios are taken against; no ratios when absent.

    Returns:
        Lines without a final newline; a failed contestant has a line with its reason.
    """
    done = [score for score in scores if score.runs]
    lines = [f"| {' | '.join(_HEADINGS)} |", "|---" * len(_HEADINGS) + "|"]
    base = next((score.median_seconds for score in done if score.name == ours), None)
    lines += [_row(score, raw_bytes, base) for score in done]
    lines += [
        f"| {_cell(score.name)} | failed: {_cell(score.failure)} |"
        for score in scores
        if score.failure
    ]
    return "\n".join(lines)


def as_json(scores: Iterable[Score]) -> list[dict[str, object]]:
    """Turn scores into plain values for the JSON file."""
    return [asdict(score) for score in scores]


def empty(path: Path) -> Callable[[], None]:
    """Make a step that leaves an empty directory at the path."""

    def step() -> None:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)

    return step


def has_output(path: Path, least_bytes: int) -> Callable[[], None]:
    """Make a check that enough bytes were written."""

    def check() -> None:
        size = size_bytes(path)
        if size < least_bytes:
            raise ContestantFailedError(f"wrote {size} bytes, expected {least_bytes} or more")

    return check


def fresh_target(server: BenchServer, *, create: bool) -> Callable[[], None]:
    """Make a step that drops the restored database and the binary logs of the last round."""

    def step() -> None:
        server.execute(f"DROP DATABASE IF EXISTS `{TARGET}`", "RESET MASTER")
        if create:
            server.execute(f"CREATE DATABASE `{TARGET}` CHARACTER SET utf8mb4")

    return step


def same_rows(server: BenchServer, expected: dict[str, int]) -> Callable[[], None]:
    """Make a check that the restored database has the rows of the source."""

    def check() -> None:
        found = server.row_counts(TARGET) if server.has(TARGET) else {}
        if found != expected:
            raise ContestantFailedError(f"restored {found}, expected {expected}")

    return check


def size_bytes(path: Path) -> int:
    """Add up the files at or below a path; 0 when there is none."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def quoted(*words: object) -> str:
    """Join words into one shell command."""
    return shlex.join(str(word) for word in words)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _row(score: Score, raw_bytes: int, base_seconds: float | None) -> str:
    seconds = [run.seconds for run in score.runs]
    ratio = f"{score.median_seconds / base_seconds:.2f}" if base_seconds else "-"
    client = statistics.median(run.client_cpu_seconds for run in score.runs)
    server = statistics.median(run.server_cpu_seconds for run in score.runs)
    return (
        f"| {_cell(score.name)} | {score.median_seconds:.2f} | {min(seconds):.2f} | {max(seconds):.2f} "
        f"| {raw_bytes / 1e6 / score.median_seconds:.0f} | {ratio} "
        f"| {score.runs[-1].output_bytes / 1e6:.1f} "
        f"| {max(run.peak_bytes for run in score.runs) / 1e6:.0f} | {client:.2f} | {server:.2f} |"
    )


def _run(server: BenchServer, one: Contestant) -> Run:
    one.prepare()
    os.sync()
    server.settle()
    cpu_before = server.cpu_seconds()
    started = time.perf_counter()
    # A shell on purpose: the peers are what people type, pipes included.
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", one.command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    meter = _MemoryMeter(process.pid)
    meter.start()
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # we reaped it, Popen must not
    meter.stop()
    server_cpu = server.cpu_seconds() - cpu_before
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [""]
        raise ContestantFailedError(f"exit status {process.returncode}: {last[0]}")
    one.check()
    return Run(
        seconds=seconds,
        client_cpu_seconds=usage.ru_utime + usage.ru_stime,
        server_cpu_seconds=server_cpu,
        peak_bytes=meter.peak_bytes,
        output_bytes=size_bytes(one.output) if one.output else 0,
    )


class _MemoryMeter(Thread):
    """
    Watch the resident memory of a session of processes.

    `ru_maxrss` would not do: a child starts with its parent's peak, and processes are not added up.
    """

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._session = session
        self._done = Event()

    def run(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
            current = [_memory(pid) for pid in pids if self._is_ours(pid)]
            together = sum(now for now, _ in current)
            alone = max((high for _, high in current), default=0)
            self.peak_bytes = max(self.peak_bytes, together, alone)

    def stop(self) -> None:
        """End the watch."""
        self._done.set()
        self.join()

    def _is_ours(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self._session
        except ProcessLookupError:
            return False


def _memory(pid: int) -> tuple[int, int]:
    """Read the resident memory of a process and its peak, in bytes; zeros when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return int(found.get("VmRSS", 0)) * 1024, int(found.get("VmHWM", 0)) * 1024
