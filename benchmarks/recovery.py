"""
Points in time: how fast the binary log is archived and replayed, and how soon a dropped table is back.

1. The archive begins, the shop is backed up, then changed as shops are, in large and small transactions, until so many
megabytes are logged. 2. The archiver takes that log from the backup on, once a round. 3. Once a round the
table with the most rows is dropped, its DROP looked for in the archive, a backup recovered to just
before it, and the table restored from that into its place, by the commands that people type.

What is not guaranteed: phases of a recovery are those of its run in the history, which is written every
half second. After ten minutes no further round begins, and a third of that is the most that is logged: the
figures are of fewer rounds then, or of a smaller log, and say so. The reader is timed from the first bytes that are on the disk up to the last ones but 8 MB:
the very end waits for the sync of a second.
"""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .contest import SOURCE, ContestantFailedError, empty
from .peers import Arena, backstay
from .report import progress
from .server import BenchServer, process_cpu_seconds


TABLE = "order_items"
_END_BYTES = 8 << 20
_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 600
# A slow machine makes fewer rounds, not a longer evening.
_MOST_SECONDS = 600
# The clock of a commit has whole seconds.
_BEFORE = timedelta(seconds=2)
_PRODUCTS, _ORDERS, _ITEMS, _TOUCHED = 20, 10, 4, 200
_CYCLES_PER_LOOK = 25


@dataclass(slots=True)
class Way:
    """
    Seconds of one round, from behind the DROP TABLE to the table in its place.

    Attributes:
        find: Until the DROP is archived and found.
        recover: The command that makes the backup of just before it.
        base: Of that, the scratch server and the base in it.
        replay: Of that, the log laid there and applied.
        backup: Of that, the recovered backup.
        restore: The command that brings the table back.
    """

    find: float
    recover: float
    base: float
    replay: float
    backup: float
    restore: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.find + self.recover + self.restore


@dataclass(slots=True)
class Rates:
    """
    What was measured, round by round.

    Attributes:
        log_bytes: Size of the log that is replayed.
        transactions: How many are in it.
        rows: How many the dropped table had.
        archived: Bytes, seconds and CPU seconds of the archiver.
        ways: From the DROP to the table.
    """

    log_bytes: int = 0
    transactions: int = 0
    rows: int = 0
    archived: list[tuple[int, float, float]] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)


class _Place(NamedTuple):
    """A place in the log: number of the file, position in it; places of one log are ordered."""

    number: int
    position: int


def measure(arena: Arena, program: Path, rounds: int, log_megabytes: int) -> Rates:
    """
    Measure all of it.

    Raises:
        ContestantFailedError: A command failed, or the table that came back is another one.
    """
    found = Rates()
    until = time.monotonic() + _MOST_SECONDS
    empty(arena.work / "backstay", arena.work / "state")()
    with arena.server.connect(SOURCE, logged=True) as connection, connection.cursor() as cursor:
        # What has no GTID could be of another history, and is no base.
        cursor.execute("UPDATE products SET stock = stock + 1 WHERE id = 1")
    archive = arena.work / "backstay" / "binlog"
    with _archiving(arena, program) as process:
        _read_all(arena, process)
    begun = shutil.copytree(archive, arena.work / "begun", dirs_exist_ok=True)
    _said(arena, program, "backup", "create")
    began = time.monotonic()
    _write_log(arena.server, log_megabytes, began + _MOST_SECONDS / 3)
    size = _logged(arena.server) / 1e6
    progress(f"logged {size:.0f} MB in {time.monotonic() - began:.0f} s")
    os.sync()
    for count in range(1, rounds + 1):
        is_last = count == rounds or time.monotonic() > until - _MOST_SECONDS / 3
        shutil.rmtree(archive)
        shutil.copytree(begun, archive)
        arena.server.settle()
        with _archiving(arena, program) as process:
            found.archived.append(_read_all(arena, process))
            if is_last:
                _recover(arena, program, rounds, found, until)
        if is_last:
            break
    return found


def table(found: Rates) -> str:
    """Lay the medians out as Markdown, with the smallest and the largest."""
    log = f"{found.log_bytes / 1e6:,.0f} MB, {found.transactions:,} transactions"
    lines = [f"log: {log}; table: {found.rows:,} rows", "| what | median | min | max |"]
    lines.append("|---|---|---|---|")
    lines += [
        f"| {what} | {median(values):.1f} | {min(values):.1f} | {max(values):.1f} |"
        for what, values in _rows(found)
    ]
    return "\n".join(lines)


