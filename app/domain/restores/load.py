"""One database of a restore: what is loaded, and where."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from app.domain.backups.manifest import DatabaseEntry, ObjectKind


@dataclass(frozen=True, slots=True)
class DatabaseLoad:
    """
    One database to load.

    Attributes:
        entry: What the backup holds, already reduced to the chosen tables and objects.
        target: Name of the database that gets it.
        staging: Name of the schema where it is loaded first; empty = the target itself.
        whole: Whether the target is to hold nothing else afterwards.
        definitions: CREATE statements that take the place of the backup's, by table.
        include_rows: Whether rows are loaded.
    """

    entry: DatabaseEntry
    target: str
    staging: str = ""
    whole: bool = True
    definitions: Mapping[str, str] = field(default_factory=dict)
    include_rows: bool = True

    @property
    def place(self) -> str:
        """Return the name of the database where the tables are made."""
        return self.staging or self.target

    @property
    def only_tables(self) -> bool:
        """Tell whether nothing but some tables changes, with their triggers."""
        kinds = {entry.kind for entry in self.entry.objects}
        return not self.whole and kinds <= {ObjectKind.TRIGGER}

    def with_rows(self, meant: Self, tables: Collection[tuple[str, str]]) -> Self:
        """Return it with the rows of some tables, database and name, as another load of the same has them."""
        names = {name for database, name in tables if database == self.entry.name}
        if not names:
            return self
        full = {table.name: table for table in meant.entry.tables if table.name in names}
        entries = tuple(full.get(table.name, table) for table in self.entry.tables)
        return replace(self, entry=replace(self.entry, tables=entries), include_rows=True)
