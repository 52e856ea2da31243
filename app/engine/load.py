"""
Load: from an archive into databases that are empty.

1. Definitions: sequences, then tables without foreign keys and without the indexes that load faster
   after the rows.
2. Table by table, largest first, on all connections: rows, indexes, proof (`app.engine.board`).
3. Foreign keys, when every table is there.
4. Views, routines, triggers, events; events are enabled last of all.

Only statements that the manifest lists are executed, by their kind.
"""

from collections.abc import Sequence
from typing import Final

from app.domain.manifest import (
    Manifest,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
    TableEntry,
)
from app.domain.ports import MemberSource
from app.domain.progress import Phase, Progress
from app.engine import ddl
from app.engine.board import Board
from app.engine.connection import Session
from app.engine.flavor import Flavor
from app.engine.load_rows import LoadJob, RowLoader, allows_bulk, alter
from app.engine.objectsql import uncommented
from app.engine.preflight import DatabaseLoad
from app.engine.quoting import quote
from app.engine.tasks import together
from app.errors import ManifestError, StatementError


# From this many rows on, building an index at once is faster than row by row.
_DEFER_FROM_ROWS: Final = 10_000
# What a member of objects may do besides creating its own kind.
_OBJECT_KINDS: Final = frozenset(
    {
        StatementKind.SESSION,
        StatementKind.PLACEHOLDER,
        StatementKind.VIEW,
        StatementKind.TRIGGER,
        StatementKind.ROUTINE,
        StatementKind.EVENT,
        StatementKind.ENABLE_EVENT,
    },
)


