"""What a replay takes from a base on: transactions one by one, or parts of the log that need no look."""

from app.binlog.archive.parts import Part
from app.binlog.archive.reading import ArchivedStream
from app.binlog.events.gtids import parsed_state
from app.domain.backups.manifest import Manifest
from app.domain.restores.log_archive import LoggedTransaction
from app.domain.restores.points import Place, RecoverRequest
from app.engine.flavor import flavor_of
from app.services.binlog.hindrances import Hindrances


class Followed:
    """
    What follows a base.

    Attributes:
        count: How many transactions.
        newest: The last one; None before the first, and behind a part that was passed over.
        definers: Accounts to which belongs what they define.
    """

    def __init__(
        self, stream: ArchivedStream, base: Manifest, place: Place, request: RecoverRequest
    ) -> None:
        """Begin at the place of a base; raises BinlogDamagedError, StorageError."""
        self.count = 0
        self.newest: LoggedTransaction | None = None
        self.definers: set[str] = set()
        self._hindrances = Hindrances(stream, base, place, request)
        self._state = parsed_state(base.position.gtid, is_mariadb=stream.is_mariadb)
        self._applied = parsed_state("", is_mariadb=stream.is_mariadb)
        self._unnamed = flavor_of(base.server.version).replication.unnamed
        self._unnamed_count = 0
        self._passed: Part | None = None

    @property
    def hindrance(self) -> str:
        """Why a replay of it would be wrong; empty = nothing is against it."""
        return self._hindrances.reason

    @property
    def takes_statements(self) -> bool:
        """Whether statements in place of rows are taken without a look: nothing is left out that they might change."""
        return not self._hindrances.leaves_out

    @property
    def gtids(self) -> str:
        """What the log has behind it, as the vendor tells it."""
        return self._state.position

    @property
    def applied(self) -> str:
        """What an applier has applied then, which numbers transactions without a GTID."""
        return self._applied.position

    @property
    def last(self) -> LoggedTransaction | None:
        """The last transaction; None where there is none. Raises BinlogDamagedError, StorageError."""
        if self.newest is None and self._passed is not None:
            *_, self.newest = self._passed.transactions(counts=False)
        return self.newest

    def accept(self, found: LoggedTransaction) -> None:
        """Take the next transaction; raises BinlogDamagedError, StorageError."""
        self._hindrances.accept(found)
        self._unnamed_count += not found.gtid
        self.newest, self.count = found, self.count + 1
        self.definers |= found.caveats.definers
        self._state.add(found.gtid)
        self._applied.add(found.gtid or f"{self._unnamed}:{self._unnamed_count}")

    def pass_over(self, part: Part) -> None:
        """Take the next part as a whole, which is plain; raises BinlogDamagedError, StorageError."""
        assert part.sealed is not None  # noqa: S101 - a tail is never plain
        assert part.before.gtids is not None  # noqa: S101 - the same
        assert part.after.gtids is not None  # noqa: S101 - the same
        self._hindrances.enter(part.number, part.file)
        if not part.sealed.segment.transactions:
            return
        self._applied.add_between(part.before.gtids, part.after.gtids)
        self._state = part.after.gtids.copy()
        self.count += part.sealed.segment.transactions
        self.newest, self._passed = None, part
