"""The program: built of one instance of each service."""

import gc
import os
from collections import Counter
from functools import cached_property, partial

from app.bootstrap.program import Program
from app.bootstrap.service import open_service
from app.config import Settings
from app.domain.backups.backup import BackupRequest
from app.services.backups.options import BackupOptions


def _services(root: object) -> Counter[str]:
    """Count what can be reached from an object, by the class of the services that it is of."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        found = waiting.pop()
        owner = type(found).__module__
        known = owner.startswith("app.") or owner in {"builtins", "functools"}
        if id(found) in seen or not known or isinstance(found, type):
            continue
        is_global = isinstance(found, dict) and "__builtins__" in found
        if is_global or type(found).__name__ == "module":
            continue
        seen[id(found)] = found
        waiting += gc.get_referents(found)
    classes = [type(found) for found in seen.values()]
    return Counter(
        kind.__name__
        for kind in classes
        if kind.__module__.startswith("app.services.") and kind.__name__.endswith("Service")
    )


def _settings(tmp_path) -> Settings:
    return Settings(
        database_url="mysql://root@localhost:1/",
        backup_dir=tmp_path / "backups",
        state_dir=tmp_path / "state",
    )


async def test_commands_share_one_instance_of_each_service(tmp_path):
    """So there is one cache, and one lock, of each."""
    program = Program(_settings(tmp_path))
    try:
        for name, part in vars(Program).items():
            if isinstance(part, cached_property):
                getattr(program, name)
        counts = _services(program)
    finally:
        await program.close()

    assert {"BackupService", "HealthService", "RecoveryService"} <= counts.keys()
    assert set(counts.values()) == {1}


async def test_the_service_shares_them_as_well(tmp_path):
    """Status, metrics, checks and alerts read the health of backups in one place."""
    async with open_service(_settings(tmp_path)) as service:
        counts = _services(service)

    assert {"BackupService", "HealthService", "StatusService", "MetricsService"} <= counts.keys()
    assert counts["CheckService"] == 1
    assert set(counts.values()) == {1}


async def test_backups_of_the_service_take_no_more_connections_than_cores_unless_it_is_told(
    tmp_path,
):
    """Those of a command take one more, and so do restores; here whoever asks would wait for a core."""
    settings, cores = _settings(tmp_path), os.cpu_count() or 1
    told = settings.model_copy(update={"threads": cores + 5})

    program = Program(settings)
    try:
        assert _connections(program) == settings.threads
    finally:
        await program.close()
    async with open_service(settings) as service:
        assert _connections(service.program) == min(settings.threads, cores)
        assert service.program.settings == settings
    async with open_service(told) as service:
        assert _connections(service.program) == cores + 5


def _connections(program: Program) -> int:
    """Tell with how many connections a backup would be made that leaves it open."""
    work = program.jobs.backup(BackupOptions()).work
    assert isinstance(work, partial)
    request = work.args[0]
    assert isinstance(request, BackupRequest)
    return request.threads
