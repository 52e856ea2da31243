"""
Whether the binary log of a server can be archived, and what a replay of it will need to know.

Some settings make a log that lacks changes: those are refused. Others make it risky: those are findings.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.binlog.archive.documents import Identity
from app.binlog.events.headers import Place
from app.binlog.replayed import NAMED_ZONES, REPLAYED, UNLOGGED
from app.domain.restores.log_archive import LogFinding
from app.engine.server.connection import Session
from app.engine.server.grants import Missing, missing_for_log, read_grants
from app.errors import (
    BinlogBrokenError,
    BinlogOffError,
    BinlogRightsError,
    PermissionDeniedError,
)


# What says of which kind a log is.
_OF_THE_LOG: Final[tuple[str, ...]] = (
    "binlog_format",
    "binlog_row_image",
    "binlog_checksum",
    "gtid_mode",
    "gtid_domain_id",
    "gtid_strict_mode",
    "server_id",
    "server_uuid",
    "log_bin",
    "sync_binlog",
    "binlog_expire_logs_seconds",
    "encrypt_binlog",
    "binlog_encryption",
    "log_slave_updates",
    "log_replica_updates",
    "binlog_storage_engine",
    "max_binlog_size",
)
_DAY: Final = 24 * 60 * 60
_ENABLE: Final = "Set log_bin, server_id and binlog_format = ROW in the server's configuration, and start it again."
# A tag begins with a letter or "_". Source: https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html
_TAG: Final = re.compile(r":[a-z_]", re.IGNORECASE)
KNOWS_ZONES: Final = (
    "SELECT IF(CONVERT_TZ('2024-01-01', 'UTC', 'Europe/Berlin') IS NULL, 'OFF', 'ON')"
)
_ENCRYPTION: Final = ("encrypt_binlog", "binlog_encryption")


@dataclass(frozen=True, slots=True)
class Inspection:
    """
    What a server says of its log.

    Attributes:
        identity: For people.
        settings: What a replay depends on, by name.
        place: Where its log ends now.
        findings: Refusals first.
    """

    identity: Identity
    settings: dict[str, str]
    place: Place
    findings: tuple[LogFinding, ...]

    def require(self, settings: Mapping[str, str] | None = None) -> None:
        """
        Refuse a log that must not be archived, or goes on as another one.

        Args:
            settings: What the server was set to when the stream began; None where none has.

        Raises:
            BinlogOffError: It lacks changes.
            BinlogBrokenError: A replay of what follows would make other tables.
        """
        refused = [finding for finding in self.findings if finding.severity == "refused"]
        if refused:
            raise BinlogOffError("; ".join(f.message for f in refused), hint=refused[0].hint)
        then, now = settings or {}, self.settings
        changed = [
            f"{name} was {then[name]} and is {now[name]}"
            for name in UNLOGGED
            if name in then and name in now and then[name] != now[name]
        ]
        if changed:
            raise BinlogBrokenError(
                f"settings that the log does not hold were changed: {', '.join(changed)}"
            )


async def missing_rights(session: Session) -> list[Missing]:
    """Find which rights the user of a session lacks for the log; raises DatabaseError."""
    return missing_for_log(await read_grants(session))


async def inspect(session: Session, address: str, *, encrypts: bool = False) -> Inspection:
    """
    Ask a server about its log.

    Args:
        session: Of the account that will read it.
        address: Of the server, for people.
        encrypts: Whether the archive of its log is encrypted.

    Returns:
        What it says.

    Raises:
        BinlogOffError: There is no log.
        BinlogRightsError: A right is missing; the hint holds the GRANT statements.
        DatabaseError: The server failed us.
    """
    if missing := await missing_rights(session):
        raise BinlogRightsError(
            f"the database user lacks {', '.join(right.right for right in missing)}",
            hint=" ".join(right.grant for right in missing),
        )
    names = ", ".join(f"'{name}'" for name in (*REPLAYED, *_OF_THE_LOG))
    listing = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
    found = {row[0].lower(): row[1] for row in await session.texts(listing)}
    rows = await session.texts(session.flavor.position)
    if found.get("log_bin") != "ON" or not rows:
        raise BinlogOffError("the server writes no binary log", hint=_ENABLE)
    file, position, do_databases, ignored_databases, *executed = rows[0]
    findings = _refusals(found, do_databases, ignored_databases, *executed)
    if not _logs_all(found) and await _is_replica(session):
        findings.append(
            LogFinding(
                "refused",
                "the server is a replica, and does not log what it gets from its source",
                "Set log_slave_updates = ON (MySQL: log_replica_updates), or archive the source.",
            )
        )
    findings += _warnings(found, encrypts=encrypts)
    identity = Identity(
        "mariadb" if session.flavor.vendor == "mariadb" else "mysql",
        await session.scalar("SELECT VERSION()"),
        int(found.get("server_id") or 0),
        found.get("server_uuid", ""),
        address,
    )
    settings = {name: found[name] for name in (*REPLAYED, *_OF_THE_LOG) if name in found}
    settings[NAMED_ZONES] = await session.scalar(KNOWS_ZONES)
    return Inspection(identity, settings, Place(file, int(position)), tuple(findings))


def _refusals(
    found: dict[str, str], do_databases: str, ignored_databases: str, executed: str = ""
) -> list[LogFinding]:
    """Find what a log must not be archived for; only MySQL tells beside it which GTIDs it has."""
    findings = []
    if do_databases or ignored_databases:
        findings.append(
            LogFinding(
                "refused",
                "binlog_do_db or binlog_ignore_db leaves databases out of the log",
                "Remove these settings: what is not in the log cannot be brought back from it.",
            )
        )
    if found.get("binlog_storage_engine"):
        findings.append(
            LogFinding(
                "refused",
                "the binary log is kept by a storage engine, which is not known here",
                "Unset binlog_storage_engine.",
            )
        )
    if _TAG.search(executed):
        findings.append(
            LogFinding(
                "refused",
                "the log has GTIDs with tags, which are not known here",
                "Set no gtid_next with a tag. After RESET BINARY LOGS AND GTIDS the log can be archived again.",
            )
        )
    return findings


def _logs_all(found: dict[str, str]) -> bool:
    return "ON" in {found.get("log_slave_updates"), found.get("log_replica_updates")}


async def _is_replica(session: Session) -> bool:
    statement = (
        "SHOW ALL SLAVES STATUS" if session.flavor.vendor == "mariadb" else "SHOW REPLICA STATUS"
    )
    try:
        return bool(await session.texts(statement))
    except PermissionDeniedError:  # nobody asks for this right; that one runs everybody may know
        running = await session.texts("SHOW GLOBAL STATUS LIKE 'Slaves_running'")
        return any(count != "0" for _, count in running)


def _warnings(found: dict[str, str], *, encrypts: bool) -> list[LogFinding]:
    findings = []
    if found.get("binlog_format", "ROW") != "ROW":
        findings.append(
            LogFinding(
                "warning",
                f"binlog_format is {found['binlog_format']}: statements are executed again, and may do something else",
                "Set binlog_format = ROW.",
            )
        )
    if "server_uuid" not in found and found.get("binlog_row_image", "FULL") != "FULL":
        findings.append(
            LogFinding(
                "warning",
                f"binlog_row_image is {found['binlog_row_image']}: MariaDB does not log what a REPLACE sets to its"
                " default, so that nothing is recovered over an update",
                "Set binlog_row_image = FULL.",
            )
        )
    if found.get("sync_binlog") != "1":
        findings.append(
            LogFinding(
                "warning",
                "sync_binlog is not 1: the log may lose its end in a power cut, which ends the archive",
                "Set sync_binlog = 1.",
            )
        )
    expiry = float(found.get("binlog_expire_logs_seconds") or 0)
    if 0 < expiry < _DAY:
        findings.append(
            LogFinding(
                "warning",
                f"the server keeps its log for {expiry:.0f} s only: an archiver that is down for longer loses it",
                "Set binlog_expire_logs_seconds to a day or more.",
            )
        )
    if not encrypts and "ON" in {found.get(name) for name in _ENCRYPTION}:
        findings.append(
            LogFinding(
                "warning",
                "the server encrypts its log, and the archive of it is not encrypted",
                "Set BACKSTAY_ENCRYPT_TO, or keep the backup directory on an encrypted disk.",
            )
        )
    return findings
