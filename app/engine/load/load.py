"""
Load: tables and sequences from an archive into databases that are empty.

1. Definitions: sequences, then tables without foreign keys and without the indexes that load faster
   after the rows.
2. Table by table, largest first, on all connections: rows, then indexes beside the proof
   (`app.engine.load.work_queue`).
3. Foreign keys among these tables, when every table is there. One on another table would bind that
   from here, so it is left to whoever puts the tables in their place.
4. What the tables are known by is noted. One whose proof began in the second of its last write is
   proven again: then whoever finds that second unchanged knows that nobody wrote since.

Views, routines, triggers and events come later (`app.engine.load.objects`).
Only statements that the manifest lists are executed, by their kind.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.concurrency import share, together
from app.domain.backups.manifest import (
    NOT_ASKED_FOR,
    Manifest,
    MemberEntry,
    MemberKind,
    StatementKind,
    TableEntry,
)
from app.domain.ports import MemberSource
from app.domain.restores.journal import ForeignKey, TableMark
from app.domain.restores.load import DatabaseLoad
from app.domain.runs.progress import Phase, Progress
from app.engine.load.read_ahead import ReadAhead
from app.engine.load.rows import LoadRules, RowLoader, TableLoad
from app.engine.load.work_queue import WorkQueue
from app.engine.rows.history import read_ends
from app.engine.rows.stored import computing
from app.engine.schema import foreign_keys
from app.engine.schema.foreign_keys import Binding, build_foreign_key
from app.engine.schema.marks import read_marks
from app.engine.server.connection import Session
from app.engine.server.errors import about
from app.engine.sql import ddl, references
from app.engine.sql.contained import require_sequence
from app.engine.sql.quoting import quote
from app.engine.storage_engines import ASCENDING_ENGINES, ROWLESS_ENGINES, TIMED_ENGINES
from app.errors import ManifestError, StatementError


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the manifest lists for one database: names of its tables, and their members by name."""

    names: frozenset[str]
    schema: dict[str, list[MemberEntry]]
    data: dict[str, list[MemberEntry]]


@dataclass(slots=True)
class Settled:
    """
    The tables of one database when all were loaded.

    Attributes:
        marks: What each is known by.
        sure: Names of those that nobody has written to since their proof if the second of the last write
            is still the same.
        definitions: Fingerprints, once somebody has read them.
    """

    marks: dict[str, TableMark]
    sure: frozenset[str]
    definitions: dict[str, str] = field(default_factory=dict)


# What is changed can only be written to the binary log as rows.
_ROWS_ONLY: Final = 1665
# From this many rows on, building an index at once is faster than row by row.
_DEFER_FROM_ROWS: Final = 10_000


