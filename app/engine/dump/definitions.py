"""
Schema members, and the proof that rows are of the tables whose definitions are in the file.

A connection that has read a table in its transaction holds the table's metadata lock until
`Snapshot.release`: until then nobody changes, renames or drops it. What a connection reads under
that lock is of one table: its rows, what SHOW CREATE prints, its columns, and the identity that
`app.engine.schema.table_ids` compares. So the definition of a table with rows is proven under the lock:

1. The first connection that has read it writes the definition, and proves that it has the columns
   that are read: one that came meanwhile would stay empty.
2. Each other one proves that it still prints that definition.

Tables without rows of their own have nothing to be compared with; they are written beforehand.
"""

from typing import Final

from app.domain.backups.manifest import MemberKind, StatementKind
from app.domain.ports import MemberSink, Statement
from app.engine.dump.changes import changed_error, changed_table
from app.engine.rows.stored import Repeatable, Settings, settings_sql, without_zone
from app.engine.schema.definitions import exact_definition, sequence_position
from app.engine.schema.tables import Table, read_tables, show_create
from app.engine.server.connection import Session
from app.engine.sql import ddl
from app.engine.sql.columns import unique_keys_of
from app.engine.sql.ddl import tokens
from app.engine.sql.plain_tables import proves
from app.engine.sql.preludes import member_prelude
from app.engine.sql.quoting import quote
from app.engine.storage_engines import ASCENDING_ENGINES


# For the mysql client, whose session has the server's own limit; 1 TiB.
_ROOM_IN_MEMORY: Final = b"SET SESSION max_heap_table_size = 1099511627776;\n"

# It takes a right to set, so only the tables that need it do.
# Source: https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_restrict_fk_on_non_standard_key
_LOOSE_KEYS: Final = b"/*!80400 SET SESSION restrict_fk_on_non_standard_key = 0 */;\n"


class SchemaDump:
    """
    Writes the definitions of one dump; used once.

    Attributes:
        sink: Where members go, those of rows too.
        single: Whether the file holds one database and so does not name it.
        printed: What SHOW CREATE prints, by label, of all that is written.
        repeatable: How stored generated columns are computed again, by label.
        loose: Labels of tables with foreign keys that a server may refuse when their parents are there.
    """

    def __init__(self, sink: MemberSink, *, single: bool) -> None:
        self.sink = sink
        self.single = single
        self.printed: dict[str, str] = {}
        self.repeatable: dict[str, Repeatable] = {}
        self.loose: frozenset[str] = frozenset()

    async def write(self, session: Session, table: Table) -> None:
        """
        Write the schema member of one table or sequence.

        Raises:
            SnapshotError: It is not there any more.
            StorageError: The sink refused.
        """
        with changed_table(table):
            printed, exact = await exact_definition(session, table)
        loose = [Statement(StatementKind.TEXT, _LOOSE_KEYS)] if table.label in self.loose else []
        self.printed[table.label] = printed
        is_ascending = table.entry.engine in ASCENDING_ENGINES
        if is_ascending and await session.scalar(f"SELECT 1 FROM {table.sql} LIMIT 1"):
            exact = ddl.without_counter(exact)
        sql = ddl.unqualify(exact, table.database) if self.single else exact
        kind = StatementKind.SEQUENCE if table.entry.sequence else StatementKind.TABLE
        what = kind.value.upper()
        statements = [
            *self.prelude(table),
            *loose,
            Statement(StatementKind.DROP, f"DROP {what} IF EXISTS {quote(table.name)};\n".encode()),
            Statement(kind, f"{sql};\n".encode()),
        ]
        if table.entry.engine == "MEMORY":
            statements.insert(-1, Statement(StatementKind.TEXT, _ROOM_IN_MEMORY))
        if keys := self._unique_keys(table):
            # Until their session computes them, they may hold the same value twice.
            drops = ", ".join(f"DROP KEY {tokens(key)[1]}" for key in keys)
            keep = "SET SESSION system_versioning_alter_history = KEEP;\n"
            text = f"{keep * table.entry.history}ALTER TABLE {quote(table.name)} {drops};\n"
            statements.append(Statement(StatementKind.TEXT, text.encode()))
        if table.entry.sequence:
            statements += [
                Statement(StatementKind.SEQUENCE, position)
                for position in await sequence_position(session, table)
            ]
        await self.sink.append(
            MemberKind.SCHEMA, statements, database=table.database, table=table.name
        )

    def prelude(self, table: Table) -> list[Statement]:
        """Begin a member of a table, with all that its definition and rows are loaded with."""
        session = without_zone(self._session(table))
        return member_prelude(
            table.database,
            single=self.single,
            history=table.entry.history,
            settings=settings_sql(session)[0] if session else "",
        )

    def _session(self, table: Table) -> Settings:
        return self.repeatable.get(table.label, Repeatable()).session

    def recomputing(self, table: Table) -> str:
        """Return what has stored generated columns computed again; empty where nothing has to."""
        session = self._session(table)
        if session == without_zone(session):
            return ""
        begin, end = settings_sql(session)
        clauses = [f"ADD {key}" for key in self._unique_keys(table)]
        alter = ", ".join([*clauses, "FORCE", "ALGORITHM=COPY"])
        if table.entry.history:
            begin += ", SESSION system_versioning_alter_history = KEEP"
        return f"{begin};\nALTER TABLE {quote(table.name)} {alter};\n{end};\n"

    def _unique_keys(self, table: Table) -> list[str]:
        """List the unique keys over generated columns that another session must compute."""
        if self._session(table) == without_zone(self._session(table)):
            return []
        sql = ddl.utf8_only(self.printed[table.label])
        computed = [column.name for column in table.entry.columns if column.generated]
        return unique_keys_of(sql, computed)

    async def write_or_prove(self, session: Session, table: Table) -> None:
        """
        Write a table's definition, or prove that it is the one written.

        Args:
            session: Has read the table and holds its metadata lock.
            table: As it was planned; calls for one table must not overlap.

        Raises:
            SnapshotError: It is not the table that was planned, or whose definition was written.
        """
        known = self.printed.get(table.label)
        if known is None:
            await self.write(session, table)
            if not proves(self.printed[table.label], table.entry):
                await _require_columns(session, table)
            return
        printed = await show_create(session, table)
        # AUTO_INCREMENT moves with every insert; texts are taken apart only when they differ.
        if printed != known:
            _require_same(table, known, printed)


async def _require_columns(session: Session, table: Table) -> None:
    now = await read_tables(session, [table.database], names=[table.name])
    if table.entry not in [found.entry for found in now]:
        raise changed_error(table, "its columns or keys differ")


def _require_same(table: Table, known: str, printed: str) -> None:
    if ddl.table_fingerprint(known, table.database) != ddl.table_fingerprint(
        printed, table.database
    ):
        raise changed_error(table, "its definition differs")
