"""What keeps the log behind a base from being replayed upon it: where a replay would succeed and be wrong."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from app.binlog.archive.reading import ArchivedStream
from app.binlog.events.executed import SYSTEM
from app.binlog.events.headers import read_format
from app.domain.backups.base import databases_of
from app.domain.backups.manifest import Manifest, TableEntry
from app.domain.restores.log_archive import (
    Caveats,
    Connection,
    LackingRows,
    LoggedTransaction,
    TemporaryUse,
)
from app.domain.restores.points import Place, RecoverRequest
from app.engine.flavor import series_of
from app.engine.schema.databases import SCRATCH, is_scratch_of


_PRIMARY: Final = "PRIMARY"
# By them a statement on one database changes tables of another one; of that other one its functions alone.
_FUNCTIONS: Final = frozenset({"function", "package", "package body"})
_CODE: Final = _FUNCTIONS | {"trigger", "procedure", "view"}


class Hindrances:
    """
    What was found against a base, from transaction to transaction.

    Attributes:
        reason: The first one; empty = nothing.
    """

    def __init__(
        self, stream: ArchivedStream, base: Manifest, place: Place, request: RecoverRequest
    ) -> None:
        """Begin at the place of a base; raises BinlogDamagedError, StorageError."""
        self._stream = stream
        self._base = base
        self._number = place.number
        self._series = self._series_of(place.number)
        self._databases = {
            name.lower() for name in request.databases or databases_of(base)
        }  # none = all
        # Temporary tables since then.
        self._made: dict[Connection, set[str]] = {}
        self._databases_made: set[str] = set()
        # Prepared since then, and not ended: of a base that had some nobody gets here.
        self._prepared: set[str] = set()
        # Connections that began before are not known by their numbers from then on.
        self._has_restarted = False
        self._has_code = bool(self._databases) and _may_have_code(base, self._databases)
        names = {database.name.lower() for database in base.databases}
        self.reason = next(filter(None, map(self._like_system, sorted(names))), "")

    @property
    def leaves_out(self) -> bool:
        """Whether databases are left out besides the system schema."""
        return bool(self._databases)

    def accept(self, found: LoggedTransaction) -> None:
        """Look at the next transaction; raises BinlogDamagedError, StorageError."""
        if not self.reason:
            self.reason = self._in_file(found.number, found.file) or next(
                self._in_statements(found), ""
            )

    def enter(self, number: int, file: str) -> None:
        """Come to a file of whose transactions none needs a look; raises BinlogDamagedError, StorageError."""
        self.reason = self.reason or self._in_file(number, file)

    def _in_file(self, number: int, file: str) -> str:
        while self._number < number:
            self._number += 1
            described = read_format(self._stream.format_event(self._number))
            self._has_restarted |= described.created != 0
            if (series := series_of(described.server_version)) != self._series:
                then, now = (".".join(map(str, numbers)) for numbers in (self._series, series))
                return f"the server was of version {then}, and is of {now} from {file} on"
        return ""

    def _series_of(self, number: int) -> tuple[int, int]:
        return series_of(read_format(self._stream.format_event(number)).server_version)

    def _in_statements(self, found: LoggedTransaction) -> Iterator[str]:
        caveats, at = found.caveats, f"{found.file}:{found.start}"
        if self._lacks_rows(caveats):
            yield (
                f"the XA transaction that ends at {at} was prepared in no log, as when MariaDB is killed meanwhile,"
                " and its rows are nowhere else"
            )
        if not all(map(self._is_computed, caveats.lacking)):
            yield (
                f"rows at {at} were logged without all of their columns (binlog_row_image is not FULL), by which"
                " MariaDB loses what a REPLACE sets"
            )
        if caveats.differs:
            yield (
                f"the statement at {at} was logged in place of its rows, and computes others when it is executed again"
            )
        for database, table in sorted(caveats.numbers):
            if not self._has_order(database, table):
                yield (
                    f"the statement at {at} numbers the rows of {database}.{table} in the order in which the server"
                    " finds them, which no backup keeps of a table that has no primary key in it"
                )
        if caveats.names_directory:
            yield f"the statement at {at} makes a table in a directory of the server's machine"
        if not all(map(self._is_explained, caveats.temporary)):
            yield f"the statement at {at} uses a temporary table that may be older than the backup"
        yield from self._in_databases(caveats, at)

    def _in_databases(self, caveats: Caveats, at: str) -> Iterator[str]:
        """Look at which databases a transaction is about: some may be left out, or be a restore's."""
        self._databases_made.add(caveats.makes_database)
        if found := self._like_system(caveats.makes_database):
            yield found
        older = {name for name in caveats.spans if SCRATCH.search(name)} - self._databases_made
        if older:
            yield (
                f"the statement at {at} moves tables of {min(older)}, which a restore has made before the backup"
                " and no backup holds"
            )
        left_out = {name for name in caveats.spans if self._is_left_out(name)}
        if left_out and left_out != caveats.spans:
            yield (
                f"a replay passes over the statement at {at}: it alters a sequence, or names a table of"
                f" {min(left_out)}, which is left out, beside another"
            )
        self._has_code |= bool(self._databases) and caveats.makes_code
        if self._has_code and any(not name or self._is_left_out(name) for name in caveats.executes):
            yield (
                f"a replay passes over the statement at {at}, which was logged in place of its rows, and a trigger, a"
                " view or a routine may change by it what is recovered"
            )

    def _like_system(self, name: str) -> str:
        """Say what is against a database by its name in lower case; the system schema itself is in no backup."""
        is_taken = not self._databases or name in self._databases
        if _letters(name) != SYSTEM or not is_taken or not self._stream.is_mariadb:
            return ""
        return (
            f"there is a database that is called {SYSTEM} in other letters, and MariaDB passes over that in a replay"
            " as over the system schema"
        )

    def _lacks_rows(self, found: Caveats) -> bool:
        """Tell whether an XA transaction ends whose rows the log does not have."""
        if found.prepares_xa:
            self._prepared.add(found.prepares_xa)
        is_lost = bool(found.ends_xa) and found.ends_xa not in self._prepared
        self._prepared.discard(found.ends_xa)
        return is_lost

    def _is_computed(self, found: LackingRows) -> bool:
        """Tell whether rows lack what is computed anew alone: MariaDB 11 logs no generated columns."""
        table = self._table(found.database, found.table)
        columns = table.columns if table else ()
        computed = {number for number, column in enumerate(columns) if column.generated}
        return len(columns) == found.columns and {*found.lacking} <= computed

    def _has_order(self, database: str, table: str) -> bool:
        """Tell whether a table of the base is held in the order of its primary key: of a later one nobody knows."""
        names = (database, table)
        if self._base.server.lower_case_table_names == 1:
            names = (database.lower(), table.lower())
        found = self._table(*names)
        return found is not None and found.engine == "InnoDB" and found.index == _PRIMARY

    def _table(self, database: str, table: str) -> TableEntry | None:
        return next(
            (
                entry
                for database_entry in self._base.databases
                for entry in database_entry.tables
                if (database_entry.name, entry.name) == (database, table)
            ),
            None,
        )

    def _is_explained(self, use: TemporaryUse) -> bool:
        """Tell whether a statement uses temporary tables that a replay has made."""
        made = self._made.setdefault(use.connection, set())
        if use.made:
            made.add(use.made)
        return bool(use.made or made & use.words) or not self._may_be_older(use.connection)

    def _may_be_older(self, connection: Connection) -> bool:
        """Tell whether a connection may have been there before the base was made."""
        newest = self._base.position.end_connection
        # Others come from a source of that server, and are numbered by it.
        is_own = connection.server_id == self._stream.identity.server_id
        return not is_own or not (
            self._has_restarted or (newest is not None and connection.number > newest)
        )

    def _is_left_out(self, name: str) -> bool:
        if name == SYSTEM or not name or not self._databases or name in self._databases:
            return name == SYSTEM
        return not any(is_scratch_of(name, database) for database in self._databases)


def _letters(name: str) -> str:
    """Return the letters of a name without their marks, as MariaDB compares what it leaves out: y for ý."""
    apart = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def _may_have_code(base: Manifest, databases: set[str]) -> bool:
    """Tell whether a statement on a database that is left out may change tables of others."""
    return bool(databases_of(base)) or any(
        entry.kind in (_FUNCTIONS if database.name.lower() in databases else _CODE)
        for database in base.databases
        for entry in database.objects
    )
