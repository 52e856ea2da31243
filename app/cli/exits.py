"""Exit codes: one table, looked up along the class hierarchy; docs/errors.md shows it to people."""

from asyncio import CancelledError
from collections.abc import Sequence
from typing import Final

from app.cli import signals
from app.errors import (
    AccessError,
    ConflictError,
    DatabaseError,
    DeliveryError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    StorageError,
)


OK: Final = 0
BUG: Final = 1
USAGE: Final = 2
CANCELLED: Final = signals.CANCELLED

EXIT_CODES: Final[dict[type[BaseException], int]] = {
    NotFoundError: 10,
    ConflictError: 11,
    RefusedError: 12,
    AccessError: 13,
    DatabaseError: 20,
    StorageError: 21,
    IntegrityError: 22,
    DeliveryError: 23,
    CancelledError: CANCELLED,
    KeyboardInterrupt: CANCELLED,
}


def exit_code(error: BaseException) -> int:
    """Return the code of the nearest ancestor in the table; 1, a bug, for everything else."""
    for ancestor in type(error).__mro__:
        if ancestor in EXIT_CODES:
            return EXIT_CODES[ancestor]
    return BUG


def exit_code_of(errors: Sequence[BaseException]) -> int:
    """Return the code of a command that went on after errors: that of the first, 0 without any."""
    return exit_code(errors[0]) if errors else OK
