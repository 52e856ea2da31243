"""
A RENAME that is held when it has every table, for the moment in which a snapshot is opened.

What was proven lies in schemas where others may have rights, and neither server lets one connection
keep writers out and rename (MariaDB refuses RENAME under LOCK TABLES; a lock that is given up for it
is first given to whoever waited longer). But RENAME takes its locks in the order of the names, so:

1. A view whose name comes after all tables that wait is part of the RENAME, and another connection has
   read it in a transaction. There the RENAME waits, and has locked every table before it.
2. A third connection asks for the definition of the last of those tables. It is kept waiting by a lock
   that was given, not by one that is waited for: then nobody can write to any of them.
3. A snapshot is opened, and the view let go. Whatever the application writes after the RENAME, the
   snapshot shows what came.

Not guaranteed: engines without snapshots, and changes of a transaction that was prepared (XA) by a
connection that is gone, for which MariaDB holds no locks on names.

Sources: https://dev.mysql.com/doc/refman/8.4/en/metadata-locking.html ("in name order"; a lock for a
definition is given even when an exclusive one is waited for); the same in MariaDB's sql/mdl.cc.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from app.concurrency import shielded
from app.domain.restores.journal import SchemaSwap
from app.engine.schema.databases import exists
from app.engine.server.connection import Session
from app.engine.server.server import Server
from app.engine.sql.quoting import qualified
from app.engine.swap.rename import Move, rename
from app.errors import AppError, StagingChangedError


# It must come last by its bytes; there are no characters after this one in names.
_LAST: Final = "\uffff" * 8
_GATE: Final = f"{_LAST} gate of a restore"
_OPENED: Final = f"{_LAST} gate of a restore, open"
_WAITS: Final = "Waiting for table metadata lock"
_POLL_SECONDS: Final = 0.003
_MOST_POLL_SECONDS: Final = 0.05
# Its snapshot must not follow what others commit.
_SNAPSHOT: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)


async def begin_snapshot(session: Session) -> None:
    """Let a connection see this moment from now on."""
    for statement in _SNAPSHOT:
        await session.query(statement)


async def drop_gates(session: Session, swaps: Sequence[SchemaSwap]) -> None:
    """Drop what a RENAME that was interrupted has left of its gate."""
    for schema in {swap.source for swap in swaps if swap.incoming}:
        if await exists(session, schema):
            names = ", ".join(qualified(schema, name) for name in (_GATE, _OPENED))
            await session.query(f"DROP VIEW IF EXISTS {names}")


@dataclass(slots=True)
class Gate:
    """
    The way of one RENAME through its gate.

    Attributes:
        server: Gives the connections that hold the gate and look.
        session: Renames.
        snapshot: Sees what came, afterwards.
    """

    server: Server
    session: Session
    snapshot: Session

    async def rename(self, moves: Sequence[Move], last: Move, *, at_once: int) -> None:
        """
        Move tables; those of the last statement are all locked when the snapshot is opened.

        Args:
            moves: As for `rename`.
            last: The one of them whose name comes last where tables wait.
            at_once: As for `rename`.

        Raises:
            StagingChangedError: The RENAME was not held; it may have happened.
            AppError: As for `rename`.
        """
        gate = qualified(last.database, _GATE)
        await self.session.query(f"CREATE OR REPLACE VIEW {gate} AS SELECT 1 AS held")
        try:
            async with self.server.session() as holder, self.server.session() as looker:
                await holder.query("START TRANSACTION")
                await holder.query(f"SELECT * FROM {gate} LIMIT 0")
                watch = _Watch(await _number(self.session), await _number(looker), holder, looker)
                through = f"{gate} TO {qualified(last.database, _OPENED)}"
                renames = rename(self.session, moves, at_once=at_once, besides=through)
                running = asyncio.create_task(renames)
                try:
                    await watch.until_held(running, last)
                    await begin_snapshot(self.snapshot)
                    await holder.query("COMMIT")
                    await running
                finally:
                    running.cancel()
                    await shielded(watch.close(running))
        finally:
            with suppress(AppError):  # whoever repairs a failed one drops it
                await self._drop(last.database)

    async def _drop(self, schema: str) -> None:
        names = ", ".join(qualified(schema, name) for name in (_GATE, _OPENED))
        await self.session.query(f"DROP VIEW IF EXISTS {names}")


async def _number(session: Session) -> str:
    """Ask a connection for its number on the server; behind a proxy its greeting gave another one."""
    return await session.scalar("SELECT CONNECTION_ID()")


@dataclass(slots=True)
class _Watch:
    """
    Looks until a RENAME is held at its gate.

    Attributes:
        renames: Number of the connection that renames.
        looks: Number of the one that asks for the definition of the last table.
        holder: Sees who waits.
        looker: Asks.
    """

    renames: str
    looks: str
    holder: Session
    looker: Session
    _asked: "asyncio.Task[None] | None" = None

    async def until_held(self, running: "asyncio.Task[None]", last: Move) -> None:
        pause = _POLL_SECONDS
        while not running.done():
            rows = await self.holder.texts("SHOW PROCESSLIST")
            waiting = {row[0] for row in rows if row[6] == _WAITS}
            if self.renames in waiting:
                if self._asked is None or self._asked.done():
                    self._asked = asyncio.create_task(self._ask(last))
                elif self.looks in waiting:
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 1.2, _MOST_POLL_SECONDS)
        await running
        raise StagingChangedError(
            "the RENAME was let through before it was known what it brings",
            hint="Somebody else has opened its gate. Restore again.",
        )

    async def _ask(self, last: Move) -> None:
        with suppress(AppError):  # it comes too late when the table has moved
            await self.looker.query(f"SHOW CREATE TABLE {qualified(last.database, last.name)}")

    async def close(self, running: "asyncio.Task[None]") -> None:
        tasks = [running] if self._asked is None else [running, self._asked]
        await asyncio.gather(*tasks, return_exceptions=True)
