"""A scratch server as a recovery uses it: with the settings of the source, and the services of any server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from app.archive.catalogue.catalogue import Catalogue
from app.binlog.archive.reading import ArchivedStream
from app.binlog.replayed import NAMED_ZONES, ZONE
from app.domain.backups.manifest import Manifest
from app.domain.ports import Clock
from app.domain.restores.points import RecoverPlan
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Progress
from app.engine.flavor import flavor_of, series_of
from app.engine.server.server import Server
from app.engine.sql.quoting import quote_text
from app.errors import ScratchUnavailableError
from app.sandbox.scratch import open_scratch, sweep
from app.sandbox.zones import zone_statements
from app.services.backups.service import BackupService
from app.services.point_in_time.scratch_options import scratch_options
from app.services.restores.service import RecoveryService
from app.storage.journals import Journals


_SYSTEM: Final = "SYSTEM"
# Summer and winter: two zones that agree on both may be taken for each other.
_PROBES: Final = (datetime(2024, 1, 15, 12), datetime(2024, 7, 15, 12))  # noqa: DTZ001 - local times


@dataclass(frozen=True, slots=True)
class ScratchPlace:
    """
    Where scratch servers live.

    Attributes:
        root: Directory of all of them.
        programs: Directory of server programs; None = where this machine has them.
        zone: IANA name of the zone of the source's machine; empty = it is not known.
        timeout_seconds: How long one ordinary statement may take.
        template: Directory of a private server to be copied; None = each is made anew.
    """

    root: Path
    programs: Path | None
    zone: str
    timeout_seconds: float
    template: Path | None = None


@dataclass(frozen=True, slots=True)
class Scratch:
    """
    A scratch server that runs.

    Attributes:
        server: The way to it.
        data: Its data directory.
        directory: Where whatever else belongs to it may lie.
    """

    server: Server
    data: Path
    directory: Path

    async def restore(
        self, plan: RecoverPlan, catalogue: Catalogue, clock: Clock, progress: Progress
    ) -> None:
        """Restore the base of a recovery, and prove it; raises what any restore raises."""
        restores = await self.recoveries(catalogue, clock)
        request = RestoreRequest(
            plan.base.backup_id,
            databases=plan.databases,
            create_backup=False,
            threads=plan.request.threads,
        )
        await restores.restore(replace(await restores.plan(request), in_scratch=True), progress)

    async def recoveries(self, catalogue: Catalogue, clock: Clock) -> RecoveryService:
        """Return what restores into the server; its journals go with it."""
        state = self.directory / "state"
        await asyncio.to_thread(state.mkdir, mode=0o700, exist_ok=True)
        return RecoveryService(
            server=self.server,
            catalogue=catalogue,
            clock=clock,
            journals=Journals(state),
            backups=BackupService(self.server, catalogue, clock),
            undo_minutes=0.0,
        )


@asynccontextmanager
async def scratch_for(
    plan: RecoverPlan, stream: ArchivedStream, place: ScratchPlace
) -> AsyncIterator[Scratch]:
    """
    Run a scratch server for a recovery, for the length of a block.

    Args:
        plan: Of the recovery.
        stream: Its binary log, with what was recorded of the source.
        place: Where scratch servers live.

    Yields:
        An empty server that nobody else can reach.

    Raises:
        ScratchUnavailableError: There is none of the source's vendor and series here, or it does not
            start as the source was set up.
    """
    await asyncio.to_thread(sweep, place.root)
    wanted = scratch_options(
        plan.base.server.vendor,
        flavor_of(plan.base.server.version).replication,
        stream.settings,
        zone=place.zone,
        databases=plan.databases,
        programs=place.programs,
    )
    async with open_scratch(place.root, replace(wanted, template=place.template)) as private:
        url = f"mysql://root@localhost/?unix_socket={quote(str(private.socket), safe='')}"
        server = Server(url, source="the scratch server", timeout_seconds=place.timeout_seconds)
        try:
            await _prepare(server, plan.base, stream, place)
            yield Scratch(server, private.data, private.directory)
        finally:
            await server.close()


async def _prepare(
    server: Server, base: Manifest, stream: ArchivedStream, place: ScratchPlace
) -> None:
    """Prove that the server is of the right kind, and give it the source's time."""
    async with server.session() as session:
        version = await session.scalar("SELECT VERSION()")
        is_vendor = session.flavor.vendor == base.server.vendor
        if not is_vendor or series_of(version) != series_of(base.server.version):
            raise ScratchUnavailableError(
                f"the programs here are of {version}, the server was {base.server.version}",
                hint="Name the directory of programs of that series with BACKSTAY_SCRATCH_BIN.",
            )
        zone = stream.settings.get(ZONE, _SYSTEM)
        # An unknown one makes NULL of what CONVERT_TZ gives, without a word.
        if stream.settings.get(NAMED_ZONES) != "OFF":
            for statement in await asyncio.to_thread(lambda: list(zone_statements())):
                await session.query(statement)
        if zone != _SYSTEM:
            await session.query(f"SET GLOBAL time_zone = {quote_text(zone)}")
        await session.query("SET SESSION time_zone = 'SYSTEM'")
        for probe in _PROBES:
            expected = probe.replace(tzinfo=ZoneInfo(place.zone or "UTC")).timestamp()
            found = await session.scalar(f"SELECT UNIX_TIMESTAMP('{probe:%Y-%m-%d %H:%M:%S}')")
            if float(found) != expected:
                raise ScratchUnavailableError(
                    f"this machine does not know the time zone {place.zone or 'UTC'}",
                    hint="Install its time zones; on Debian and Ubuntu: apt-get install tzdata.",
                )
