"""
Dump: from a snapshot into a sink, on as many connections as the snapshot has.

1. Definitions of what has no rows to read: one schema member each, sequences first.
2. Tables without transactions first, while they are locked, then the largest first: a schema member,
   and the rows. All connections work on the same table; one without a usable key belongs to one.
3. Proof, table by table: rows in the file = COUNT(*) in the same snapshot, and the definition is that
   of the table that was read (`app.engine.dump.definitions`).
4. Objects: one member a database.

Memory: each connection holds at most `_IN_FLIGHT` + 1 chunks of four times `chunk_bytes`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.concurrency import together
from app.domain.backups.manifest import DatabaseEntry, MemberKind, TableEntry
from app.domain.ports import MemberSink
from app.domain.runs.progress import Phase, Progress
from app.engine.dump.changes import changed_error
from app.engine.dump.definitions import SchemaDump
from app.engine.dump.rows import RowDump, TableResult
from app.engine.dump.snapshot import Snapshot
from app.engine.rows.queries import TableSql
from app.engine.schema.accounts import account_statements
from app.engine.schema.databases import Schema
from app.engine.schema.object_script import object_statements
from app.engine.schema.objects import Definition, read_objects
from app.engine.schema.tables import Table, read_tables
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.patterns import matches
from app.engine.sql.preludes import member_prelude


@dataclass(frozen=True, slots=True)
class DumpPlan:
    """
    What to dump.

    Attributes:
        schemas: Databases, in order.
        tables: Tables and sequences of all of them.
        include_data: Whether rows are read.
        include: Patterns the tables were chosen by; when there are any, only triggers of these
            tables and views that match are included, no routines and events.
        exclude: Patterns of what is left out.
        chunk_bytes: Target size of one statement.
        accounts: Whether users, roles and grants are included.
    """

    schemas: Sequence[Schema]
    tables: Sequence[Table]
    include_data: bool
    include: Sequence[str]
    exclude: Sequence[str]
    chunk_bytes: int
    accounts: bool = False

    @property
    def single(self) -> bool:
        """Tell whether the file names no database, and so loads into any."""
        return len(self.schemas) == 1

    def wants(self, definition: Definition, database: str) -> bool:
        """Tell whether a view, trigger, routine or event is part of the dump."""
        names = {(table.database, table.name) for table in self.tables}
        entry = definition.entry
        if entry.table:
            return (database, entry.table) in names
        if any(matches(database, entry.name, pattern) for pattern in self.exclude):
            return False
        if not self.include:
            return True
        return entry.kind == "view" and any(matches(database, entry.name, p) for p in self.include)


class Dump:
    """
    One dump; used once.

    Attributes:
        warnings: What is not in the file as it is on the server, and why.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        plan: DumpPlan,
        sink: MemberSink,
        progress: Progress,
    ) -> None:
        self._snapshot = snapshot
        self._flavor = snapshot.flavor
        self._plan = plan
        self._sink = sink
        self._progress = progress
        self._schema = SchemaDump(sink, single=plan.single)
        self.warnings: list[str] = []

    async def run(self) -> tuple[DatabaseEntry, ...]:
        """
        Dump everything of the plan.

        Returns:
            What the manifest says about each database.

        Raises:
            SnapshotError: A table changed meanwhile; nothing of the sink's content is of use.
            DatabaseError: The server failed us.
            StorageError: The sink refused.
            UnsupportedObjectError: A type that cannot be read.
        """
        self._progress.enter(Phase.INSPECT)
        queries = [TableSql.of(table, self._flavor) for table in self._plan.tables]
        with_rows = [sql for sql in queries if sql.table.has_rows and self._plan.include_data]
        read = {sql.table.ref for sql in with_rows}
        others = [table for table in self._plan.tables if table.ref not in read]
        await self._write_definitions(others)
        await self._check_columns(others)
        results: dict[str, TableResult] = {}
        if self._plan.include_data:
            self._progress.enter(Phase.DUMP)
            rows = RowDump(self._snapshot, self._schema, self._progress, self._plan.chunk_bytes)
            results = await rows.run(with_rows)
            self.warnings.extend(rows.warnings)
        self._progress.enter(Phase.OBJECTS)
        if self._plan.accounts:
            session = self._snapshot.sessions[0]
            accounts, warnings = await account_statements(session)
            self.warnings.extend(warnings)
            await self._sink.append(MemberKind.OBJECTS, accounts)
        self.warnings += await self._left_out()
        return tuple([await self._write_objects(schema, results) for schema in self._plan.schemas])

    async def _write_definitions(self, tables: Sequence[Table]) -> None:
        """Write what has no rows to read, sequences first because defaults name them."""
        tables = sorted(tables, key=lambda table: not table.entry.sequence)
        pending = iter(tables)
        for _ in range(sum(table.entry.sequence for table in tables)):
            await self._schema.write(self._snapshot.sessions[0], next(pending))

        async def write_pending(session: Session) -> None:
            for table in pending:
                await self._schema.write(session, table)
            await self._snapshot.release(session)

        await together(*(write_pending(session) for session in self._snapshot.sessions))

    async def _check_columns(self, tables: Sequence[Table]) -> None:
        """Prove that the definitions are of the tables that were planned."""
        databases = {table.database: None for table in tables}
        planned = {table.ref for table in tables}
        session, names = self._snapshot.sessions[0], {table.name for table in tables}
        now = await read_tables(session, list(databases), lambda ref: ref in planned, names=names)
        entries = {table.ref: table.entry for table in now}
        for table in tables:
            if entries.get(table.ref) != table.entry:
                raise changed_error(table, "its columns or keys differ")

    async def _write_objects(
        self,
        schema: Schema,
        results: dict[str, TableResult],
    ) -> DatabaseEntry:
        found = await read_objects(self._snapshot.sessions[0], schema)
        wanted = [definition for definition in found if self._plan.wants(definition, schema.name)]
        entries = tuple(definition.entry for definition in wanted)
        self.warnings += [
            f"view {schema.name}.{entry.name} cannot be used on this server either; "
            "its definition is kept"
            for entry in entries
            if not entry.valid
        ]
        if wanted:
            statements = object_statements(
                wanted,
                schema,
                plain_names=self._plan.single,
                prepared=self._flavor.prepared_ddl,
            )
            prelude = member_prelude(schema.name, single=self._plan.single)
            await self._sink.append(
                MemberKind.OBJECTS, [*prelude, *statements], database=schema.name
            )
        return DatabaseEntry(
            name=schema.name,
            charset=schema.charset,
            collation=schema.collation,
            tables=tuple(
                self._entry(table, results.get(table.label))
                for table in self._plan.tables
                if table.database == schema.name
            ),
            objects=entries,
        )

    async def _left_out(self) -> list[str]:
        """Say what else the server holds around the tables that are dumped, and no backup does."""
        warnings: list[str] = []
        tables = {(table.database, table.name) for table in self._plan.tables}
        for query, what in self._flavor.left_out:
            found = Counter(
                database
                for database, table in await self._snapshot.sessions[0].texts(query)
                if (database, table) in tables or not (table or self._plan.include)
            )
            warnings += [
                f"not in the backup: of {schema.name}, {what.format(found[schema.name])}"
                for schema in self._plan.schemas
                if found[schema.name]
            ]
        return warnings

    def _entry(self, table: Table, result: TableResult | None) -> TableEntry:
        definition = ddl.fingerprint(self._schema.printed[table.label], table.database)
        done = result or TableResult()
        partial = table.entry.partial or ("" if self._plan.include_data else "rows not asked for")
        return replace(
            table.entry,
            rows=done.rows,
            raw_size=done.raw_size,
            max_packet=done.max_packet,
            partial="" if table.entry.sequence else partial,
            definition_sha256=definition,
        )
