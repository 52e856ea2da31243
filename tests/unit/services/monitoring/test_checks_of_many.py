"""Whatever looks at all backups reads each of them so many times, however many there are."""

import asyncio
import os
from datetime import timedelta

import pytest

from app.archive.catalogue import readings
from tests.fixtures.archives import NOON
from tests.fixtures.kernels import CountingKernel
from tests.fixtures.many_backups import make_many
from tests.fixtures.monitored_installation import MonitoredInstallation


FEW, MANY = 30, 120


async def _list(installation):
    installation.catalogue.read(anew=True)


async def _health(installation):
    await installation.backup_monitor.health.read(anew=True)


async def _monitor(installation):
    await installation.backup_monitor.check()


async def _check(installation):
    results = await installation.checks.run_due(everything=True)
    assert all(result.failure is None for result in results)
    assert len(results) >= FEW


WORK = {"list": _list, "health": _health, "monitor": _monitor, "check": _check}


async def _calls_of(home, count, work, **settings) -> int:
    """Count the calls of the operating system that something makes on a directory of many backups, long settled."""
    kernel = CountingKernel()
    installation = MonitoredInstallation(home, kernel=kernel, drill_days=0, **settings)
    until = NOON - timedelta(days=2)
    await asyncio.to_thread(make_many, installation.path, count, until=until)
    installation.catalogue.read()
    os.utime(installation.path, (0, 0))
    before = kernel.count
    await work(installation)
    return kernel.count - before


@pytest.mark.parametrize(
    ("name", "settings", "most"),
    [
        ("list", {}, 2),
        ("health", {}, 2),
        ("monitor", {}, 2),
        ("check", {"check_hashes_days": 0, "check_content_days": 0}, 13),
        ("check", {"check_hashes_days": 1e-6, "check_content_days": 0}, 75),
    ],
    ids=["list", "health", "monitor", "sizes", "hashes"],
)
async def test_the_work_grows_with_the_backups(tmp_path, monkeypatch, name, settings, most):
    """Four times as many take four times as many calls, and no more than so many for each, however slow they are."""
    monkeypatch.setattr(readings, "FRESH_SECONDS", 0.0)
    few = await _calls_of(tmp_path / "few", FEW, WORK[name], **settings)
    many = await _calls_of(tmp_path / "many", MANY, WORK[name], **settings)

    assert (many - few) / (MANY - FEW) <= most
    assert many <= few * (MANY / FEW) * 1.1 + 20


async def test_a_pass_over_all_sizes_takes_one_reading(tmp_path, monkeypatch):
    """What it notes itself is put into that: two calls for each backup less than with another one."""
    intervals = {"check_hashes_days": 0, "check_content_days": 0}
    most_each = 13
    monkeypatch.setattr(readings, "FRESH_SECONDS", 600.0)
    few = await _calls_of(tmp_path / "few", FEW, _check, **intervals)
    many = await _calls_of(tmp_path / "many", MANY, _check, **intervals)

    assert (many - few) / (MANY - FEW) <= most_each - 2