def as_json(found: Rates) -> dict[str, object]:
    """Keep every single figure, and the medians."""
    medians = {what: median(values) for what, values in _rows(found)}
    return {"medians": medians, **asdict(found)}


def _rows(found: Rates) -> Iterator[tuple[str, list[float]]]:
    yield "archive reader, MB/s", [size / 1e6 / wall for size, wall, _ in found.archived]
    yield "archive reader, CPU ms a MB", [1e9 * cpu / size for size, _, cpu in found.archived]
    yield "replay, MB/s", [found.log_bytes / 1e6 / way.replay for way in found.ways]
    yield "DROP TABLE to the table in its place, s", [way.total for way in found.ways]
    for part in ("find", "recover", "base", "replay", "backup", "restore"):
        inner = part in {"base", "replay", "backup"}
        label = f"{'of recover' if inner else 'of it'}: {part}, s"
        yield label, [float(getattr(way, part)) for way in found.ways]


# -- the log -----------------------------------------------------------------------------------------


def _write_log(server: BenchServer, megabytes: int, until: float) -> None:
    """Change the shop until so much is logged, or until then; nothing of it is timed, so commits do not wait for the disk."""
    counts = server.row_counts(SOURCE)
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    with server.connect(SOURCE, logged=True) as connection, connection.cursor() as cursor:
        cycle = 0
        while _logged(server) < megabytes * 1_000_000 and time.monotonic() < until:
            for _ in range(_CYCLES_PER_LOOK):
                cursor.execute(f"BEGIN NOT ATOMIC {'; '.join(_changes(cycle, counts))}; END")
                cycle += 1
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def _changes(cycle: int, counts: dict[str, int]) -> Iterator[str]:
    """Sell a little: some orders, a few products counted, many items touched; each statement commits."""
    product = 1 + cycle * _PRODUCTS % (counts["products"] - _PRODUCTS)
    yield (
        "UPDATE products SET stock = (stock + 7) % 1000, updated_at = NOW(3)"
        f" WHERE id BETWEEN {product} AND {product + _PRODUCTS - 1}"
    )
    for seed in range(cycle * _ORDERS, (cycle + 1) * _ORDERS):
        yield (
            "INSERT INTO orders (user_id, status, currency, total, exchange_rate, placed_at)"
            f" VALUES ({1 + seed * 31 % counts['users']}, 'new', 'EUR', {seed % 9000}.5, 1, NOW())"
        )
        items = (
            f"(LAST_INSERT_ID(), {1 + (seed * 17 + item) % counts['products']}, {1 + item}, {seed % 500}.9)"
            for item in range(_ITEMS)
        )
        yield f"INSERT INTO {TABLE} (order_id, product_id, quantity, unit_price) VALUES {', '.join(items)}"
    touched = 1 + cycle * _TOUCHED % (counts[TABLE] - _TOUCHED)
    yield (
        f"UPDATE {TABLE} SET quantity = 1 + quantity % 5"
        f" WHERE id BETWEEN {touched} AND {touched + _TOUCHED - 1}"
    )


def _logged(server: BenchServer) -> int:
    return sum(int(str(row[1])) for row in server.query("SHOW BINARY LOGS"))


def _end(server: BenchServer) -> _Place:
    """Return where the log ends."""
    ((name, position, *_),) = server.query("SHOW MASTER STATUS")
    return _Place(int(str(name).rpartition(".")[2]), int(str(position)))


# -- the archiver ------------------------------------------------------------------------------------


