"""
Accounts that own triggers, routines and views: a scratch server has none of the source's.

A statement that is executed again acts by the rights of those who own what it uses, and a view over another one is
made by those of its owner; without the account neither is taken (error 1449).
"""

from collections.abc import Collection
from contextlib import suppress

from app.domain.backups.manifest import Manifest
from app.engine.schema.definers import definers_of
from app.engine.server.connection import Session
from app.errors import StatementError


async def make_definers(session: Session, base: Manifest, logged: Collection[str]) -> None:
    """
    Make the accounts that own something, with every right: on the source each had what it needed.

    Args:
        session: Of the scratch server, which nobody else can reach; no backup takes its accounts.
        base: What was restored there.
        logged: Those of what is defined since, quoted as SHOW CREATE does.
    """
    owners = definers_of(entry for database in base.databases for entry in database.objects)
    for account in sorted(owners | {*logged}):
        kind, locked = ("USER", " ACCOUNT LOCK") if "`@`" in account else ("ROLE", "")
        # One that cannot be made was named in a text alone; what needs it all the same is not taken, and named.
        with suppress(StatementError):
            await session.query(f"CREATE {kind} IF NOT EXISTS {account}{locked}")
            await session.query(f"GRANT ALL PRIVILEGES ON *.* TO {account}")
