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
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from .scores import Run, Score
from .server import BenchServer


SAMPLE_SECONDS = 0.1
SOURCE = "bench"
TARGET = "bench_restored"
# A failure that lists ten thousand tables helps nobody.
_DIFFERENCES_SHOWN = 3


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
    scores = [Score(contestant.name, contestant.command) for contestant in contestants]
    for _ in range(rounds):
        for contestant, score in zip(contestants, scores, strict=True):
            if score.failure:
                continue
            try:
                score.runs.append(_run(server, contestant))
            except ContestantFailedError as error:
                score.failure = str(error)
    return scores


def empty(path: Path, *forgotten: Path) -> Callable[[], None]:
    """Make a step that leaves an empty directory at the path, and nothing at the others."""

    def step() -> None:
        for other in (path, *forgotten):
            shutil.rmtree(other, ignore_errors=True)
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
            raise ContestantFailedError(_differences(found, expected))

    return check


def size_bytes(path: Path) -> int:
    """Add up the files at or below a path; 0 when there is none."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def quoted(*words: object) -> str:
    """Join words into one shell command."""
    return shlex.join(str(word) for word in words)


def _differences(found: dict[str, int], expected: dict[str, int]) -> str:
    names = sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    )
    shown = "; ".join(
        f"{name}: {found.get(name, 'no table')} rows, expected {expected.get(name, 'no table')}"
        for name in names[:_DIFFERENCES_SHOWN]
    )
    return f"restored {len(names)} of {len(expected)} tables wrongly: {shown}"


def _run(server: BenchServer, contestant: Contestant) -> Run:
    contestant.prepare()
    os.sync()
    server.settle()
    cpu_before = server.cpu_seconds()
    started = time.perf_counter()
    # A shell on purpose: the peers are what people type, pipes included.
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", contestant.command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    meter = _MemoryMeter(process.pid)
    meter.start()
    assert process.stderr is not None  # noqa: S101 - narrows; it is a pipe
    with process.stderr:
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)  # we reaped it, Popen must not
    meter.stop()
    server_cpu = server.cpu_seconds() - cpu_before
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [""]
        raise ContestantFailedError(f"exit status {process.returncode}: {last[0]}")
    contestant.check()
    return Run(
        seconds=seconds,
        client_cpu_seconds=usage.ru_utime + usage.ru_stime,
        server_cpu_seconds=server_cpu,
        peak_bytes=meter.peak_bytes,
        output_bytes=size_bytes(contestant.output) if contestant.output else 0,
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
        """Stop measuring."""
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
