"""
Grants on routines: they hang on the object, and a server that drops a routine revokes them.

Grants on tables, columns, views and databases go by name; neither RENAME nor DROP takes them away.

Sources: mariadb.com/kb/en/drop-procedure, dev.mysql.com/doc/refman/8.4/en/stored-routines-privileges.html
(automatic_sp_privileges).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from app.domain.backups.manifest import ObjectKind
from app.domain.restores.journal import RoutineGrant
from app.engine.schema.accounts import make_no_accounts
from app.engine.schema.objects import ROUTINE_TYPES
from app.engine.server.connection import Session
from app.engine.sql.quoting import about_package, qualified, quote, quote_text, same_name
from app.errors import DatabaseError, PermissionDeniedError


_RIGHTS: Final = {"EXECUTE", "ALTER ROUTINE", "SHOW CREATE ROUTINE"}
_GRANT: Final = "GRANT"
PACKAGES: Final = frozenset({ObjectKind.PACKAGE, ObjectKind.PACKAGE_BODY})


async def read_routine_grants(session: Session, database: str) -> list[RoutineGrant] | None:
    """
    Read who may do what with the routines of a database.

    Returns:
        All grants on single routines; None when this user may not see them.

    Raises:
        DatabaseError: The server fails us.
    """
    try:
        rows = await session.texts(
            "SELECT Routine_type, Routine_name, User, Host, Proc_priv FROM mysql.procs_priv"
            f" WHERE Db = BINARY {quote_text(database)} ORDER BY Routine_name, User, Host"
        )
    except PermissionDeniedError:
        return None
    return [
        RoutineGrant(
            ROUTINE_TYPES[kind.upper()], name, user, host, tuple(rights.upper().split(","))
        )
        for kind, name, user, host, rights in rows
        if kind.upper() in ROUTINE_TYPES and rights
    ]


async def hides_grants(session: Session, database: str, staying: Collection[str]) -> bool:
    """
    Tell whether grants may be lost because this user does not see them.

    Args:
        session: Any.
        database: Whose routines.
        staying: Names of routines that are in the backup too.

    Returns:
        Whether a routine is dropped, and who may execute it is hidden.
    """
    rows = await session.texts(
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES"
        f" WHERE {same_name('ROUTINE_SCHEMA', database)}"
    )
    kept = {name.lower() for name in staying} if session.flavor.replaces_routines else set()
    if not {name.lower() for (name,) in rows} - kept:
        return False
    return await read_routine_grants(session, database) is None


async def ensure_grants(
    session: Session, database: str, wanted: Sequence[RoutineGrant]
) -> list[str]:
    """
    Grant again what a DROP has revoked.

    Args:
        session: Any.
        database: Whose routines.
        wanted: On routines that are there.

    Returns:
        Warnings: what this user may not grant.
    """
    if not wanted:
        return []
    here = await read_routine_grants(session, database)
    held: dict[tuple[ObjectKind, str, str, str], set[str]] = defaultdict(set)
    for grant in here or ():
        held[_key(grant)] |= set(grant.rights)
    await make_no_accounts(session)
    warnings = []
    for grant in wanted:
        if missing := set(grant.rights) - held[_key(grant)]:
            try:
                await session.query(_statement(database, grant, missing))
            except DatabaseError as exc:
                label = f"{grant.kind} {database}.{grant.name}"
                warnings.append(f"{label}: the grant to {grant.account} is gone ({exc})")
    return warnings


def _key(grant: RoutineGrant) -> tuple[ObjectKind, str, str, str]:
    # Names of routines differ by more than case, those of users do not.
    return grant.kind, grant.name.lower(), grant.user, grant.host


def _statement(database: str, grant: RoutineGrant, rights: Collection[str]) -> str:
    plain = sorted(set(rights) & _RIGHTS) or ["USAGE"]
    option = " WITH GRANT OPTION" if _GRANT in rights else ""
    to = f"{quote_text(grant.user)}@{quote_text(grant.host)}"
    if not grant.host:
        to = grant.user if grant.user == "PUBLIC" else quote(grant.user)
    where = qualified(database, grant.name)
    sql = f"GRANT {', '.join(plain)} ON {grant.kind.value.upper()} {where} TO {to}{option}"
    return about_package(sql) if grant.kind in PACKAGES else sql
