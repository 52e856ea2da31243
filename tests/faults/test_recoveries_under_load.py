"""
A soak: random changes, archivers and servers that are killed, and every point equal to what was there.

`BACKSTAY_SOAK_MINUTES=2 BACKSTAY_SOAK_POINTS=20 make test-long ARGS="tests/faults/test_recoveries_under_load.py
--log-cli-level=INFO"` takes a quarter of an hour, and prints its figures.
"""

import asyncio
import logging
import os
import random
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

import pymysql
import pytest

from app.concurrency import share
from app.domain.restores.points import Point, PointKind
from app.errors import AppError
from tests.fixtures.cli import Cli, Started, wait_until
from tests.fixtures.log_archive import end_of_log, require_equal
from tests.fixtures.point_in_time import PointsInTime, Witness
from tests.fixtures.random_load import DATABASES, random_load, schema
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import Snapshot, assert_same, snapshot


SEED = 18
# Of changes, and points that are compared afterwards, which takes about as long again on two cores.
MINUTES = float(os.getenv("BACKSTAY_SOAK_MINUTES", "30"))
POINTS = int(os.getenv("BACKSTAY_SOAK_POINTS", "200"))
WITNESSES = 3
STOP_SECONDS, CATCH_UP_SECONDS = 60, 900
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")


@dataclass
class Figures:
    """What a soak was."""

    steps: int = 0
    transactions: int = 0
    log_bytes: int = 0
    bases: int = 0
    bases_used: int = 0
    archivers_killed: int = 0
    servers_killed: int = 0
    segments: int = 0
    planning_seconds: float = 0.0
    points: int = 0
    seconds: float = 0.0


def without_counters(value):
    """Leave AUTO_INCREMENT out: the log does not have the numbers that were taken and not used."""
    match value:
        case dict():
            return {
                key: without_counters(part)
                for key, part in value.items()
                if key != "AUTO_INCREMENT"
            }
        case str():
            return _COUNTER.sub("", value)
        case _:
            return value


