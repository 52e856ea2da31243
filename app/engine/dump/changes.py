"""Tables that changed after the snapshot: which errors of the server show it, and ours for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.engine.schema.table_ids import NO_DDL_HINT
from app.engine.schema.tables import UNOPENED_HINT, Table
from app.engine.server.connection import DEADLOCK
from app.engine.server.errors import about
from app.errors import SnapshotError, StatementError


# The table was dropped, or is not the one of the snapshot any more.
_CHANGED: Final = frozenset({1051, 1054, 1072, 1146, 1176, 1356, 1412, 1615, 1932})
# Its file is damaged or gone, or of a MERGE a table below it. MariaDB lists such a table without an engine.
_UNOPENED: Final = frozenset({1016, 1017, 1034, 1168, 1194, 1195, 1812, 1814})


@contextmanager
def changed_table(table: Table) -> Iterator[None]:
    """Translate the errors that mean "not the table of the snapshot any more" to SnapshotError, and name it in others."""
    try:
        yield
    except StatementError as exc:
        if exc.errno in _CHANGED:
            raise changed_error(table, f"error {exc.errno}") from exc
        if exc.errno in _UNOPENED:
            exc.hint = exc.hint or UNOPENED_HINT
        with about(table.label):
            raise


@contextmanager
def kept_snapshot() -> Iterator[None]:
    """Translate the error that ends a snapshot: whoever loses a deadlock loses the transaction, too."""
    try:
        yield
    except StatementError as exc:
        if exc.errno != DEADLOCK:
            raise
        raise SnapshotError(
            f"the server has ended the snapshot (error {exc.errno})", hint=NO_DDL_HINT
        ) from exc


def changed_error(table: Table, how: str) -> SnapshotError:
    """Return the error of a table that is not the one of the snapshot any more."""
    return SnapshotError(
        f"{table.label} was changed while it was backed up ({how})",
        hint=NO_DDL_HINT,
    )
