"""Whether something can be written, asked of disks that do not answer."""

import asyncio

from app.services.monitoring.probes import Probes
from app.storage.local import LocalDirectory
from tests.fixtures.kernels import HangingKernel


async def test_a_disk_that_hangs_is_told_and_asked_once(tmp_path):
    """The answer comes in time each time; one thread waits, and when the disk is back all is well."""
    kernel = HangingKernel()
    hanging = LocalDirectory(tmp_path / "backups", kernel)
    sound = LocalDirectory(tmp_path / "state")
    probes = Probes(seconds=0.2)
    kernel.released.clear()
    try:
        for _ in range(3):
            assert [await probes.ask(hanging), await probes.ask(sound)] == ["stalled", ""]
        assert kernel.waiting == 1
    finally:
        kernel.released.set()

    async with asyncio.timeout(60):
        await asyncio.gather(*probes._asked.values())
    assert await probes.ask(hanging) == ""
