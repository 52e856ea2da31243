"""
The API while a backup runs: does a look at the catalogue stay quick, do events keep coming?

1. The service is started as its users start it, and listens over TCP. 2. A backup of the whole shop is
begun by the API. 3. Until it is over, `GET list` and `GET status` are sent in turn at a fixed rate,
each at its own due time whether or not the one before has answered, so that a stall counts in full
for every request that would have been sent meanwhile. 4. The run's events are followed beside it.

What is not guaranteed: client, service and server share the machine, as in a small shop.
"""

import asyncio
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import httpx

from .contest import SOURCE
from .server import BenchServer


REQUESTS_PER_SECOND = 50
_ADDRESS = re.compile(r"listens on (\S+);")
_PASSWORD = "a password for benchmarks"  # noqa: S105 - of a service that lives for minutes
_PATHS = ("/api/admin/backup/list", "/api/admin/backup/status")


@dataclass(slots=True)
class Latencies:
    """
    What was measured, all rounds together.

    Attributes:
        seconds: Of each request by path, from when it was due to its last byte.
        event_gaps: Seconds between one event of a run and the next.
        backups: Seconds that each backup took.
        failures: Answers that were not 200.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in _PATHS})
    event_gaps: list[float] = field(default_factory=list)
    backups: list[float] = field(default_factory=list)
    failures: int = 0


def measure(server: BenchServer, program: Path, rounds: int) -> Latencies:
    """Back the shop up so many times, and ask meanwhile."""
    found = Latencies()
    with (
        tempfile.TemporaryDirectory(prefix="backstay-bench-api-") as home,
        _serving(server, program, Path(home)) as url,
    ):
        asyncio.run(_measure(url, rounds, found))
    return found


def table(found: Latencies) -> str:
    """Print milliseconds by path, and what the events did."""
    lines = [f"{'request':34} {'count':>6} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8}"]
    for path, seconds in found.seconds.items():
        cuts = quantiles(seconds, n=100, method="inclusive")
        values = (cuts[49], cuts[94], cuts[98], max(seconds))
        figures = " ".join(f"{1000 * value:8.1f}" for value in values)
        lines.append(f"GET {path:30} {len(seconds):6} {figures}")
    lines.append(
        f"events: {len(found.event_gaps)}, longest gap {max(found.event_gaps):.2f} s;"
        f" backups: {', '.join(f'{backup:.2f}' for backup in found.backups)} s;"
        f" failures: {found.failures}"
    )
    return "\n".join(lines)


def as_json(found: Latencies) -> dict[str, object]:
    """Keep every single figure."""
    return {
        "requests_per_second": REQUESTS_PER_SECOND,
        "seconds": found.seconds,
        "event_gaps": found.event_gaps,
        "backups": found.backups,
        "failures": found.failures,
    }


@contextmanager
def _serving(server: BenchServer, program: Path, home: Path) -> Iterator[str]:
    """Run the service for the length of a block; its log is beside its backups."""
    log = home / "serve.log"
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "BACKSTAY_DATABASE_URL": server.url + SOURCE,
        "BACKSTAY_ADMIN_PASSWORD": _PASSWORD,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program.absolute(), "serve", "--port", "0"],
            cwd=home,
            env=environment,
            stdout=out,
            stderr=out,
        )
    try:
        while not (address := _ADDRESS.search(log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        yield address[1]
    finally:
        process.terminate()
        process.wait()


async def _measure(url: str, rounds: int, found: Latencies) -> None:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        await _log_in(client)
        for _ in range(rounds):
            begun = await client.post("/api/admin/backup/create", json={})
            begun.raise_for_status()
            over = asyncio.Event()
            await asyncio.gather(
                _follow(client, begun.headers["Location"], over, found),
                _ask(client, over, found),
            )


async def _log_in(client: httpx.AsyncClient) -> None:
    for _ in range(100):
        try:
            form = {"username": "admin", "password": _PASSWORD}
            answer = await client.post("/api/auth/token", data=form)
            break
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    else:
        raise RuntimeError("the service does not answer")
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def _follow(
    client: httpx.AsyncClient, location: str, over: asyncio.Event, found: Latencies
) -> None:
    """Read the events of a run to their end."""
    last = time.monotonic()
    run: dict[str, object] = {}
    async with client.stream("GET", f"{location}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data: "):
                now = time.monotonic()
                found.event_gaps.append(now - last)
                last, run = now, json.loads(line.removeprefix("data: "))
    over.set()
    if run.get("state") != "succeeded":
        raise RuntimeError(f"the backup has {run.get('state')}: {run.get('error')}")
    progress = run["progress"]
    assert isinstance(progress, dict)  # noqa: S101 - as the API's document says
    found.backups.append(progress["elapsed"])


async def _ask(client: httpx.AsyncClient, over: asyncio.Event, found: Latencies) -> None:
    """Send requests when they are due, not when the last one was answered."""
    began = time.monotonic()
    asked: list[asyncio.Task[None]] = []
    while not over.is_set():
        due = began + len(asked) / REQUESTS_PER_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        path = _PATHS[len(asked) % len(_PATHS)]
        asked.append(asyncio.create_task(_time(client, path, due, found)))
    await asyncio.gather(*asked)


async def _time(client: httpx.AsyncClient, path: str, due: float, found: Latencies) -> None:
    answer = await client.get(path)
    found.seconds[path].append(time.monotonic() - due)
    found.failures += answer.status_code != httpx.codes.OK
