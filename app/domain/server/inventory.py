"""What a server holds now, and what of it a backup would hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InventoryTable:
    """
    A table or sequence of the server.

    Attributes:
        rows: The server's guess.
        size: Bytes of its data, the server's guess.
    """

    database: str
    name: str
    rows: int = 0
    size: int = 0

    @property
    def label(self) -> str:
        """Its name with that of its database."""
        return f"{self.database}.{self.name}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """
    Databases and tables of the server, without its own and without those that restores have made.

    Attributes:
        databases: By name.
        tables: By database and name.
        folds_names: Whether the server keeps all names in lower case.
    """

    databases: tuple[str, ...]
    tables: tuple[InventoryTable, ...]
    folds_names: bool = False

    def of(self, database: str) -> tuple[InventoryTable, ...]:
        """Return the tables of a database."""
        return tuple(table for table in self.tables if table.database == database)


@dataclass(frozen=True, slots=True)
class FoundPattern:
    """
    What a pattern means now.

    Attributes:
        pattern: As it was given.
        leaves_out: Whether what it matches is left out.
        tables: What it matches, in the databases that are meant.
    """

    pattern: str
    leaves_out: bool
    tables: tuple[InventoryTable, ...]

    @property
    def is_name(self) -> bool:
        """Whether it is nothing but the name of a table that is there."""
        return [table.label for table in self.tables] == [self.pattern]

    @property
    def is_in_vain(self) -> bool:
        """Whether a backup would fail because nothing matches."""
        return not self.tables and not self.leaves_out


@dataclass(frozen=True, slots=True)
class Selection:
    """
    What a backup would hold if it were made now.

    Attributes:
        taken: Tables, in the order of the inventory.
        left_out: The others of the databases that are meant.
        patterns: Each with what it means.
        missing: Databases that are meant and not there; a backup would fail.
    """

    taken: tuple[InventoryTable, ...]
    left_out: tuple[InventoryTable, ...]
    patterns: tuple[FoundPattern, ...]
    missing: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many are in what is taken, the server's guess."""
        return sum(table.rows for table in self.taken)

    @property
    def size(self) -> int:
        """Bytes of what is taken, the server's guess."""
        return sum(table.size for table in self.taken)

    @property
    def would_fail(self) -> bool:
        """Whether a backup is refused because of a name that is not there."""
        return bool(self.missing) or any(found.is_in_vain for found in self.patterns)
