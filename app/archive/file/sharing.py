"""
Small tables in shared members: ten thousand members of a kilobyte compress worse than a few large ones.

Each begins with what its first table needs, so that it is loaded alone as well as any other member.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from app.archive.file.packing import Label, Part
from app.domain.backups.manifest import MemberKind, StatementKind
from app.domain.ports import Statement


SHARED_KINDS: Final = frozenset({MemberKind.SCHEMA, MemberKind.DATA})
# Text of one: whoever wants a table of it inflates all of it, in half a millisecond.
SHARED_BYTES: Final = 256 << 10
# A part above this gains little from others.
_PART_BYTES: Final = 32 << 10
_PRELUDE: Final = frozenset({StatementKind.TEXT, StatementKind.DATABASE})


def can_share(part: Part) -> bool:
    """Tell whether a part may be in one member with others."""
    return part.label.kind in SHARED_KINDS and part.raw_size <= _PART_BYTES


class SharedParts:
    """Parts that wait for a member of their own, in order."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._size = 0
        self._standing: Sequence[Statement] = ()
        self._tables: set[tuple[str, str]] = set()

    @property
    def is_full(self) -> bool:
        """Tell whether they are enough for one member."""
        return self._size >= SHARED_BYTES

    def must_precede(self, label: Label) -> bool:
        """Tell whether what waits must be in the file before a member; rows need only their own table."""
        own = (label.database, label.table) in self._tables
        return label.kind is not MemberKind.DATA or own

    def add(self, part: Part) -> None:
        """Add one, without the prelude that the part before it has left standing in the session."""
        prelude = list(takewhile(lambda statement: statement.kind in _PRELUDE, part.statements))
        rest = part.statements[len(prelude) :]
        if rest and prelude == self._standing:
            part = Part(part.label, rest)
        # Whatever text follows may change what the prelude has set.
        changes = any(statement.kind in _PRELUDE for statement in rest)
        self._standing = () if changes else prelude
        self._parts.append(part)
        self._tables.add((part.label.database, part.label.table))
        self._size += part.raw_size

    def take(self) -> list[Part]:
        """Hand out those that wait; the next one begins another member."""
        parts, self._parts = self._parts, []
        self._size, self._standing = 0, ()
        self._tables = set()
        return parts
