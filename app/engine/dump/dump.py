"""
Dump: from a snapshot into a sink, on as many connections as the snapshot has.

1. Definitions of what has no rows to read: one schema member each, sequences first.
2. Tables without transactions first, while they are locked, then the largest first: a schema member,
   and the rows. All connections work on the same table; one without a usable key belongs to one.
3. Proof, table by table: rows in the file = COUNT(*) in the same snapshot, and the definition is that
   of the table that was read (`app.engine.dump.definitions`).
4. Objects: one member of one database; of several, or with accounts, one a phase and database.

Memory: each connection holds at most `_IN_FLIGHT` + 1 chunks of four times `chunk_bytes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from app.concurrency import share, together
from app.domain.backups.manifest import (
    NOT_ASKED_FOR,
    DatabaseEntry,
    MemberKind,
    ObjectEntry,
    StatementKind,
    TableEntry,
)
from app.domain.ports import MemberSink, Statement
from app.domain.runs.progress import Phase, Progress
from app.engine.dump.changes import changed_error, changed_table
from app.engine.dump.definitions import SchemaDump
from app.engine.dump.parsing import find_unparsable
from app.engine.dump.rows import RowDump, TableResult
from app.engine.dump.snapshot import Snapshot
from app.engine.dump.uncarried import (
    list_counted_histories,
    list_in_directories,
    list_uncarried,
)
from app.engine.rows.partitions import goes_below, signed
from app.engine.rows.queries import TableSql
from app.engine.rows.rules import RULES, find_broken_rules, list_breakable
from app.engine.rows.stored import Repeatable, find_session
from app.engine.schema.accounts import NO_ACCOUNTS, AccountScript, account_statements
from app.engine.schema.databases import Schema
from app.engine.schema.definitions import exact_definition
from app.engine.schema.foreign_keys import list_loose
from app.engine.schema.object_script import Phases, object_phases
from app.engine.schema.objects import Definition, read_objects
from app.engine.schema.tables import Table, read_tables, show_create
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.preludes import member_prelude
from app.engine.sql.quoting import matches, quote_text
from app.errors import TableNotFoundError


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
        strays: What the data directory holds that looks like a table, and is none.
    """

    schemas: Sequence[Schema]
    tables: Sequence[Table]
    include_data: bool
    include: Sequence[str]
    exclude: Sequence[str]
    chunk_bytes: int
    accounts: bool = False
    strays: Sequence[str] = ()

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