@contextmanager
def _archiving(arena: Arena, program: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run an archiver for the length of a block."""
    with (arena.work / "archiver.log").open("wb") as log:
        words = shlex.split(backstay(arena, program, "binlog", "run"))
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _read_all(arena: Arena, process: "subprocess.Popen[bytes]") -> tuple[int, float, float]:
    """Wait until all is archived; give bytes, seconds and CPU seconds of nearly all of it."""
    end = _end(arena.server)
    rest = min(_END_BYTES, _logged(arena.server) // 2)
    first = last = None
    begun = _archived(arena)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        place = _archived(arena)
        now = (time.perf_counter(), process_cpu_seconds(process.pid))
        if place is not None and place != begun:
            first = first or (place, *now)
            if last is None and _left(arena.server, place, end) <= rest:
                last = (place, *now)
            if place >= end:
                break
        if process.poll() is not None or time.monotonic() > deadline:
            raise ContestantFailedError((arena.work / "archiver.log").read_text()[-500:])
        time.sleep(_LOOK_SECONDS)
    assert first is not None  # noqa: S101 - narrows; the loop has seen the end
    assert last is not None  # noqa: S101 - the same
    size = _left(arena.server, first[0], last[0])
    return size, last[1] - first[1], last[2] - first[2]


def _archived(arena: Arena) -> _Place | None:
    """Return up to where the log is on the disk; None before it begins."""
    tails = list((arena.work / "backstay" / "binlog").glob("*/*.tail"))
    if not tails:
        return None
    newest = max(tails)
    number, _, start = newest.stem.partition("_")
    try:
        size = newest.stat().st_size
    except FileNotFoundError:  # it was sealed meanwhile
        return None
    return _Place(int(number), int(start) + size)


def _left(server: BenchServer, start: _Place, end: _Place) -> int:
    """Count the bytes of the log between two places."""
    sizes = {
        int(str(row[0]).rpartition(".")[2]): int(str(row[1]))
        for row in server.query("SHOW BINARY LOGS")
    }
    before = sum(size for number, size in sizes.items() if start.number <= number < end.number)
    return before + end.position - start.position


# -- the recovery ------------------------------------------------------------------------------------


def _recover(arena: Arena, program: Path, rounds: int, found: Rates, until: float) -> None:
    """Drop the table and bring it back, again and again from the same point; no round begins after `until`."""
    before = arena.server.row_counts(SOURCE)
    found.rows = before[TABLE]
    gtid = ""
    for count in range(rounds):
        if count and time.monotonic() > until:
            break
        arena.server.settle()
        with arena.server.connect(SOURCE, logged=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {TABLE}")
        began = time.perf_counter()
        dropped = _find_drop(arena, program)
        at_drop = time.perf_counter()
        gtid = gtid or dropped
        made = _said(arena, program, "recover", "--before-gtid", gtid)
        at_backup = time.perf_counter()
        name = str(made["backup_id"])
        _said(arena, program, "restore", "run", name, "--table", f"{SOURCE}.{TABLE}")
        at_end = time.perf_counter()
        if arena.server.row_counts(SOURCE) != before:
            raise ContestantFailedError(f"{TABLE} came back with other rows")
        phases = _phases(arena.work / "state" / "control.db")
        found.ways.append(
            Way(at_drop - began, at_backup - at_drop, *phases, restore=at_end - at_backup)
        )
        # It would be the base of the next round, with nothing to replay.
        _said(arena, program, "backup", "delete", name)
    planned = _said(arena, program, "recover", "--before-gtid", gtid, "--dry-run")
    found.log_bytes = int(str(planned["log_bytes"]))
    found.transactions = int(str(planned["transactions"]))


def _find_drop(arena: Arena, program: Path) -> str:
    """Look for the DROP that has just been, until it is archived; gives its GTID."""
    since = (datetime.now(UTC) - _BEFORE).isoformat()  # noqa: TID251 - the server's clock is this machine's
    words = ["binlog", "transactions", "--from", since, "--table", TABLE, "--match", "DROP"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        seen = _said(arena, program, *words)["transactions"]
        if isinstance(seen, list) and seen:
            return str(seen[-1]["gtid"])
    raise ContestantFailedError("the DROP TABLE is never archived")


def _phases(history: Path) -> tuple[float, float, float]:
    """Return the seconds of the newest recovery: base, replay, backup."""
    newest = "SELECT progress FROM runs WHERE kind = 'recovery' ORDER BY created_at DESC LIMIT 1"
    connection = sqlite3.connect(history)
    try:
        (text,) = connection.execute(newest).fetchone()
    finally:
        connection.close()
    report = json.loads(text)
    began = [(line["text"], float(line["elapsed"])) for line in report["journal"]]
    texts = [phase for phase, _ in began]
    replay = texts.index("replay")
    scratch, at_replay, behind = (
        began[place][1] for place in (texts.index("scratch server"), replay, replay + 1)
    )
    return at_replay - scratch, behind - at_replay, float(report["elapsed"]) - behind


def _said(arena: Arena, program: Path, *words: str) -> dict[str, object]:
    """Run a command of ours; gives its document."""
    command = shlex.split(backstay(arena, program, *words, "--json"))
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired as exc:
        raise ContestantFailedError(
            f"{' '.join(words[:2])}: no end in {exc.timeout:.0f} s"
        ) from exc
    if done.returncode:
        told = (done.stdout or done.stderr).strip()
        raise ContestantFailedError(f"{' '.join(words[:2])}: {told[:500]}")
    document: dict[str, object] = json.loads(done.stdout)
    return document
