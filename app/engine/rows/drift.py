"""How far live tables have moved away from a backup: the backup's chunks, read from the live data."""

from dataclasses import dataclass

from app.domain.backups.manifest import MemberEntry
from app.engine.rows.proof import prove_member, prove_stream
from app.engine.rows.queries import TableSql
from app.engine.server.connection import Session
from app.errors import ProofFailedError, SnapshotError


@dataclass(frozen=True, slots=True)
class Drift:
    """
    What differs in one table.

    Attributes:
        chunks: Chunks of the backup.
        changed: How many of them read otherwise now; all of a table that was read as one stream.
    """

    chunks: int
    changed: int


async def measure_drift(
    session: Session, sql: TableSql, members: list[MemberEntry], chunk_bytes: int
) -> Drift:
    """
    Compare a live table with its rows in a backup.

    Args:
        session: With a group_concat_max_len for the backup's chunks; closed when a table without a
            usable key differs, because its stream is then left in the middle.
        sql: Queries of the live table.
        members: Of the backup.
        chunk_bytes: Of the backup.

    Returns:
        How much differs.

    Raises:
        DatabaseError: The server fails us.
    """
    if not sql.table.entry.index:
        try:
            await prove_stream(session, sql, members, chunk_bytes)
        except ProofFailedError:
            return Drift(len(members), len(members))
        return Drift(len(members), 0)
    changed = 0
    for member in members:
        try:
            await prove_member(session, sql, member)
        except (ProofFailedError, SnapshotError):  # rows may also change while they are read
            changed += 1
    return Drift(len(members), changed)
