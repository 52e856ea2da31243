"""
What the database user may do, read from SHOW GRANTS.

information_schema.USER_PRIVILEGES knows neither roles nor partial grants, and without the TRIGGER or
EVENT privilege such objects are invisible: a backup would be short without any error. So the grants
are read before, and a missing one is named with the GRANT that mends it.

The statements that make an account have their one source here: docs/production.md and the pages print them,
and tests prove on servers that they are enough, and not one too many.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.engine.flavor import Flavor
from app.engine.server.connection import Session
from app.engine.sql.quoting import quote, quote_text
from app.errors import PermissionDeniedError, StatementError


_NAME = r"(?:`(?:[^`]|``)*`|\*)"
_GRANT: Final = re.compile(
    rf"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<scope>{_NAME}\.{_NAME}) TO "
    r"(?P<who>.+?)(?: IDENTIFIED| REQUIRE| WITH|$)",
    re.DOTALL,
)
# On MySQL with partial_revokes, what a right on everything leaves out.
_REVOKE: Final = re.compile(rf"REVOKE (?P<rights>.+?) ON (?P<scope>{_NAME}\.\*) FROM ", re.DOTALL)
# A right on some columns is none on their table.
_ON_COLUMNS: Final = re.compile(r"[A-Z ]+\((?:`(?:[^`]|``)*`|[^`)])*\)")
_WILDCARDS: Final = {"_": ".", "%": ".*"}
# Needed on each database that is backed up. LOCK TABLES only for engines without transactions.
BACKUP_RIGHTS: Final = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
# With any of these on a database the names of its routines can be seen; a hidden body is then noticed.
_ROUTINE_RIGHTS: Final = ("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE")
# The server asks nobody for rights, and does not know any.
_SKIP_GRANT_TABLES: Final = 1290
_MERGE_RIGHTS: Final = ("UPDATE", "DELETE")
RESTORE_RIGHTS: Final = (
    "SELECT",
    "INSERT",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "TRIGGER",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
)

_DATABASE: Final = "`shop`.*"
_SCRATCH: Final = r"`shop\_\_bk\_%`.*"
_ALL: Final = "*.*"
# Engines whose tables are no part of a snapshot, by vendor.
_ENGINES: Final = {"mariadb": "MyISAM or Aria", "mysql": "MyISAM"}
# What makes restores better, besides the rights of a snapshot.
_BETTER_RESTORES: Final = {
    "mariadb": ("READ_ONLY ADMIN", "BINLOG ADMIN"),
    "mysql": ("ALLOW_NONEXISTENT_DEFINER", "SUPER"),
}
_BETTER: Final = {
    "mariadb": "the best snapshot, a fence between swap and triggers, drills that stay out of the binary log",
    "mysql": (
        "the best snapshot, a fence between swap and triggers, drills that stay out of the binary log,"
        " grants on single routines that stay"
    ),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """
    A privilege that is not there.

    Attributes:
        right: Its name, such as `TRIGGER`.
        scope: `*.*` or a quoted database with `.*`.
        grant: The statement that gives it.
        required: Whether a backup is refused without it.
    """

    right: str
    scope: str
    grant: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Grants:
    """
    Everything granted to the current user, roles included as far as they are active.

    Attributes:
        user: As in a GRANT statement.
        flavor: What the server is, which says how rights are called.
        by_scope: Rights by scope as printed, upper case; `ALL PRIVILEGES` is one.
        revoked: Rights on everything that do not hold there, by scope of a database.
        has_patterns: Whether _ and % in the scope of a database are wildcards; with partial_revokes they
            are not.
    """

    user: str
    flavor: Flavor
    by_scope: dict[str, frozenset[str]]
    revoked: dict[str, frozenset[str]] = field(default_factory=dict)
    has_patterns: bool = True

    def allows(self, right: str, database: str = "") -> bool:
        """Tell whether a right holds globally, or on all of a database."""
        own = f"{quote(database)}.*"
        revoked = right in self.revoked.get(own, ()) if database else False
        return any(
            right in rights or "ALL PRIVILEGES" in rights
            for scope, rights in self.by_scope.items()
            if (scope == "*.*" and not revoked)
            or (database and (_covers(scope, database) if self.has_patterns else scope == own))
        )

    def allows_some(self, right: str, database: str) -> bool:
        """Tell whether a right holds on at least one table of a database."""
        prefix = f"{quote(database)}."
        return any(
            scope.startswith(prefix) and (right in rights or "ALL PRIVILEGES" in rights)
            for scope, rights in self.by_scope.items()
        )


async def read_grants(session: Session) -> Grants:
    """Read the grants of the current user."""
    rows = await _show_grants(session)
    user = await session.scalar("SELECT CURRENT_USER()")
    name, _, host = user.rpartition("@")
    # MariaDB has no such variable.
    partial = ("partial_revokes", "ON") in await session.texts(
        "SHOW GLOBAL VARIABLES LIKE 'partial_revokes'"
    )
    return Grants(
        f"{quote_text(name)}@{quote_text(host)}",
        session.flavor,
        _by_scope(filter(None, (_GRANT.match(line) for (line,) in rows))),
        _by_scope(filter(None, (_REVOKE.match(line) for (line,) in rows))),
        has_patterns=not partial,
    )


def _by_scope(lines: Iterable[re.Match[str]]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        listed = _ON_COLUMNS.sub("", line["rights"]).split(",")
        rights = {right.strip().upper() for right in listed} - {""}
        found[line["scope"]] = found.get(line["scope"], frozenset()) | rights
    return found


async def _show_grants(session: Session) -> list[tuple[str, ...]]:
    try:
        return await session.texts("SHOW GRANTS")
    except StatementError as exc:
        if exc.errno != _SKIP_GRANT_TABLES:
            raise
        return [("GRANT ALL PRIVILEGES ON *.* TO ``@``",)]


def missing_for_backup(
    grants: Grants,
    databases: Sequence[str],
    *,
    only_tables: bool = False,
) -> list[Missing]:
    """
    Find what a backup of some databases lacks.

    Args:
        grants: Of the user.
        databases: Names.
        only_tables: Tables were chosen by name; grants on single tables are then trusted.

    Returns:
        Required ones first.
    """
    found = []
    for right in BACKUP_RIGHTS:
        for database in databases:
            some = only_tables and (right == "EVENT" or grants.allows_some(right, database))
            if not some and not grants.allows(right, database):
                found.append(_missing(grants, right, f"{quote(database)}.*"))
    if not only_tables:
        found += _missing_for_routines(grants, databases)
    for right in grants.flavor.snapshot_rights:
        # Older MariaDB's name for BINLOG MONITOR.
        alias = right == "BINLOG MONITOR" and grants.allows("REPLICATION CLIENT")
        if not alias and not grants.allows(right):
            found.append(_missing(grants, right, "*.*", required=False))
    return found


def _missing_for_routines(grants: Grants, databases: Sequence[str]) -> list[Missing]:
    """Find out whether routines of others would be left out, because nobody says that they exist."""
    if all(
        any(grants.allows(right, database) for right in _ROUTINE_RIGHTS) for database in databases
    ):
        return []
    return _missing_bodies(grants)


def _missing_bodies(grants: Grants) -> list[Missing]:
    right, _, scope = grants.flavor.routine_right.partition(" ON ")
    on_table = {"SELECT", right} & grants.by_scope.get(scope, frozenset())
    if grants.allows(right) or grants.allows("SELECT", "mysql") or on_table:
        return []
    return [_missing(grants, right, scope)]


def missing_for_restore(grants: Grants, databases: Sequence[str]) -> list[Missing]:
    """Find what a restore into some databases lacks."""
    return [
        _missing(grants, right, f"{quote(database)}.*")
        for database in databases
        for right in RESTORE_RIGHTS
        if not grants.allows(right, database)
    ]


def missing_in_scratch(
    grants: Grants, scratch: Mapping[str, str], merging: Collection[str] = ()
) -> list[Missing]:
    """
    Find what a restore lacks in the schemas that it makes for itself.

    Args:
        grants: Of the user.
        scratch: GRANT's patterns by name of a schema.
        merging: Schemas with MERGE tables; who makes one must be allowed to write through it.

    Returns:
        What is missing, with one GRANT a pattern.
    """
    return [
        _missing(grants, right, f"`{pattern}`.*" if grants.has_patterns else "*.*")
        for name, pattern in scratch.items()
        for right in (*RESTORE_RIGHTS, *(_MERGE_RIGHTS if name in merging else ()))
        if not grants.allows(right, name)
    ]


def missing_for_definers(grants: Grants, definers: Collection[str]) -> list[Missing]:
    """Find out whether objects of others may be made; `definers` are quoted as SHOW CREATE does."""
    if _are_own(grants, definers) or grants.allows("SUPER"):
        return []
    if any(grants.allows(right) for right in (grants.flavor.definer_right, "SET_USER_ID")):
        return []
    return [_missing(grants, grants.flavor.definer_right, "*.*")]


def missing_for_guarded(grants: Grants, guarded: Mapping[str, str]) -> list[Missing]:
    """Name the rights that the server wants for objects of some accounts; they are the values."""
    return [_missing(grants, right, "*.*") for right in sorted(set(guarded.values()))]


def missing_for_bodies(grants: Grants, definers: Collection[str]) -> list[Missing]:
    """Find out whether restored routines of others can be read back; `definers` as above."""
    return [] if _are_own(grants, definers) else _missing_bodies(grants)


def _are_own(grants: Grants, definers: Collection[str]) -> bool:
    return set(definers) <= {grants.user.replace("'", "`"), ""}


def missing_on_children(grants: Grants, databases: Iterable[str]) -> list[Missing]:
    """Find out whether foreign keys of tables in other databases may be made again."""
    return [
        _missing(grants, "ALTER", f"{quote(database)}.*")
        for database in sorted(set(databases))
        if not grants.allows("ALTER", database) and not grants.allows_some("ALTER", database)
    ]


def missing_for_log(grants: Grants) -> list[Missing]:
    """Find what a reader of the binary log lacks."""
    return [
        _missing(grants, right, "*.*")
        for right in grants.flavor.log_rights
        if not grants.allows(right)
        and not (right == "BINLOG MONITOR" and grants.allows("REPLICATION CLIENT"))
    ]


def may_skip_log(grants: Grants) -> bool:
    """Tell whether this user may keep statements out of the binary log."""
    return any(grants.allows(right) for right in grants.flavor.skip_log_rights)


def missing_to_skip_log(grants: Grants) -> list[Missing]:
    """Find what keeps this user from leaving statements out of the binary log."""
    if may_skip_log(grants):
        return []
    return [_missing(grants, grants.flavor.skip_log_rights[0], "*.*")]


def missing_for_session(grants: Grants) -> list[Missing]:
    """Find what would let a load switch off the rules by which a server refuses definitions."""
    right = grants.flavor.session_right
    rights = (right, "SYSTEM_VARIABLES_ADMIN", "SUPER")
    if not right or any(grants.allows(held) for held in rights):
        return []
    return [_missing(grants, right, "*.*", required=False)]


def require(missing: Sequence[Missing]) -> None:
    """
    Refuse when something required is missing.

    Raises:
        PermissionDeniedError: Names each privilege; the hint holds the GRANT statements.
    """
    required = [right for right in missing if right.required]
    if required:
        what = ", ".join(f"{right.right} on {right.scope}" for right in required)
        raise PermissionDeniedError(
            f"the database user lacks {what}",
            hint=" ".join(right.grant for right in required),
        )


def _missing(grants: Grants, right: str, scope: str, *, required: bool = True) -> Missing:
    return Missing(right, scope, f"GRANT {right} ON {scope} TO {grants.user};", required)


def _covers(scope: str, database: str) -> bool:
    r"""Match a database against a scope like `sh\_p%`.*, where _ and % are wildcards and \ takes that away."""
    if not scope.endswith("`.*"):
        return False
    pattern = scope[1:-3].replace("``", "`")
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    regex = "".join(_WILDCARDS.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(regex, database, re.DOTALL) is not None


def statements_for_user(flavor: Flavor, *, restores: bool) -> str:
    """
    Write the statements for an account that backs up the database `shop`.

    Args:
        flavor: What the server is.
        restores: Whether it also restores.

    Returns:
        SQL with comments, a statement a line, ending with a line end.
    """
    user = "'backstay_restore'@'localhost'" if restores else "'backstay'@'localhost'"
    password = "another long password" if restores else "a long password"
    lines = [f"CREATE USER {user} IDENTIFIED BY '{password}';", "-- Needed."]
    lines += _needed(flavor, user, restores=restores)
    lines += _better(flavor, user, restores=restores)
    lines.append(
        f"-- Only with tables of {_ENGINES[flavor.vendor]}; only with views that call functions."
    )
    lines += [_grant_statement([right], _DATABASE, user) for right in ("LOCK TABLES", "EXECUTE")]
    return "\n".join(lines) + "\n"


def _needed(flavor: Flavor, user: str, *, restores: bool) -> list[str]:
    rights = RESTORE_RIGHTS if restores else BACKUP_RIGHTS
    lines = [_grant_statement(rights, _DATABASE, user)]
    if restores:
        lines.append(_grant_statement(rights, _SCRATCH, user))
    right, _, scope = flavor.routine_right.partition(" ON ")
    definer = [flavor.definer_right] if restores else []
    if scope == _ALL:
        return [*lines, _grant_statement([right, *definer], _ALL, user)]
    return [
        *lines,
        _grant_statement([right], scope, user),
        *(_grant_statement([name], _ALL, user) for name in definer),
    ]


def _better(flavor: Flavor, user: str, *, restores: bool) -> list[str]:
    more = _BETTER_RESTORES[flavor.vendor] if restores else ()
    what = (
        _BETTER[flavor.vendor] if restores else "the best snapshot, and the binary log's position"
    )
    lines = [f"-- Better: {what}.", _grant_statement([*flavor.snapshot_rights, *more], _ALL, user)]
    if restores and flavor.vendor == "mysql":
        lines.append(_grant_statement(["SELECT"], "`mysql`.`procs_priv`", user))
    return lines


def _grant_statement(rights: Iterable[str], scope: str, user: str) -> str:
    return f"GRANT {', '.join(rights)} ON {scope} TO {user};"