def choose(
    tables: Sequence[Table],
    include: Sequence[str],
    exclude: Sequence[str],
) -> list[Table]:
    """
    Apply the patterns of a request.

    Returns:
        The tables that are meant, in the same order.

    Raises:
        TableNotFoundError: A pattern of `include` matches nothing.
    """
    for pattern in include:
        if not any(matches(table.database, table.name, pattern) for table in tables):
            raise TableNotFoundError(
                f"no table matches {pattern!r}",
                hint="Patterns are globs on TABLE or DATABASE.TABLE, upper and lower case differ.",
            )
    return [
        table
        for table in tables
        if (not include or any(matches(table.database, table.name, p) for p in include))
        and not any(matches(table.database, table.name, p) for p in exclude)
    ]


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
        self._objects: dict[str, tuple[ObjectEntry, ...]] = {}
        self.warnings = [
            f"{name} in the data directory is no table of this server, and was left out"
            for name in plan.strays
        ]

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
        self._schema.loose = await self._list_loose()
        await self._find_modes([sql for sql in queries if sql.table.partitioned])
        await self._write_definitions(others)
        await self._check_columns(others)
        self.warnings += await list_uncarried(
            self._snapshot.sessions[0],
            [schema.name for schema in self._plan.schemas],
            self._plan.tables,
        )
        await self._find_sessions(with_rows)
        await self._write_loose([sql.table for sql in with_rows])
        results: dict[str, TableResult] = {}
        if self._plan.include_data:
            self._progress.enter(Phase.DUMP)
            rows = RowDump(self._snapshot, self._schema, self._progress, self._plan.chunk_bytes)
            results = await rows.run(with_rows)
            self.warnings.extend(rows.warnings)
        self._progress.enter(Phase.OBJECTS)
        await self._write_objects()
        self.warnings += list_in_directories(self._schema.printed)
        self.warnings += list_counted_histories(self._schema.printed)
        return tuple(self._database(schema, results) for schema in self._plan.schemas)

    async def _write_definitions(self, tables: Sequence[Table]) -> None:
        """Write what has no rows to read, sequences first because defaults name them."""
        loose = self._schema.loose
        first = [table for table in tables if table.entry.sequence]
        first += [table for table in tables if table.label in loose]
        for table in first:
            await self._schema.write(self._snapshot.sessions[0], table)
        written = {table.ref for table in first}
        pending = iter([table for table in tables if table.ref not in written])

        async def write_pending(session: Session) -> None:
            for table in pending:
                await self._schema.write(session, table)
            await self._snapshot.release(session)

        await together(*(write_pending(session) for session in self._snapshot.sessions))

    async def _list_loose(self) -> frozenset[str]:
        """List the tables whose foreign keys a server may refuse once their parents are there."""
        names = [schema.name for schema in self._plan.schemas]
        loose = await list_loose(self._snapshot.sessions[0], names) if names else set()
        return frozenset(f"{database}.{name}" for database, name in loose)

    async def _write_loose(self, tables: Sequence[Table]) -> None:
        """Write such children before their parents."""
        session = self._snapshot.sessions[0]
        loose = [table for table in tables if table.label in self._schema.loose]
        if not loose:
            return
        for table in loose:
            await self._schema.write(session, table)
        await self._snapshot.release(session)
        await self._check_columns(loose)

    async def _find_modes(self, queries: Sequence[TableSql]) -> None:
        """Find out which tables have partitions that not every session may make."""

        async def find(session: Session, sql: TableSql) -> None:
            with changed_table(sql.table):
                if await goes_below(session, sql, await show_create(session, sql.table)):
                    self._schema.repeatable[sql.table.label] = Repeatable(signed(()))
            await self._snapshot.release(session)

        await share(queries, self._snapshot.sessions, find)

    async def _find_sessions(self, queries: Sequence[TableSql]) -> None:
        """Find out which sessions compute stored generated columns as they are, and which rules rows break."""
        names = [schema.name for schema in self._plan.schemas]
        breakable = await list_breakable(self._snapshot.sessions[0], names, queries)

        async def find(session: Session, sql: TableSql) -> None:
            label = sql.table.label
            with changed_table(sql.table):
                _, definition = await exact_definition(session, sql.table)
                found = await find_session(session, sql, definition)
                broken = (
                    await find_broken_rules(session, sql, definition) if label in breakable else ()
                )
            found = replace(found, unrepeatable=(*found.unrepeatable, *broken))
            if label in self._schema.repeatable:
                found = replace(found, session=signed(found.session))
            self._schema.repeatable[label] = found
            await self._snapshot.release(session)

        asked = [sql for sql in queries if sql.computes or sql.table.label in breakable]
        await share(asked, self._snapshot.sessions, find)
        for label, found in sorted(self._schema.repeatable.items()):
            self.warnings += [
                f"{label}: {name} does not hold for all rows in the session of a restore (UTC, backslashes"
                " escape); it is refused"
                if name.startswith(RULES)
                else f"{label}: the stored generated column {name!r} holds values that no one session"
                " computes again; a restore can only load them with --no-verify-after, and changes them"
                for name in found.unrepeatable
            ]

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

    async def _write_objects(self) -> None:
        """Write accounts, then the objects of all databases, and between them the rights on both."""
        session = self._snapshot.sessions[0]
        accounts = AccountScript()
        if self._plan.accounts:
            accounts = await account_statements(session)
            self.warnings.extend(accounts.warnings)
            await self._write_accounts(accounts.made)
        scripts: list[tuple[Schema, Phases]] = []
        for schema in self._plan.schemas:
            scripts.append((schema, await self._script(session, schema)))
            await self._write_for_client(schema)
        if self._plan.single and not accounts.grants:
            # Nobody else's object waits for one of these: one member.
            ((schema, phases),) = scripts
            scripts = [(schema, (list(chain.from_iterable(phases)),))]
        schemas = [schema for schema, _ in scripts]
        placeholders, *later = [*zip_longest(*(phases for _, phases in scripts), fillvalue=()), ()]
        await self._write_phase(schemas, placeholders)
        await self._write_accounts(accounts.grants)
        for phase in later:
            await self._write_phase(schemas, phase)
        await self._write_accounts(accounts.on_routines)

    async def _write_accounts(self, statements: Sequence[Statement]) -> None:
        if statements:
            await self._sink.append(MemberKind.OBJECTS, [NO_ACCOUNTS, *statements])

    async def _write_phase(
        self, schemas: Sequence[Schema], phase: Sequence[Sequence[Statement]]
    ) -> None:
        """Write a member for each database that has something in a phase; a phase may be empty."""
        for schema, statements in zip(schemas, phase, strict=False):
            if statements:
                prelude = member_prelude(schema.name, single=self._plan.single)
                await self._sink.append(
                    MemberKind.OBJECTS, [*prelude, *statements], database=schema.name
                )

    async def _script(self, session: Session, schema: Schema) -> Phases:
        """Read the objects of a database; without any there is nothing to write."""
        found = await read_objects(session, schema, bodies=not self._plan.include)
        wanted = await self._without_unparsable(
            schema, [item for item in found.definitions if self._plan.wants(item, schema.name)]
        )
        if not self._plan.include:
            self.warnings += [f"{text}; it was left out" for text in found.unreadable]
        self._objects[schema.name] = tuple(definition.entry for definition in wanted)
        self.warnings += [
            f"view {schema.name}.{entry.name} cannot be used on this server either; "
            "its definition is kept"
            for entry in self._objects[schema.name]
            if not entry.valid
        ]
        if not wanted:
            return ()
        return object_phases(
            wanted, schema, plain_names=self._plan.single, prepared=self._flavor.prepared_ddl
        )

    def _database(self, schema: Schema, results: dict[str, TableResult]) -> DatabaseEntry:
        return DatabaseEntry(
            name=schema.name,
            charset=schema.charset,
            collation=schema.collation,
            comment=schema.comment,
            tables=tuple(
                self._entry(table, results.get(table.label))
                for table in self._plan.tables
                if table.database == schema.name
            ),
            objects=self._objects[schema.name],
        )

    async def _write_for_client(self, schema: Schema) -> None:
        """Write for the mysql client what a restore by this program does while it loads."""
        texts = [
            text
            for table in self._plan.tables
            if table.database == schema.name and (text := self._schema.recomputing(table))
        ]
        if schema.comment and not self._plan.include:
            text = f"ALTER DATABASE COMMENT = {quote_text(schema.comment)}"
            # Only MariaDB has such, and a comment may hold what ends one of SQL.
            texts.append(f"{text};\n" if "*/" in text else f"/*M!100502 {text} */;\n")
        if texts:
            prelude = member_prelude(schema.name, single=self._plan.single)
            statement = Statement(StatementKind.TEXT, "".join(texts).encode())
            await self._sink.append(MemberKind.OBJECTS, [*prelude, statement], database=schema.name)

    async def _without_unparsable(
        self, schema: Schema, definitions: Sequence[Definition]
    ) -> list[Definition]:
        """Leave out what no server would take, this one included."""
        unparsable = await find_unparsable(self._snapshot.sessions[0], definitions)
        for definition, errno in unparsable.items():
            label = f"{definition.entry.kind} {schema.name}.{definition.entry.name}"
            self.warnings.append(f"{label} cannot be opened (error {errno}); it was left out")
        return [definition for definition in definitions if definition not in unparsable]

    def _entry(self, table: Table, result: TableResult | None) -> TableEntry:
        definition = ddl.table_fingerprint(self._schema.printed[table.label], table.database)
        done = result or TableResult()
        repeatable = self._schema.repeatable.get(table.label, Repeatable())
        partial = table.entry.partial or ("" if self._plan.include_data else NOT_ASKED_FOR)
        return replace(
            table.entry,
            rows=done.rows,
            raw_size=done.raw_size,
            max_packet=done.max_packet,
            partial="" if table.entry.sequence else partial,
            definition_sha256=definition,
            counter=ddl.counter_of(self._schema.printed[table.label]),
            session=repeatable.session,
            unrepeatable=repeatable.unrepeatable,
        )