class Load:
    """
    One load; used once.

    Attributes:
        deferred: Foreign keys on tables that were not loaded, as they should be on the target.
        left_out: Databases and names of tables that the server would not make.
        unfinished: Tables that get the last of their definition only in their own database.
        settled: What was noted at the end, by the name of the schema.
        warnings: What is not as it was, and why.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        manifest: Manifest,
        source: MemberSource,
        progress: Progress,
        *,
        prove: bool = True,
    ) -> None:
        """
        Take what a load works with.

        Args:
            sessions: Connections in the loading state, with a group_concat_max_len for the proof.
            manifest: Of the backup.
            source: Its members.
            progress: Told as it goes.
            prove: Whether every chunk is read back and compared.
        """
        self._sessions = sessions
        self._manifest = manifest
        self._source = source
        self._progress = progress
        self._prove = prove
        self._tables: list[TableLoad] = []
        self._loader: RowLoader
        self._foreign_keys: list[tuple[TableLoad, dict[str, str]]] = []
        self._places: dict[tuple[str, str], str] = {}  # where each sequence waits
        self.deferred: list[ForeignKey] = []
        self.unfinished: set[str] = set()
        self.left_out: set[tuple[str, str]] = set()
        self.settled: dict[str, Settled] = {}
        self.warnings: list[str] = []

    async def run(self, loads: Sequence[DatabaseLoad]) -> None:
        """
        Load databases that exist and are empty.

        Raises:
            ProofFailedError: What was loaded is not what was backed up.
            StatementError: The server refused a statement, or took it with a warning.
            ChecksumMismatchError: The archive is damaged.
            ManifestError: A member holds a statement that has no place there.
            UnsupportedObjectError: The definition of a table or sequence does something else.
        """
        self._progress.enter(Phase.LOAD)
        for load in loads:
            await self._create_sequences(load)
        for load in loads:
            await self._create_tables(load)
        await self._add_foreign_keys(empty=True)
        await self._load_rows()
        self._progress.enter(Phase.INDEX)
        await self._add_foreign_keys(empty=False)
        for load in loads:
            self.settled[load.place] = await self._settle(load.place)

    # -- definitions ------------------------------------------------------------------------------

    async def _create_tables(self, load: DatabaseLoad) -> None:
        """Create the tables of one database."""
        listed = _listed(self._manifest, load)
        for session in self._sessions:
            await session.use(load.place)

        async def create(session: Session, entry: TableEntry) -> None:
            await self._create(session, load, entry, listed)

        tables = [entry for entry in load.entry.tables if not entry.sequence]
        await share(tables, self._sessions, create)

    async def _create_sequences(self, load: DatabaseLoad) -> None:
        """Create the sequences of one database; defaults name them, in any other one too."""
        sequences = [entry for entry in load.entry.tables if entry.sequence]
        listed = _listed(self._manifest, load)
        await self._sessions[0].use(load.place)
        for entry in sequences:
            await self._create(self._sessions[0], load, entry, listed)
            self._places[load.entry.name, entry.name] = load.place

    async def _create(
        self, session: Session, load: DatabaseLoad, entry: TableEntry, listed: _Listed
    ) -> None:
        """Create one table or sequence from its schema member."""
        own = await self._definition(load, entry, listed)
        if entry.sequence:
            with about(f"{load.target}.{entry.name}"):
                for text in own:
                    await _put_sequence(session, text)
            return
        self._warn_of_directories(load, entry, own[0])
        defer = not entry.history and entry.engine == "InnoDB" and entry.rows >= _DEFER_FROM_ROWS
        members = [] if entry.partial == NOT_ASKED_FOR else listed.data.get(entry.name, [])
        if entry.engine in ASCENDING_ENGINES:  # older files hold the counter, which rows set
            own[0] = ddl.without_counter(own[0])
            if entry.counter and not members:
                own[0] = ddl.with_counter(own[0], entry.counter)
        # Until their session computes them, stored columns may hold the same value twice.
        again = bool(entry.session)
        staged = ddl.staged(own[0], defer_indexes=defer or again, unique_too=again)
        async with computing(session, entry.session):  # some are taken in their mode only
            if not await self._make(session, load, entry, staged.create):
                return
        table = TableLoad(
            database=load.place,
            target=load.target,
            entry=entry,
            staged=staged,
            members=members,
        )
        table.ends = await read_ends(session, table.live, self._manifest.server.version)
        self._tables.append(table)
        self._sort_foreign_keys(table, own[0], listed.names)

    async def _make(
        self, session: Session, load: DatabaseLoad, entry: TableEntry, sql: str
    ) -> bool:
        """Make a table; one whose rows are elsewhere, and whose server does not answer, is left out."""
        label = f"{load.target}.{entry.name}"
        with about(label):
            try:
                await session.define(sql)
            except StatementError as exc:
                if entry.engine not in ROWLESS_ENGINES:
                    raise
                self.left_out.add((load.entry.name, entry.name))
                self.warnings.append(f"{label} was left out: {exc}")
                return False
        return True

    async def _definition(
        self, load: DatabaseLoad, entry: TableEntry, listed: _Listed
    ) -> list[str]:
        """Read what makes one table, or a sequence and its position."""
        members = listed.schema.get(entry.name, [])
        if len(members) != 1:
            raise ManifestError(f"{load.entry.name}.{entry.name} has {len(members)} definitions")
        texts = await self._source.read(members[0])
        wanted = StatementKind.SEQUENCE if entry.sequence else StatementKind.TABLE
        own = [
            ddl.unqualify(text.decode().removesuffix(";\n"), load.entry.name)
            for listed, text in zip(members[0].statements, texts, strict=True)
            if listed.kind is wanted
        ]
        if entry.sequence:
            require_sequence(own, entry.name)
        elif not own or not own[0].startswith(f"CREATE TABLE {quote(entry.name)} ("):
            raise ManifestError(f"{load.entry.name}.{entry.name} has no definition of its own")
        sql = load.definitions.get(entry.name, own[0])
        sql = references.with_sequences_in(sql, self._places)
        own[0] = references.with_sequences_of(sql, load.target, own=listed.names)
        if references.has_sequences(sql):
            self.unfinished.add(entry.name)
        return own

    def _sort_foreign_keys(self, table: TableLoad, sql: str, names: Collection[str]) -> None:
        """Tell the foreign keys among the loaded tables of a database from those on others."""
        own: dict[str, str] = {}
        for name, clause in references.foreign_keys(sql):
            database, parent = references.parent_of(clause)
            if not database and parent in names:
                own[name] = clause
                continue
            binding = Binding(
                database=table.target,
                table=table.entry.name,
                name=name,
                parent_database=database or table.target,
                parent=parent,
            )
            self.deferred.append(build_foreign_key(binding, clause))
            self.unfinished.add(table.entry.name)
        if own:
            self._foreign_keys.append((table, own))

    async def _add_foreign_keys(self, *, empty: bool) -> None:
        """Add those of tables with stored columns while they are empty, the others when all is loaded."""
        for table, clauses in self._foreign_keys:
            if table.staged.has_stored is empty:
                with about(table.live.label):
                    await foreign_keys.add(self._sessions[0], table.live.ref, clauses, empty=empty)

    def _warn_of_directories(self, load: DatabaseLoad, entry: TableEntry, sql: str) -> None:
        if ddl.without_directories(sql) != sql:
            self.warnings.append(
                f"{load.target}.{entry.name}: DATA DIRECTORY and INDEX DIRECTORY were left out"
            )

    async def _load_rows(self) -> None:
        """Load, index and prove all tables, largest first."""
        self._tables.sort(key=lambda table: -table.entry.raw_size)
        self._progress.expect(
            tables=len(self._tables),
            rows=sum(table.entry.rows for table in self._tables),
            size=sum(table.entry.raw_size for table in self._tables),
        )
        if any(table.entry.history for table in self._tables):
            for session in self._sessions:
                await session.query("SET SESSION system_versioning_insert_history = 1")
        rules = await LoadRules.read(self._sessions[0])
        async with ReadAhead(self._source) as source:
            loader = self._loader = RowLoader(
                source,
                self._progress,
                chunk_bytes=self._manifest.options.chunk_bytes,
                prove=self._prove,
                rules=rules,
            )
            steps = [loader.build_steps(table) for table in self._tables]
            queue = WorkQueue(steps, len(self._sessions))
            await together(*(queue.work(session) for session in self._sessions))

    # -- the end ----------------------------------------------------------------------------------

    async def _settle(self, place: str) -> Settled:
        """Note what the tables of a schema are known by, and prove again what was proven too early."""
        loader = self._loader
        marks = await read_marks(self._sessions[0], place)
        tables = {table.entry.name: table for table in self._tables if table.database == place}

        def written(table: TableLoad) -> int:
            mark = marks.get(table.entry.name)
            return mark.updated if mark else 0

        def is_sure(table: TableLoad) -> bool:
            timed = table.entry.engine in TIMED_ENGINES
            return timed and 0 < written(table) < table.proven_from

        async def prove_again(session: Session, table: TableLoad) -> None:
            await loader.prove_again(table, session)

        now = loader.clock.earliest()
        early = [
            table
            for table in tables.values()
            if not is_sure(table) and table.proven_from and 0 < written(table) < now
        ]
        await share(early, self._sessions, prove_again)
        steady = await loader.clock.is_steady(self._sessions[0])
        sure = frozenset(name for name, table in tables.items() if steady and is_sure(table))
        return Settled(marks, sure)


async def _put_sequence(session: Session, sql: str) -> None:
    """Make a sequence, or send it on; where the binary log holds statements, this one goes as rows."""
    try:
        await session.query(sql)
    except StatementError as exc:
        if exc.errno != _ROWS_ONLY:
            raise
        await session.query("SET SESSION binlog_format = 'MIXED'")
        await session.query(sql)


def _listed(manifest: Manifest, load: DatabaseLoad) -> _Listed:
    name = load.entry.name
    return _Listed(
        names=frozenset(table.name for table in load.entry.tables),
        schema=_by_table(manifest, name, MemberKind.SCHEMA),
        data=_by_table(manifest, name, MemberKind.DATA) if load.include_rows else {},
    )


def _by_table(manifest: Manifest, database: str, kind: MemberKind) -> dict[str, list[MemberEntry]]:
    found: dict[str, list[MemberEntry]] = {}
    for member in manifest.members:
        if member.kind is kind and member.database == database:
            found.setdefault(member.table, []).append(member)
    return found