class Soak:
    """A server, its archiver, backups, and what was there at some points."""

    def __init__(self, server, home, template):
        self.server = server
        self.cli = Cli(server.url, home)
        self.points = PointsInTime(server, home, template)
        self.points.sql.script(schema())
        self.figures = Figures()
        self.seen: list[tuple[Point, dict[str, Snapshot]]] = []
        self._settled = threading.Event()
        self._archiver: Started | None = None
        self._moments = random.Random(SEED)  # noqa: S311 - no secret

    def archive(self):
        """Start an archiver, and wait until it has begun."""
        self.cli.url = self.server.url
        self._archiver = self.cli.start("binlog", "run", stderr=subprocess.DEVNULL)

    def kill_archiver(self):
        """Kill it wherever it is."""
        assert self._archiver is not None
        self._archiver.send_signal(signal.SIGKILL)
        self._archiver.communicate(timeout=STOP_SECONDS)
        self.figures.archivers_killed += 1

    def stop(self):
        """Leave no archiver behind, whatever was found."""
        if self._archiver is not None and self._archiver.poll() is None:
            self._archiver.kill()
            self._archiver.communicate(timeout=STOP_SECONDS)

    async def kill_server(self):
        """Kill the server; it recovers, and makes a base when nothing is prepared any more: docs/pitr.md says why."""
        self.server.kill()
        self.server.start()
        self.figures.servers_killed += 1
        self._settled.set()
        with Sql(self.server.url) as sql:
            wait_until(lambda: not sql.run("XA RECOVER"), "what was prepared has ended")
        await self.back_up()

    def look(self):
        """Note what is there, and where in the log that is; nothing changes meanwhile."""
        with suppress(pymysql.err.MySQLError), Sql(self.server.url) as sql:
            sql.run("SET SESSION lock_wait_timeout = 5")
            sql.run("FLUSH TABLES WITH READ LOCK")
            file, offset = end_of_log(sql)
            found = {name: snapshot(self.server.url, name) for name in DATABASES}
            point = Point(PointKind.POSITION, f"{file}:{offset}", file=file, position=offset)
            self.seen.append((point, found))

    async def back_up(self):
        """Make a base: one that meets a definition that changes is none where there is another."""
        self._settled.set()
        try:
            await asyncio.sleep(0.2)
            with suppress(AppError):
                await self.points.backup()
                self.figures.bases += 1
        finally:
            self._settled.clear()

    async def change(self, seconds, count):
        """Let things change; look so many times, and kill and back up between."""
        pause = seconds / count
        looks = 0
        with random_load(lambda: self.server.url, SEED, self._settled) as writers:
            while len(self.seen) < count and looks < 2 * count:
                await asyncio.sleep(self._moments.uniform(0.5, 1.5) * pause)
                self.look()
                looks += 1
                if looks % max(count // 30, 1) == 0:
                    self.kill_archiver()
                    if self.figures.archivers_killed % 5 == 2:
                        await self.kill_server()
                    self.archive()
                if looks % max(count // 10, 1) == 0:
                    await self.back_up()
        self.figures.steps = sum(writer.done for writer in writers)

    def finish(self):
        """Let the archive catch up, and require that it is one stream of the server's own bytes."""
        assert self._archiver is not None
        with Sql(self.server.url) as sql:
            end = end_of_log(sql)
        # On a busy machine it may be far behind.
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while not self._is_at(end):
            assert time.monotonic() < deadline, "all of it is archived"
        self._archiver.terminate()
        self._archiver.communicate(timeout=STOP_SECONDS)
        assert self._archiver.returncode == 0
        stream = require_equal(self.cli.backups, self.server)
        assert stream.document.ended_at == ""
        self.figures.transactions = sum(1 for _ in stream.transactions(counts=False))
        self.figures.segments = len(stream.segments)
        self.figures.log_bytes = sum(file.size for file in stream.files)

    def _is_at(self, end):
        time.sleep(0.3)
        found = self.cli.json("binlog", "status")["streams"]
        last = found[-1]["last"] if found else None
        # The server itself may write a little more.
        return last is not None and (last["file"], last["position"]) >= end

    async def compare(self, witnesses):
        """Recover to each point, and compare what comes of it with what was there."""
        self._moments.shuffle(self.seen)
        # All before the first: what was recovered would be a base, and goes again.
        began = time.process_time()
        plans = [(await self.points.plan(point), expected) for point, expected in self.seen]
        self.figures.planning_seconds = round(time.process_time() - began, 1)
        self.figures.bases_used = len({plan.base.backup_id for plan, _ in plans})

        async def look(witness, planned):
            plan, expected = planned
            manifest = await self.points.service.recover(plan)
            found = await witness.look(manifest, *DATABASES)
            for name in DATABASES:
                assert_same(without_counters(found[name]), without_counters(expected[name]))
            self.points.remove(manifest)
            self.figures.points += 1

        await share(plans, witnesses, look)


async def soak(own_server, template, home, seconds, count):
    """Run a soak, and return its figures."""
    began = time.monotonic()
    found = Soak(own_server("--sync-binlog=1"), home, template)
    try:
        found.archive()
        wait_until(
            lambda: list(found.cli.backups.glob("binlog/*/*.tail")) != [], "an archive begins"
        )
        await found.back_up()
        await found.change(seconds, count)
        found.finish()
    finally:
        found.stop()
    witnesses = [Witness(own_server(), found.points) for _ in range(WITNESSES)]
    try:
        await found.compare(witnesses)
    finally:  # also of one that was stopped, or found something
        found.figures.seconds = round(time.monotonic() - began, 1)
        # Shown by `--log-cli-level=INFO`.
        logging.getLogger(__name__).info("Soak: %s", asdict(found.figures))
    for witness in witnesses:
        await witness.close()
    await found.points.close()
    return found.figures


@pytest.mark.long(only=True)  # an hour; what it joins has short tests of its own
@pytest.mark.timeout(7200)
async def test_every_point_is_what_was_there_however_often_either_side_dies(
    own_server, server_template, tmp_path
):
    """The archive is one stream of the server's own bytes, and each point equals the oracle's."""
    figures = await soak(own_server, server_template, tmp_path, MINUTES * 60, POINTS)

    assert figures.points == POINTS
    # A tenth of the looks make one; a prepared transaction keeps some from being any.
    assert figures.bases_used > 3
    assert figures.archivers_killed > 0
