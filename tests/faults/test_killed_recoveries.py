"""A recovery that is killed leaves neither a server nor a copy of the data."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import ScratchUnavailableError
from app.sandbox.scratch import ScratchOptions, open_scratch, sweep
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.cli import Started
from tests.fixtures.point_in_time import PointsInTime


VENDOR = "mysql" if IS_MYSQL else "mariadb"
# Opens a scratch server from a template, says so, and waits to be killed.
OWNER = """
import asyncio, sys
from pathlib import Path
from app.sandbox.scratch import ScratchOptions, open_scratch

async def own():
    wanted = ScratchOptions(sys.argv[3], (), template=Path(sys.argv[2]))
    async with open_scratch(Path(sys.argv[1]), wanted) as server:
        print(server.pid, server.socket, flush=True)
        await asyncio.sleep(600)

asyncio.run(own())
"""


def processes_about(directory: Path) -> list[str]:
    """Return the command lines that name a directory; a zombie has none."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def wait_until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


def test_nothing_outlives_a_killed_owner(tmp_path, server_template):
    """P14: SIGKILL; the kernel closes what the watchers read from, and they end and remove everything."""
    root = tmp_path / "scratch"
    command = [sys.executable, "-c", OWNER, str(root), str(server_template), VENDOR]
    with Started(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        (directory,) = root.iterdir()
        assert directory.stat().st_mode & 0o077 == 0
        assert sweep(root) == 0  # it has an owner

        owner.send_signal(signal.SIGKILL)

    assert wait_until(lambda: not any(root.iterdir()))
    assert wait_until(lambda: not processes_about(directory))


def test_what_even_the_watchers_missed_is_swept(tmp_path):
    """Such as after a power cut: a directory that nobody owns goes with the next recovery or start."""
    left = tmp_path / "scratch" / "0123456789ab" / "server"
    left.mkdir(parents=True)
    (left / "mariadb.pid").write_text("1\n")  # another process by now

    assert sweep(tmp_path / "scratch") == 1
    assert not any((tmp_path / "scratch").iterdir())
    assert sweep(tmp_path / "nothing") == 0


async def test_a_machine_without_programs_says_so(tmp_path):
    """The error tells what is missing, and nothing stays behind."""
    (tmp_path / "bin").mkdir()
    wanted = ScratchOptions(VENDOR, (), programs=tmp_path / "bin")

    with pytest.raises(ScratchUnavailableError, match=r"no .* program found"):
        async with open_scratch(tmp_path / "scratch", wanted):
            pass

    assert not any((tmp_path / "scratch").iterdir())


async def test_a_cancelled_recovery_leaves_nothing(own_server, server_template, tmp_path):
    """Whenever it is cancelled: no server, no directory, no backup but the base."""
    points = PointsInTime(own_server(), tmp_path, server_template)
    try:
        points.sql.script(["CREATE DATABASE shop", "CREATE TABLE shop.t (i INT PRIMARY KEY)"])
        base = await points.backup()
        points.sql.run("INSERT INTO shop.t VALUES (1)")
        points.archive()
        plan = await points.plan(points.position())
        for seconds in (0.2, 1.2, 2.2):
            task = asyncio.create_task(points.service.recover(plan))
            await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            root = points.state / "scratch"
            assert not any(root.iterdir())
            assert not processes_about(root)
            if task.cancelled():
                assert [entry.backup_id for entry in points.catalogue.entries()] == [base.backup_id]
    finally:
        await points.close()