class Load:
    """One load; used once."""

    def __init__(
        self,
        sessions: Sequence[Session],
        flavor: Flavor,
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
            flavor: The target's.
            manifest: Of the backup.
            source: Its members.
            progress: Told as it goes.
            prove: Whether every chunk is read back and compared.
        """
        self._sessions = sessions
        self._flavor = flavor
        self._manifest = manifest
        self._source = source
        self._progress = progress
        self._prove = prove
        self._jobs: list[LoadJob] = []
        self.warnings: list[str] = []

    async def run(self, loads: Sequence[DatabaseLoad]) -> None:
        """
        Load databases that exist and are empty.

        Raises:
            ProofFailedError: What was loaded is not what was backed up.
            StatementError: The server refused a statement, or took it with a warning.
            ChecksumMismatchError: The archive is damaged.
            ManifestError: A member holds a statement that has no place there.
        """
        self._progress.enter(Phase.LOAD)
        for load in loads:
            await self._create_tables(load)
        await self._load_rows()
        self._progress.enter(Phase.INDEX)
        for job in self._jobs:
            await alter(self._sessions[0], job, job.staged.foreign_keys)
        self._progress.enter(Phase.OBJECTS)
        for load in loads:
            await self._create_objects(load)

    # -- definitions ------------------------------------------------------------------------------

    async def _create_tables(self, load: DatabaseLoad) -> None:
        """Create the tables of one database, sequences first because defaults name them."""
        schema = _by_table(self._manifest, load.entry.name, MemberKind.SCHEMA)
        data = _by_table(self._manifest, load.entry.name, MemberKind.DATA)
        for session in self._sessions:
            await session.query(f"USE {quote(load.target)}")
        tables = sorted(load.entry.tables, key=lambda table: not table.sequence)
        pending = iter(tables)
        sequences = sum(table.sequence for table in tables)
        for _ in range(sequences):
            await self._create(self._sessions[0], load, next(pending), schema, data)

        async def work(session: Session) -> None:
            for entry in pending:
                await self._create(session, load, entry, schema, data)

        await together(*(work(session) for session in self._sessions))

    async def _create(
        self,
        session: Session,
        load: DatabaseLoad,
        entry: TableEntry,
        schema: dict[str, list[MemberEntry]],
        data: dict[str, list[MemberEntry]],
    ) -> None:
        """Create one table or sequence from its schema member."""
        members = schema.get(entry.name, [])
        if len(members) != 1:
            raise ManifestError(f"{load.entry.name}.{entry.name} has {len(members)} definitions")
        texts = await self._source.read(members[0])
        wanted = StatementKind.SEQUENCE if entry.sequence else StatementKind.TABLE
        own = [
            text.decode().removesuffix(";\n")
            for listed, text in zip(members[0].statements, texts, strict=True)
            if listed.kind is wanted
        ]
        prefix = f"CREATE {wanted.value.upper()} {quote(entry.name)} "
        if not own or not own[0].startswith(prefix):
            raise ManifestError(f"{load.entry.name}.{entry.name} has no definition of its own")
        if load.target != load.entry.name:
            own = [ddl.unqualify(text, load.entry.name) for text in own]
        if entry.sequence:
            insert = f"INSERT INTO {quote(entry.name)} VALUES ("
            if not all(text.startswith(insert) for text in own[1:]):
                raise ManifestError(f"{load.entry.name}.{entry.name} is no plain sequence")
            for text in own:
                await session.query(text)
            return
        self._warn_of_directories(load, entry, own[0])
        defer = not entry.history and entry.engine == "InnoDB" and entry.rows >= _DEFER_FROM_ROWS
        staged = ddl.staged(own[0], defer_indexes=defer)
        await session.query(staged.create)
        self._jobs.append(
            LoadJob(load.target, load.entry.name, entry, staged, data.get(entry.name, [])),
        )

    def _warn_of_directories(self, load: DatabaseLoad, entry: TableEntry, sql: str) -> None:
        if ddl.without_directories(sql) != sql:
            self.warnings.append(
                f"{load.target}.{entry.name}: DATA DIRECTORY and INDEX DIRECTORY were left out"
            )

    async def _load_rows(self) -> None:
        """Load, index and prove all tables, largest first."""
        self._jobs.sort(key=lambda job: -job.entry.raw_size)
        self._progress.expect(
            tables=len(self._jobs),
            rows=sum(job.entry.rows for job in self._jobs),
            size=sum(job.entry.raw_size for job in self._jobs),
        )
        loader = RowLoader(
            self._flavor,
            self._source,
            self._progress,
            chunk_bytes=self._manifest.options.chunk_bytes,
            prove=self._prove,
            bulk=await allows_bulk(self._sessions[0]),
        )
        if any(job.entry.history for job in self._jobs):
            for session in self._sessions:
                await session.query("SET SESSION system_versioning_insert_history = 1")
        board = Board([loader.track(job) for job in self._jobs])
        await together(*(board.work(session) for session in self._sessions))

    # -- objects ----------------------------------------------------------------------------------

    async def _create_objects(self, load: DatabaseLoad) -> None:
        """Create what is wanted of the objects member, in its order."""
        wanted = {one.name for one in load.entry.objects}
        session = self._sessions[0]
        await session.query(f"USE {quote(load.target)}")
        for member in self._manifest.members:
            if member.kind is not MemberKind.OBJECTS or member.database != load.entry.name:
                continue
            texts = await self._source.read(member)
            for entry, text in zip(member.statements, texts, strict=True):
                if not entry.name or entry.name in wanted:
                    await self._create_object(session, load, entry, text)

    async def _create_object(
        self, session: Session, load: DatabaseLoad, entry: StatementEntry, text: bytes
    ) -> None:
        if entry.kind is StatementKind.INVALID_VIEW:
            await self._try_invalid_view(session, load, entry, text)
        elif entry.kind in _OBJECT_KINDS:
            if load.target != load.entry.name and entry.kind is StatementKind.VIEW:
                text = ddl.unqualify(text.decode(), load.entry.name).encode()
            await session.query(text, patient=True)

    async def _try_invalid_view(
        self, session: Session, load: DatabaseLoad, entry: StatementEntry, text: bytes
    ) -> None:
        """Create a view that the source could not use either; if it cannot be, say so."""
        try:
            await session.query(uncommented(text))
        except StatementError as exc:
            self.warnings.append(
                f"view {load.target}.{entry.name} could not be created: it was unusable when it was"
                f" backed up ({exc})"
            )


def _by_table(manifest: Manifest, database: str, kind: MemberKind) -> dict[str, list[MemberEntry]]:
    found: dict[str, list[MemberEntry]] = {}
    for member in manifest.members:
        if member.kind is kind and member.database == database:
            found.setdefault(member.table, []).append(member)
    return found
