"""Connections that see the same point in time, and what they hold until all is read."""

from dataclasses import dataclass, field

from app.domain.backups.manifest import ConsistencyEntry, PositionEntry
from app.engine.flavor import Flavor
from app.engine.schema.table_ids import Identities
from app.engine.server.connection import Session


@dataclass(slots=True)
class Snapshot:
    """
    Connections that see the same point.

    Attributes:
        sessions: At least one; each in its own transaction, with a savepoint.
        consistency: How it was made.
        position: Where in the binary log the point lies.
        warnings: Rungs that did not hold, and tables that are not covered.
        identities: Which table stood behind each name.
        holders: Connections that hold locks until the end.
        table_lock: The one of them that keeps writers from tables without transactions.
    """

    sessions: list[Session]
    consistency: ConsistencyEntry
    position: PositionEntry
    warnings: list[str]
    identities: Identities
    holders: list[Session] = field(default_factory=list)
    table_lock: Session | None = None

    @property
    def flavor(self) -> Flavor:
        """Return what the server is."""
        return self.sessions[0].flavor

    async def release(self, session: Session) -> None:
        """
        Let go of the metadata locks of tables already read, so that DDL need not wait.

        Raises:
            SnapshotError: What was read was another table than at the snapshot's point.
        """
        await self.identities.check(session)
        await session.query("ROLLBACK TO SAVEPOINT backstay")

    async def release_table_locks(self) -> None:
        """Let writers of tables without transactions go on."""
        if self.table_lock is not None:
            holder, self.table_lock = self.table_lock, None
            await holder.query("UNLOCK TABLES")
            self.holders.remove(holder)
            await holder.close()

    async def require_locks(self) -> None:
        """
        Prove that no lock was lost meanwhile: nobody else uses these connections, or would miss one.

        Raises:
            ConnectionLostError: A connection is gone; what was read since may be of another table.
        """
        for holder in self.holders:
            await holder.query("SELECT 1")

    async def close(self) -> None:
        """Close every connection, and with it every lock."""
        for session in (*self.sessions, *self.holders):
            await session.close()
