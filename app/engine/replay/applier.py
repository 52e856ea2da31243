"""The applier of a scratch server: started behind a base, watched to its end, asked what it has applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.engine.replication import Replication
from app.engine.server.connection import Session
from app.engine.sql.quoting import quote_text


# Both vendors say so in the middle of a sentence, while the applier waits for what nobody will send.
_ALL_READ: Final = "has read all relay log"


class RelayPlace(NamedTuple):
    """
    A place in the relay logs; their names sort by their numbers.

    Attributes:
        file: Name of the relay log.
        position: Offset in it.
    """

    file: str
    position: int


@dataclass(frozen=True, slots=True)
class ReplayStart:
    """
    Behind which event an applier begins.

    Attributes:
        file: Name that the source gave to the file.
        position: Where the first event stands in that file.
        relay_position: Where it stands in the first relay log.
        relay_end: Behind the last byte of the last one.
    """

    file: str
    position: int
    relay_position: int
    relay_end: RelayPlace


@dataclass(frozen=True, slots=True)
class ApplierStatus:
    """
    How far an applier is.

    Attributes:
        is_running: False when it has stopped, by an error or not.
        has_read_all: Whether it waits for what will not come.
        file: Of the source; empty while it is not known.
        position: Behind the last transaction that was applied.
        relay: Up to where everything in the relay logs was applied; of MySQL some time ago.
        taken: How many transactions it may have begun since its server started, one that it began again after an
            error each time; None where GTIDs tell every one.
        errno: Of the error that stopped it; 0 = none. Its text may hold values of rows, and is not told.
    """

    is_running: bool
    has_read_all: bool
    file: str
    position: int
    relay: RelayPlace
    taken: range | None
    errno: int

    def is_over(self, end: RelayPlace) -> bool:
        """
        Tell whether nothing happens any more: at the end of a truncated log either may be the case.

        Args:
            end: Of the relay logs.

        Returns:
            True not before everything was applied: MySQL says that it has read all while its workers still
            apply it, and only the place tells what is behind.
        """
        return not self.is_running or (self.has_read_all and self.relay >= end)


async def begin(session: Session, start: ReplayStart) -> None:
    """Start the applier; relay logs and their index are in the data directory."""
    words = session.flavor.replication
    await session.query(
        words.place.format(
            file=quote_text(start.file),
            position=start.position,
            relay_position=start.relay_position,
        )
    )
    await session.query(words.start)


async def read_status(session: Session) -> ApplierStatus:
    """Ask how far the applier is."""
    words = session.flavor.replication
    reply = await session.query(words.status)
    values = (value or b"" for value in reply.rows[0])
    row = dict(
        zip(reply.columns, (value.decode("utf-8", "replace") for value in values), strict=True)
    )
    return ApplierStatus(
        is_running=row[words.is_running] == "Yes",
        has_read_all=_ALL_READ in row[words.state],
        file=row[words.source_file],
        position=int(row[words.source_position]),
        relay=RelayPlace(row["Relay_Log_File"], int(row["Relay_Log_Pos"])),
        taken=_taken(row, words) if words.taken else None,
        errno=int(row["Last_SQL_Errno"]),
    )


def _taken(row: Mapping[str, str], words: Replication) -> range:
    begun = sum(int(row[name]) for name in words.taken)
    return range(begun - int(row[words.retried]), begun + 1)


async def read_applied(session: Session) -> str:
    """Return the GTIDs that were applied, as the vendor prints them."""
    words = session.flavor.replication
    return (await session.scalar(f"SELECT {words.applied}")).replace("\n", "")


async def end(session: Session) -> None:
    """Stop the applier, so that it holds no lock that a backup waits for."""
    await session.query(session.flavor.replication.end)
