"""
What a target server must have before a restore changes anything.

Every finding is collected, so that one run tells all that is missing.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import Manifest, MemberKind, ObjectKind, TableEntry
from app.domain.ports import MemberSource
from app.domain.restores.dry_run import Compatibility
from app.domain.restores.load import DatabaseLoad
from app.engine.flavor import Flavor
from app.engine.rows.rules import RULES
from app.engine.schema.databases import has_events, holds
from app.engine.server.clock import ZONES_HINT, knows_zone
from app.engine.server.connection import Session
from app.engine.server.errors import TRUST_HINT
from app.engine.server.grants import Grants, Missing
from app.engine.sql import ddl
from app.engine.sql.quoting import qualified, quote_text
from app.errors import (
    AppError,
    IncompatibleServerError,
    InvalidRequestError,
    PermissionDeniedError,
    StatementError,
)


# What the server may refuse to create while there is a binary log; for triggers SUPER is enough.
# Source: https://mariadb.com/kb/en/binary-logging-of-stored-routines/
_TRUSTED_KINDS: Final = frozenset({ObjectKind.FUNCTION, ObjectKind.TRIGGER})
_FUNCTION: Final = re.compile(
    r"(?:SET @backstay_sql = ')?CREATE (?:DEFINER=\S+ )?(?:AGGREGATE )?FUNCTION ", re.IGNORECASE
)
# SHOW CREATE prints characteristics on lines of their own.
_HARMLESS: Final = re.compile(r"(?:\n|\\n)\s*(?:DETERMINISTIC|NO SQL|READS SQL DATA)\b")
# 0 is no limit.
_LIMIT: Final = re.compile(
    r"\b(MAX_(?:QUERIES|UPDATES|CONNECTIONS)_PER_HOUR|MAX_USER_CONNECTIONS) ([1-9]\d*)"
)
_AT_ONCE: Final = "MAX_USER_CONNECTIONS"
# Measured beside those that load: three at most. The fourth ends a statement of another that is cancelled.
_MORE_CONNECTIONS: Final = 4


async def compatibility(
    session: Session,
    loads: Sequence[DatabaseLoad],
) -> Compatibility:
    """Find out what a server lacks for a restore."""
    tables = [table for load in loads for table in load.entry.tables]
    largest = max(tables, key=lambda table: table.max_packet, default=None)
    return Compatibility(
        missing_engines=await _missing_engines(session, tables),
        missing_collations=await _missing_collations(session, loads),
        missing_features=(
            *_missing_features(session.flavor, loads),
            *await _missing_events(session, loads),
            *await _barred_history(session, tables),
            *await _other_engines(session, tables),
            *await _disabled_engines(session, tables),
        ),
        clashing_names=tuple(await _clashing_names(session, loads)),
        largest_table=largest.name if largest else "",
        packet_needed=largest.max_packet if largest else 0,
        packet_allowed=int(await session.scalar("SELECT @@GLOBAL.max_allowed_packet")),
    )


async def check_trust(
    session: Session,
    manifest: Manifest,
    source: MemberSource,
    loads: Sequence[DatabaseLoad],
    *,
    is_super: bool,
) -> None:
    """
    Refuse functions and triggers that the server would not create, before anything is loaded.

    Raises:
        IncompatibleServerError: There is a binary log, and their creators are not trusted.
        ChecksumMismatchError: The archive is damaged.
    """
    strict = "SELECT @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators"
    objects = [(load.entry.name, entry) for load in loads for entry in load.entry.objects]
    functions = {database for database, entry in objects if entry.kind is ObjectKind.FUNCTION}
    if not any(entry.kind in _TRUSTED_KINDS for _, entry in objects):
        return
    if await session.scalar(strict) != "1":
        return
    texts = [
        text.decode("utf-8", "replace")
        for member in manifest.members
        if member.kind is MemberKind.OBJECTS and member.database in functions
        for text in await source.read(member)
    ]
    if not is_super or any(_FUNCTION.match(text) and not _HARMLESS.search(text) for text in texts):
        raise IncompatibleServerError(
            "the server writes a binary log and does not trust the creators of functions and triggers",
            hint=f"Nothing was changed. {TRUST_HINT}",
        )


async def find_limit(session: Session, threads: int) -> list[AppError]:
    """
    Find limits of the account that would end a restore in its middle, and its undo with it.

    Args:
        session: On the server, of the account that restores.
        threads: Connections that load.

    Returns:
        One refusal at most; of a limit by the hour nobody can tell how much is left.

    Source: https://dev.mysql.com/doc/refman/8.4/en/user-resources.html, mariadb.com/kb/en/create-user
    """
    try:
        account = await session.scalar("SHOW CREATE USER CURRENT_USER()")
    except (StatementError, PermissionDeniedError):  # nobody has an account, or one that is named
        return []
    limits = dict(_LIMIT.findall("".join(ddl.unquoted_parts(account))))
    needed = threads + _MORE_CONNECTIONS
    found = [
        (name, count) for name, count in limits.items() if name != _AT_ONCE or int(count) < needed
    ]
    return [
        InvalidRequestError(
            f"the account that restores is limited ({name} {count}), which could end the restore in its middle",
            hint=f"ALTER USER ... WITH {name} {needed if name == _AT_ONCE else 0}, or restore by another account"
            f"{' or with fewer --threads' if name == _AT_ONCE else ''}.",
        )
        for name, count in found[:1]
    ]


async def missing_to_encrypt(session: Session, grants: Grants) -> list[Missing]:
    """
    Find out whether tables could not move between databases that encrypt by default and that do not.

    Returns:
        The right that it takes, where the server asks for it.

    Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-data-encryption.html
    """
    # MariaDB has no such variable.
    rows = await session.texts("SHOW GLOBAL VARIABLES LIKE 'table_encryption_privilege_check'")
    right = "TABLE_ENCRYPTION_ADMIN"
    return [
        Missing(right, "*.*", f"GRANT {right} ON *.* TO {grants.user};")
        for _, value in rows
        if value == "ON" and not grants.allows(right)
    ]


async def unrepeatable(
    session: Session, loads: Sequence[DatabaseLoad], *, prove: bool
) -> list[str]:
    """Find what depends on the session that wrote the rows, and would be another or be refused here."""
    rows = [
        (load.target, entry) for load in loads if load.include_rows for entry in load.entry.tables
    ]
    zones = {
        value: f"{target}.{entry.name}"
        for target, entry in rows
        for name, value in entry.session
        if name == "time_zone"
    }
    findings = [
        f"this server does not know the time zone {zone!r}, in which generated columns of {label} were"
        f" computed; {ZONES_HINT}"
        for zone, label in zones.items()
        if not await knows_zone(session, zone)
    ]
    for target, entry in rows:
        for name in entry.unrepeatable:
            if name.startswith(RULES):
                findings.append(
                    f"{name} of {target}.{entry.name} does not hold for all of its rows in the session that"
                    " loads them (UTC, backslashes escape)"
                )
            elif prove:
                findings.append(
                    f"the stored generated column {name!r} of {target}.{entry.name} holds values that no one"
                    " session computes again; --no-verify-after takes what this server computes"
                )
    return findings


async def _missing_engines(session: Session, tables: Sequence[TableEntry]) -> tuple[str, ...]:
    rows = await session.texts("SHOW ENGINES")
    here = {row[0].lower() for row in rows if row[1] in {"YES", "DEFAULT"}}
    needed = {table.engine for table in tables if not table.sequence}
    return tuple(sorted(name for name in needed if name.lower() not in here))


async def _other_engines(session: Session, tables: Sequence[TableEntry]) -> list[str]:
    """Find tables of other engines than the one that a server insists on, if it does."""
    # MySQL has no such variable.
    for _, enforced in await session.texts("SHOW GLOBAL VARIABLES LIKE 'enforce_storage_engine'"):
        others = sorted({
            table.engine
            for table in tables
            if enforced and not table.sequence and table.engine.lower() != enforced.lower()
        })
        if others:
            finding = f"this server makes tables of engine {enforced} only (enforce_storage_engine)"
            return [f"{finding}, the backup has some of {', '.join(others)}"]
    return []


async def _disabled_engines(session: Session, tables: Sequence[TableEntry]) -> list[str]:
    """
    Find tables of engines that the server has, and makes no tables of.

    Returns:
        One finding at most.

    Source: https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_disabled_storage_engines
    """
    # MariaDB has no such variable.
    for _, value in await session.texts("SHOW GLOBAL VARIABLES LIKE 'disabled_storage_engines'"):
        disabled = {name.strip().lower() for name in value.split(",")}
        used = sorted({table.engine for table in tables if table.engine.lower() in disabled})
        if used:
            finding = "this server makes no tables of some engines (disabled_storage_engines)"
            return [f"{finding}, the backup has some of {', '.join(used)}"]
    return []


async def _missing_collations(session: Session, loads: Sequence[DatabaseLoad]) -> tuple[str, ...]:
    needed = {load.entry.collation for load in loads} | {
        column.collation
        for load in loads
        for table in load.entry.tables
        for column in table.columns
        if column.collation
    }
    if not needed:
        return ()
    # MariaDB lists those of Unicode 14 once for all character sets; everywhere else, as in
    # information_schema.COLUMNS, the character set stands before their name.
    # Source: https://mariadb.com/kb/en/show-collation
    short = {name: name.partition("_")[2] for name in needed}
    # Of some hundred that a server has; the driver takes longer for all of them than the server.
    names = ", ".join(quote_text(name) for name in sorted({*needed, *short.values()}))
    rows = await session.texts(f"SHOW COLLATION WHERE `Collation` IN ({names})")
    here = {row[0].lower() for row in rows}
    shared = {row[0].lower() for row in rows if not row[1]}
    return tuple(
        sorted(
            name
            for name in needed
            if name.lower() not in here and short[name].lower() not in shared
        )
    )


def _missing_features(flavor: Flavor, loads: Sequence[DatabaseLoad]) -> list[str]:
    tables = [table for load in loads for table in load.entry.tables]
    kinds = {entry.kind for load in loads for entry in load.entry.objects}
    findings = []
    if not flavor.sequences and any(table.sequence for table in tables):
        findings.append("this server has no sequences")
    if not flavor.packages and kinds & {ObjectKind.PACKAGE, ObjectKind.PACKAGE_BODY}:
        findings.append("this server has no packages")
    if not flavor.history and any(table.history for table in tables):
        findings.append("this server cannot load the history of system-versioned tables")
    return findings


async def _barred_history(session: Session, tables: Sequence[TableEntry]) -> list[str]:
    """
    Find out whether no session may write rows of the past.

    Returns:
        One finding at most.

    Source: https://mariadb.com/kb/en/server-system-variables/#secure_timestamp
    """
    if not any(table.history for table in tables):
        return []
    return [
        "this server lets nobody load the history of system-versioned tables (secure_timestamp)"
        for _, value in await session.texts("SHOW GLOBAL VARIABLES LIKE 'secure_timestamp'")
        if value in {"YES", "REPLICATION"}
    ]


async def _missing_events(session: Session, loads: Sequence[DatabaseLoad]) -> list[str]:
    events = [entry for load in loads for entry in load.entry.objects if entry.kind == "event"]
    if not events or await has_events(session):
        return []
    finding = (
        f"event {events[0].name!r} cannot be made on a server started with event_scheduler=DISABLED"
        " or --skip-grant-tables (OFF, and a restart, lets it; --table '*' restores tables alone)"
    )
    return [finding]


async def _clashing_names(session: Session, loads: Sequence[DatabaseLoad]) -> list[str]:
    """Find names that the target would not keep: in lower case they are others, or one."""
    setting = await session.scalar("SELECT @@GLOBAL.lower_case_table_names")
    if setting == "0":
        return []
    folded = [load.target for load in loads]
    findings = []
    for load in loads:
        seen: dict[str, str] = {}
        views = {item.name for item in load.entry.objects if item.kind is ObjectKind.VIEW}
        for name in sorted(views | {table.name for table in load.entry.tables}):
            folded.append(name)
            other = seen.setdefault(name.lower(), name)
            if other != name:
                findings.append(f"{other!r} and {name!r} are one name on this server")
    if setting == "1":
        changed = (name for name in folded if name != name.lower())
        findings += [f"{name!r} would be {name.lower()!r} on this server" for name in changed]
    return findings


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """
    Where this installation keeps its history, if that is a database of a server.

    A server has many addresses, so its own do not tell whether it is the one that is restored to: what
    this installation wrote last does.

    Attributes:
        name: Of the database; empty = the history is a file.
        newest_run: Returns the id of the newest run in the history; empty = there is none.
    """

    name: str
    newest_run: Callable[[], Awaitable[str]]

    async def refusals(self, session: Session, loads: Sequence[DatabaseLoad]) -> list[AppError]:
        """Return why a restore would be refused; a history that does not answer refuses nothing."""
        found = [load.target for load in loads if load.target.lower() == self.name.lower()]
        if not self.name or not found:
            return []
        try:
            run_id = await self.newest_run()
        except AppError:
            return []
        if not run_id or not await holds(session, qualified(found[0], "runs"), "run_id", run_id):
            return []
        return [
            InvalidRequestError(
                f"{found[0]!r} is the control database of this installation",
                hint="Restore it beside with --into; or in its place by command line while no service"
                " runs, without BACKSTAY_CONTROL_URL.",
            )
        ]
