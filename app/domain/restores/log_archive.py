"""The archive of the binary log, as people see it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple


class ArchiverState(StrEnum):
    """What an archiver does."""

    OFF = "off"
    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"
    LIVE = "live"
    STALLED = "stalled"
    BROKEN = "broken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LogFinding:
    """
    Something that makes an archive less than it could be.

    Attributes:
        severity: `refused` where nothing is archived because of it.
        message: What is so.
        hint: What to do.
    """

    severity: Literal["refused", "warning"]
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class LogPlace:
    """
    A place in the binary log of a server.

    Attributes:
        file: As the server calls it.
        position: Bytes before it.
    """

    file: str
    position: int


@dataclass(frozen=True, slots=True)
class LogBreak:
    """
    A change of the data that the log does not have: points behind it need a backup that was made later.

    Attributes:
        at: When, ISO 8601 in UTC.
        number: Number of the file in which the log stood then.
        position: Where in it.
        reason: For people.
    """

    at: str
    number: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class LogStreamFacts:
    """
    A stream: the log of one server without a gap.

    Attributes:
        id: Twelve hexadecimal digits.
        began_at: ISO 8601; empty when it is damaged.
        vendor: Of the server.
        version: Of the server.
        address: Where it was reached.
        first: Where it begins; None while it is empty.
        last: Behind its last whole transaction.
        committed_at: When that was committed; None when there is none.
        files: How many files of the server.
        size: Bytes of the log.
        breaks: Changes that it does not have.
        ended_at: ISO 8601; empty while it goes on.
        ended_because: For people.
        unsigned_from: Behind it nothing is signed, though the archive is encrypted; None where all is.
        damage: What is wrong with it; empty when nothing was seen.
        is_locked: Whether that is only that nobody here has its key, or knows who has written it.
    """

    id: str
    began_at: str = ""
    vendor: str = ""
    version: str = ""
    address: str = ""
    first: LogPlace | None = None
    last: LogPlace | None = None
    committed_at: datetime | None = None
    files: int = 0
    size: int = 0
    breaks: tuple[LogBreak, ...] = ()
    ended_at: str = ""
    ended_because: str = ""
    unsigned_from: LogPlace | None = None
    damage: str = ""
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class LogCopy:
    """
    The copy of an archive in a store.

    Attributes:
        store: Its name.
        current_as_of: Everything that was archived then is there; None while nobody knows.
        code: Of the error because of which it is not copied; empty when it is.
        message: What happened.
        hint: What to do.
    """

    store: str
    current_as_of: datetime | None = None
    code: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class BinlogOverview:
    """
    What the archiver does, of whichever process, and what the archive has.

    Attributes:
        state: In a word.
        stream: Id of the stream that grows; empty when none does.
        archived_end: Behind the last transaction that is on the medium; None while nobody knows.
        current_as_of: Everything that was committed before is archived; None while nobody knows.
        lag_seconds: How long ago that is.
        code: Of the error that keeps it from going on; empty when none does.
        message: What happened.
        hint: What to do.
        broken_at: When a stream ended last, ISO 8601; empty when none did while this archiver ran.
        broken_because: Why.
        findings: What makes the archive less than it could be.
        streams: The oldest first.
        copies: Of each store that gets copies.
    """

    state: ArchiverState
    stream: str
    archived_end: LogPlace | None
    current_as_of: datetime | None
    lag_seconds: float | None
    code: str
    message: str
    hint: str
    broken_at: str
    broken_because: str
    findings: tuple[LogFinding, ...]
    streams: tuple[LogStreamFacts, ...]
    copies: tuple[LogCopy, ...] = ()


class LoggedRows(NamedTuple):
    """
    What a transaction did to one table; None for what cannot be counted.

    No rows at all: the table was only opened, such as for a cascade that the server does not log.
    """

    database: str
    table: str
    inserted: int | None
    updated: int | None
    deleted: int | None


class Connection(NamedTuple):
    """
    A connection to a server.

    Attributes:
        server_id: Of the server.
        number: Of the connection there; they rise until the server starts again.
    """

    server_id: int
    number: int


class TemporaryUse(NamedTuple):
    """
    A statement that uses temporary tables and is executed again.

    Attributes:
        connection: Whose they are.
        made: Name of the one that it makes, in lower case and without its database; empty = none.
        words: Names in it, likewise.
    """

    connection: Connection
    made: str
    words: frozenset[str]


class LackingRows(NamedTuple):
    """
    Rows of a table that were logged without all of their columns.

    Attributes:
        columns: How many the table has.
        lacking: Numbers of those that the log has not of what rows have become, from 0 on.
    """

    database: str
    table: str
    columns: int
    lacking: tuple[int, ...]


class Table(NamedTuple):
    """A table by its name, in the case of the log."""

    database: str
    table: str


class Caveats(NamedTuple):
    """
    What a replay of a transaction may do otherwise.

    Attributes:
        temporary: Its statements that use temporary tables and are executed again.
        spans: Databases of which none may be left out, in lower case.
        executes: Databases of tables that statements change which are executed again, in lower case; an empty name
            for what is not known.
        makes_database: Name of the database that it makes, in lower case; empty = none.
        differs: Whether statements are executed again that compute something else each time, such as UUID(); also
            for a column that is added.
        makes_code: Whether it defines a routine, a trigger or a view.
        names_directory: Whether it makes a table in a directory of the server's machine.
        definers: Accounts to which belongs what it defines, quoted as SHOW CREATE does.
        lacking: Rows that have become something that the log does not tell as a whole.
        numbers: Tables whose rows it numbers in the order in which the server finds them.
        prepares_xa: Id of the XA transaction whose rows it has, up to its PREPARE; empty = it has none's.
        ends_xa: Id of the one that it commits or rolls back; empty = none.
    """

    temporary: tuple[TemporaryUse, ...] = ()
    spans: frozenset[str] = frozenset()
    executes: frozenset[str] = frozenset()
    makes_database: str = ""
    differs: bool = False
    makes_code: bool = False
    names_directory: bool = False
    definers: frozenset[str] = frozenset()
    lacking: frozenset[LackingRows] = frozenset()
    numbers: frozenset[Table] = frozenset()
    prepares_xa: str = ""
    ends_xa: str = ""


NO_CAVEATS: Final = Caveats()
# In floats a microsecond of today is lost.
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class LoggedTransaction:
    """
    A transaction of the archive.

    Attributes:
        stream: Id of its stream.
        file: The server's name of its file.
        number: Number of the file.
        start: Position of its first byte: the place just before it.
        end: Position behind its last byte.
        gtid: Empty where it has none.
        committed_ms: When it was committed, milliseconds since 1970, never falling from one to the next.
        committed_us: The same in microseconds, of which MySQL tells all and MariaDB whole seconds.
        earliest_ms: When it was, at the earliest: before that where its own time is later than its bytes.
        latest_ms: When it was, at the latest: later where its own time cannot be that of its commit.
        redefines: Whether it changed the definition of something that was there.
        caveats: What a replay of it may do otherwise.
        tables: What it did to each table; empty for definitions.
        database: That of its first statement; empty when the log does not say it.
        statement: The first one without values; empty when the log does not have it.
    """

    stream: str
    file: str
    number: int
    start: int
    end: int
    gtid: str
    committed_ms: int
    committed_us: int
    earliest_ms: int
    latest_ms: int
    redefines: bool
    caveats: Caveats
    tables: tuple[LoggedRows, ...]
    database: str
    statement: str

    @property
    def committed_at(self) -> datetime:
        """When it was committed, aware and in UTC."""
        return _EPOCH + timedelta(microseconds=self.committed_us)


@dataclass(frozen=True, slots=True)
class TransactionQuery:
    """
    What is looked for; what is left open matches everything.

    Attributes:
        since: Committed then or later.
        until: Committed then or before.
        database: One that it changed, or that it was executed in.
        table: One that it changed, or that stands in its statement.
        match: Text in its statement, whatever its case.
        limit: At most so many are found.
    """

    since: datetime | None = None
    until: datetime | None = None
    database: str = ""
    table: str = ""
    match: str = ""
    limit: int = 100

    def takes(self, found: LoggedTransaction) -> bool:
        """Tell whether a transaction is one of them."""
        databases = {found.database, *(rows.database for rows in found.tables)}
        if self.database and self.database not in databases:
            return False
        is_changed = self.table in {rows.table for rows in found.tables}
        if self.table and not is_changed and self.table not in found.statement:
            return False
        return self.match.casefold() in found.statement.casefold()


@dataclass(frozen=True, slots=True)
class FoundTransactions:
    """
    What was found.

    Attributes:
        transactions: In the order of the log.
        is_cut: Whether there are more.
    """

    transactions: tuple[LoggedTransaction, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class NearTransactions:
    """
    What was found around a moment.

    Attributes:
        before: Committed at it or before, the nearest last.
        after: Committed later, the nearest first.
        is_whole: Whether there was time to look everywhere.
    """

    before: tuple[LoggedTransaction, ...]
    after: tuple[LoggedTransaction, ...]
    is_whole: bool
