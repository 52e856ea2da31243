"""
Accounts that own objects: found, and tried.

Whether this user may make objects of another account depends on that account: MySQL protects those with
SYSTEM_USER, and wants a further right for one that does not exist. Nobody says beforehand; so an object is
made for each, where nothing else is.
"""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

from app.domain.backups.manifest import ObjectEntry
from app.engine.schema.databases import read_events
from app.engine.server.connection import Session
from app.engine.sql.quoting import qualified, quote, same_name
from app.errors import PermissionDeniedError, StatementError


_PROBE: Final = "backstay_definer"
_NO_SUCH_ACCOUNT: Final = 1449
_QUOTED: Final = r"`(?:[^`]|``)*`"
_ACCOUNT: Final = re.compile(rf"{_QUOTED}(?:@{_QUOTED})?")
_LACKING: Final = re.compile(r"GRANT (.+) ON \*\.\* TO ")
_OWNERS: Final = (
    ("TRIGGERS", "TRIGGER_SCHEMA"),
    ("VIEWS", "TABLE_SCHEMA"),
    ("ROUTINES", "ROUTINE_SCHEMA"),
)


def definers_of(entries: Iterable[ObjectEntry]) -> set[str]:
    """Return the accounts that objects belong to, quoted as SHOW CREATE does."""
    return {entry.definer for entry in entries if _ACCOUNT.fullmatch(entry.definer)}


async def read_definers(
    session: Session, database: str, tables: Collection[str] | None
) -> set[str]:
    """
    Read the accounts that the objects of a database belong to.

    Args:
        session: Any.
        database: Its name; it need not exist.
        tables: Only of the triggers of these tables; None = of everything.

    Returns:
        Quoted as SHOW CREATE does.
    """
    found: set[str] = set()
    for source, column in _OWNERS if tables is None else _OWNERS[:1]:
        table = "EVENT_OBJECT_TABLE" if source == "TRIGGERS" else "''"
        rows = await session.texts(
            f"SELECT DISTINCT DEFINER, {table} FROM information_schema.{source}"
            f" WHERE {same_name(column, database)}"
        )
        found |= {_quoted(owner) for owner, name in rows if tables is None or name in tables}
    if tables is None:
        events = await read_events(session, database, "DEFINER") or []
        found |= {_quoted(owner) for (owner,) in events}
    return found


def _quoted(account: str) -> str:
    user, _, host = account.rpartition("@")
    return f"{quote(user)}@{quote(host)}" if host else quote(user)  # a role has none


async def prove_definers(session: Session, place: str, definers: Collection[str]) -> None:
    """
    Make an object of each other account, and drop it again.

    Args:
        session: Any.
        place: A schema of ours; whoever drops that also drops what a crash leaves here.
        definers: Quoted as SHOW CREATE does.

    Raises:
        PermissionDeniedError: This user may not make objects of one of them; the hint says what it lacks.
    """
    probe = qualified(place, _PROBE)
    user, _, host = (await session.scalar("SELECT CURRENT_USER()")).rpartition("@")
    own = f"{quote(user)}@{quote(host)}"  # needs no right
    for definer in sorted(set(definers) - {own}):
        try:
            await session.define(f"CREATE DEFINER={definer} PROCEDURE {probe}() SELECT 1")
        except (PermissionDeniedError, StatementError) as exc:
            raise PermissionDeniedError(
                f"objects of {definer} cannot be made by this user: {exc}",
                hint=exc.hint or "Restore as an administrator.",
            ) from exc
        await session.define(f"DROP PROCEDURE {probe}")


async def list_guarded(session: Session, place: str, definers: Collection[str]) -> dict[str, str]:
    """
    Find accounts whose objects this user may not make.

    The server looks at rights before it looks for the schema, so it says what is missing and makes nothing.

    Args:
        session: Any.
        place: A schema of ours that does not exist yet.
        definers: Quoted as SHOW CREATE does.

    Returns:
        The right that is missing by definer; whether there are such accounts need not be seen.

    Source:
        https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html#priv_system-user
    """
    guarded: dict[str, str] = {}
    for definer in sorted(definers):
        try:
            await session.query(_question(place, definer))
        except PermissionDeniedError as exc:
            if found := _LACKING.match(exc.hint):
                guarded[definer] = found[1]
        except StatementError:  # there is no such schema: nothing but that stood in the way
            continue
    return guarded


async def list_absent(session: Session, place: str, definers: Collection[str]) -> set[str]:
    """
    Find accounts that a server has not.

    Args:
        session: Any.
        place: A schema of ours that does not exist yet, as for `list_guarded`.
        definers: Quoted as SHOW CREATE does.

    Returns:
        Those that it has not, as far as it says so: it does before it misses the schema.
    """
    absent: set[str] = set()
    for definer in sorted(definers):
        with suppress(PermissionDeniedError, StatementError):
            await session.query(_question(place, definer))
        if _NO_SUCH_ACCOUNT in {code for code, _ in await session.warnings()}:
            absent.add(definer)
    return absent


def _question(place: str, definer: str) -> str:
    return f"CREATE DEFINER={definer} PROCEDURE {qualified(place, _PROBE)}() SELECT 1"
