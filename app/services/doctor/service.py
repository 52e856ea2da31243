"""The doctor: checks for what would make a backup or a restore fail, before one does."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.control.database import ControlDatabase
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.places.sizes import size
from app.domain.runs.run import Run
from app.engine.native import IS_BUILT
from app.engine.schema.databases import (
    has_events,
    read_schemas,
    scratch_pattern,
)
from app.engine.server.address import STORED, VARIABLE
from app.engine.server.connection import Session
from app.engine.server.grants import (
    Missing,
    missing_for_backup,
    missing_for_restore,
    missing_for_session,
    missing_in_scratch,
    read_grants,
)
from app.engine.server.row_reader import RowSource
from app.engine.server.server import Server
from app.errors import (
    AppError,
    InvalidRequestError,
    PermissionDeniedError,
)
from app.mysql.channel import Channel
from app.sandbox.server import find_program
from app.security.servers import SERVERS_FILE
from app.services.doctor.binlog import BinlogChecks
from app.services.doctor.directory import (
    PrivatePlaces,
    directory_checks,
    mode_checks,
    state_checks,
)
from app.services.doctor.interrupted import journal_checks, restore_checks
from app.services.doctor.stores import StoreChecks
from app.services.runs.lost import SILENT_SECONDS, LostRuns
from app.setting_facts import misspelt_settings
from app.storage.journals import FoundJournals, Journals


# Servers before 10.2 had 16 MiB; rows wider than half of the packet are common with blobs.
_GOOD_PACKET_BYTES: Final = 16 << 20
_SHOWN_DATABASES: Final = 5
_PROGRAMS: Final = ("mariadbd", "mariadb-install-db", "mariadb-dump")
_ENCRYPTION: Final = "encryption"
_CONTROL: Final = "control database"
_CODECS: Final = {"gzip": "isal", "zstd": "backports.zstd"}


class DoctorService:
    """Examines one installation; changes nothing."""

    def __init__(
        self,
        server: Server,
        catalogue: Catalogue,
        journals: Journals,
        control: ControlDatabase | None = None,
        *,
        stores: StoreChecks | None = None,
        binlog: BinlogChecks | None = None,
        lost: LostRuns | None = None,
        private: PrivatePlaces | None = None,
    ) -> None:
        self._server = server
        self._control = control
        self._catalogue = catalogue
        self._journals = journals
        self._stores = stores
        self._binlog = binlog
        self._lost = lost
        self._private = private
        # One look at a time: it asks the server and the stores a lot, and whoever may look may do so often.
        self._turn = asyncio.Lock()
        self._begun = 0
        self._last: tuple[int, tuple[DoctorCheck, ...]] = (0, ())

    async def examine(self) -> tuple[DoctorCheck, ...]:
        """
        Examine everything; never raises an error of this program.

        Returns:
            Every finding, server first. Whoever has waited meanwhile for the same gets that of one look, which
            has begun after all of them had asked.
        """
        begun = self._begun
        async with self._turn:
            if self._last[0] <= begun:
                self._begun += 1
                self._last = (self._begun, await self._examine())
            return self._last[1]

    async def _examine(self) -> tuple[DoctorCheck, ...]:
        try:
            found = await asyncio.to_thread(self._journals.survey)
            journals = journal_checks(found.damaged)
        except AppError as exc:
            found, journals = FoundJournals([], []), [failed("journals", exc)]
        checks, data_bytes = await self._server_checks(self._server, found)
        if self._server.is_set:
            checks.insert(0, _address_check(self._server.source))
        checks += journals
        checks += await self._control_checks()
        checks += await asyncio.to_thread(directory_checks, self._catalogue, data_bytes)
        if self._private:
            checks += await asyncio.to_thread(state_checks, self._private.state)
            checks += await asyncio.to_thread(mode_checks, self._private)
        checks += await self._stores.examine() if self._stores else ()
        checks += await self._binlog.examine() if self._binlog else ()
        return (*checks, *_settings_checks(), *_program_checks(), _codec_check())

    async def examine_server(self, server: Server) -> tuple[DoctorCheck, ...]:
        """Return what is found of a server alone, which need not be ours; the connection comes first."""
        checks, _ = await self._server_checks(server, FoundJournals([], []))
        return tuple(checks)

    async def _server_checks(
        self, server: Server, found: FoundJournals
    ) -> tuple[list[DoctorCheck], int]:
        """Return the findings, and how many bytes of data the server holds."""
        if not server.is_set:
            return [_no_server_check()], 0
        checks: list[DoctorCheck] = []
        try:
            async with server.session() as session:
                text = str(await session.scalar("SELECT VERSION()"))
                detail = f"{server.where} answers: {session.flavor.vendor} {text}"
                checks.append(DoctorCheck("connection", CheckState.OK, detail))
                checks.append(
                    encryption_check(session.channel, session.was_remembered, server.source)
                )
                checks.append(await _binlog_check(session))
                checks.append(await _packet_check(session))
                checks.append(rows_check(session.row_source))
                checks += await _events_check(session)
                names = (server.database,) if server.database else ()
                databases = [schema.name for schema in await read_schemas(session, names)]
                checks += await _rights_checks(session, databases)
                checks += await restore_checks(session, server.where, found)
                return checks, await _data_bytes(session)
        except AppError as exc:
            checks.append(failed("server" if checks else "connection", exc))
            return checks, 0

    async def _control_checks(self) -> list[DoctorCheck]:
        """Look at the way to the control database, where it is no file, and for runs that nobody judges."""
        try:
            exposure = await self._control.exposure() if self._control else None
            lost = [_lost_check(run) for run in await self._lost.find()] if self._lost else []
        except AppError as exc:  # neither a backup nor a restore needs it
            return [DoctorCheck(_CONTROL, CheckState.WARN, str(exc), exc.hint)]
        if exposure is None:
            return lost
        detail = f"the connection is {exposure.what}"
        return [DoctorCheck(_CONTROL, CheckState.WARN, detail, exposure.remedy), *lost]


def _no_server_check() -> DoctorCheck:
    """Tell that no server is known, in words for the pages, too; by the error of a command that needs one."""
    return DoctorCheck(
        "connection",
        CheckState.FAIL,
        "no server is connected yet",
        "Set BACKSTAY_DATABASE_URL to mysql://user:password@host:3306/database, or connect a server in the pages.",
        InvalidRequestError("BACKSTAY_DATABASE_URL is not set"),
    )


def _lost_check(run: Run) -> DoctorCheck:
    """Tell of a run of another installation that stands still."""
    return DoctorCheck(
        "history",
        CheckState.WARN,
        f"{run.run_id}, a {run.kind} of another installation, is not over, and nothing was heard of it for"
        f" {SILENT_SECONDS:g} seconds",
        "Start the service of that installation, which judges it. If its state directory is lost:"
        f" backstay run end {run.run_id} --reason TEXT",
    )


def _address_check(source: str) -> DoctorCheck:
    """Tell where the address of the server comes from."""
    detail = f"from {SERVERS_FILE} in the state directory" if source == STORED else f"from {source}"
    return DoctorCheck("address", CheckState.OK, detail)


def encryption_check(
    channel: Channel,
    was_remembered: bool,  # noqa: FBT001 - a fact
    source: str = VARIABLE,
) -> DoctorCheck:
    """Tell whether others can read what passes, and whether the next login needs more than this one."""
    if exposure := channel.exposure(source):
        detail = f"the connection is {exposure.what}"
        return DoctorCheck(_ENCRYPTION, CheckState.WARN, detail, exposure.remedy)
    if was_remembered and not channel.may_carry_passwords:
        return DoctorCheck(
            _ENCRYPTION,
            CheckState.WARN,
            f"{channel}; the server remembers the password, and will not let us in after its restart",
            f"Add ssl_mode=VERIFY_CA&ssl_ca=FILE to {source}, or use unix_socket=PATH there.",
        )
    where = "" if channel.socket or channel.verified else ", on this machine"
    return DoctorCheck(_ENCRYPTION, CheckState.OK, f"{channel}{where}")


async def _binlog_check(session: Session) -> DoctorCheck:
    if str(await session.scalar("SELECT @@GLOBAL.log_bin")) in {"1", "ON"}:
        return DoctorCheck("binary log", CheckState.OK, "on; backups record their position")
    return DoctorCheck(
        "binary log",
        CheckState.WARN,
        "off; what changes after a backup cannot be recovered",
        "Set log_bin and restart the server, unless it is a test server.",
    )


async def _packet_check(session: Session) -> DoctorCheck:
    packet = int(str(await session.scalar("SELECT @@GLOBAL.max_allowed_packet")))
    if packet >= _GOOD_PACKET_BYTES:
        return DoctorCheck("max_allowed_packet", CheckState.OK, size(packet))
    return DoctorCheck(
        "max_allowed_packet",
        CheckState.WARN,
        f"{size(packet)}; larger rows cannot be restored here",
        f"SET GLOBAL max_allowed_packet = {_GOOD_PACKET_BYTES};",
    )


async def _rights_checks(session: Session, databases: Sequence[str]) -> list[DoctorCheck]:
    grants = await read_grants(session)
    backup = missing_for_backup(grants, databases)
    required = [right for right in backup if right.required]
    optional = [right for right in backup if not right.required]
    scratch = {f"{name}__bk_new_": scratch_pattern(name) for name in databases}
    restore = [*missing_for_restore(grants, databases), *missing_in_scratch(grants, scratch)]
    strict = missing_for_session(grants)
    refused = "a restore cannot make tables that the server's strict modes refuse"
    return [
        _backup_rights(required, databases),
        _rights("snapshot rights", optional, "a backup then uses a slower or weaker snapshot"),
        _rights(
            "restore rights",
            restore or strict,
            "this user cannot restore there" if restore else refused,
        ),
    ]


def _backup_rights(missing: Sequence[Missing], databases: Sequence[str]) -> DoctorCheck:
    if not missing:
        shown = ", ".join(databases[:_SHOWN_DATABASES])
        more = len(databases) - _SHOWN_DATABASES
        detail = f"{shown or 'no database yet'}" + (f" and {more} more" if more > 0 else "")
        return DoctorCheck("backup rights", CheckState.OK, detail)
    detail = "missing: " + _listed(missing)
    remedy = "\n".join(right.grant for right in missing)
    return DoctorCheck(
        "backup rights", CheckState.FAIL, detail, remedy, PermissionDeniedError(detail, hint=remedy)
    )


def _rights(name: str, missing: Sequence[Missing], consequence: str) -> DoctorCheck:
    if not missing:
        return DoctorCheck(name, CheckState.OK, "complete")
    remedy = "\n".join(right.grant for right in missing)
    return DoctorCheck(name, CheckState.WARN, f"missing: {_listed(missing)}; {consequence}", remedy)


def _listed(missing: Sequence[Missing]) -> str:
    return ", ".join(f"{right.right} on {right.scope}" for right in missing)


async def _events_check(session: Session) -> list[DoctorCheck]:
    """Tell of a server that was started without events."""
    if await has_events(session):
        return []
    return [
        DoctorCheck(
            "events",
            CheckState.WARN,
            "the server was started with event_scheduler=DISABLED or --skip-grant-tables: backups hold"
            " no events, and a backup that has some can only be restored table by table",
            "Start it with event_scheduler=OFF: events do not fire either, and can be read and made.",
        )
    ]


async def _data_bytes(session: Session) -> int:
    answer = await session.scalar(
        "SELECT SUM(DATA_LENGTH) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"
    )
    return int(str(answer or 0))


def _settings_checks() -> list[DoctorCheck]:
    """Tell of variables that look like settings and mean nothing."""
    remedy = "Correct its name, or remove it."
    return [DoctorCheck("settings", CheckState.WARN, what, remedy) for what in misspelt_settings()]


def _program_checks() -> list[DoctorCheck]:
    found = {name: find_program(name) for name in _PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if not missing:
        return [DoctorCheck("server programs", CheckState.OK, ", ".join(map(str, found.values())))]
    return [
        DoctorCheck(
            "server programs",
            CheckState.WARN,
            f"{', '.join(missing)} not found; only the demo and the tests need them",
            "apt-get install mariadb-server",
        )
    ]


def rows_check(source: RowSource) -> DoctorCheck:
    """Tell who makes SQL text of rows."""
    if source is RowSource.SERVER:
        detail = "formatted by the server, as BACKSTAY_ROWS says"
    elif IS_BUILT:
        detail = "read by the binary protocol, formatted by compiled code"
    else:
        detail = (
            "formatted by the server: this installation has no compiled module, which is faster"
        )
    return DoctorCheck("rows", CheckState.OK, detail)


def _codec_check() -> DoctorCheck:
    try:
        found = [f"{codec} by {name} {version(name)}" for codec, name in _CODECS.items()]
    except PackageNotFoundError as exc:
        # From Python 3.14 zstd is part of the standard library.
        return DoctorCheck("codecs", CheckState.OK, f"the standard library's instead of {exc.name}")
    return DoctorCheck("codecs", CheckState.OK, ", ".join(found))
