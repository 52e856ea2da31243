"""From statements to the bytes of a member and its entry in the index; no I/O."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.archive.file import codec as codecs
from app.domain.backups.manifest import (
    Codec,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
)
from app.domain.backups.thinning import FOR_THE_CLIENT
from app.domain.ports import Statement


@dataclass(frozen=True, slots=True)
class Label:
    """What a member is, before it has a place."""

    kind: MemberKind
    database: str = ""
    table: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be found alone: all of a member, or what one table has of a shared one."""

    label: Label
    statements: Sequence[Statement]

    @property
    def raw_size(self) -> int:
        """Bytes before compression."""
        return sum(len(statement.sql) for statement in self.statements)


class MemberPacker:
    """
    One member being made, of one part or more.

    Attributes:
        size: Compressed bytes so far.
        raw_size: Bytes before compression so far.
    """

    def __init__(self, codec: Codec, level: int | None = None) -> None:
        self.size = 0
        self.raw_size = 0
        self._press = codecs.compressor(codec, level)
        self._digest = hashlib.sha256()
        self._parts: list[tuple[Label, int, list[StatementEntry]]] = []

    def begin(self, label: Label) -> None:
        """Begin a part; what is added from here on belongs to it."""
        self._parts.append((label, self.raw_size, []))

    def add(self, statement: Statement) -> bytes:
        """Compress one statement; returns the bytes that are ready, maybe none."""
        known = statement.kind is StatementKind.TEXT
        self._statements().append(_entry_of_text(statement) if known else _entry_of(statement))
        self.raw_size += len(statement.sql)
        return self._measured(self._press.compress(statement.sql))

    def add_text(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Compress one statement for people or the client piece by piece; yields what is ready."""
        digest, size = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            yield self._measured(self._press.compress(piece))
        self.raw_size += size
        self._statements().append(StatementEntry(StatementKind.TEXT, size, digest.hexdigest()))

    def end(self) -> bytes:
        """End the member; returns its last bytes."""
        data = self._measured(self._press.flush())
        del self._press  # it holds megabytes, and the member may wait to be written
        return data

    def entries(self, offset: int) -> list[MemberEntry]:
        """Describe the parts of the member once it is ended."""
        sha256 = self._digest.hexdigest()
        return [
            MemberEntry(
                kind=label.kind,
                offset=offset,
                size=self.size,
                raw_size=sum(statement.raw_size for statement in statements),
                sha256=sha256,
                database=label.database,
                table=label.table,
                statements=tuple(statements),
                within=within,
            )
            for label, within, statements in self._parts
        ]

    def _statements(self) -> list[StatementEntry]:
        return self._parts[-1][2]

    def _measured(self, data: bytes) -> bytes:
        self.size += len(data)
        self._digest.update(data)
        return data


def pack(
    new_packer: Callable[[], MemberPacker], parts: Iterable[Part]
) -> tuple[list[bytes], MemberPacker]:
    """Compress and hash a whole member; compression and digests release the GIL."""
    packer = new_packer()
    pieces: list[bytes] = []
    for part in parts:
        packer.begin(part.label)
        pieces += [packer.add(statement) for statement in part.statements]
    pieces.append(packer.end())
    return [piece for piece in pieces if piece], packer


@lru_cache(maxsize=16)
def _entry_of_text(statement: Statement) -> StatementEntry:
    """Describe what is the same in thousands of members, and keep it in memory once."""
    return _entry_of(statement)


def _entry_of(statement: Statement) -> StatementEntry:
    return StatementEntry(
        kind=statement.kind,
        raw_size=len(statement.sql),
        sha256=_digest_of(statement),
        name=statement.name,
        rows=statement.rows,
        lower=statement.lower,
        upper=statement.upper,
        sliced=statement.sliced,
        stored_sha256=statement.stored_sha256,
    )


def _digest_of(statement: Statement) -> str:
    if statement.kind in FOR_THE_CLIENT:
        return ""
    return hashlib.sha256(statement.sql).hexdigest()
