"""From statements to the bytes of a member and its entry in the index; no I/O."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
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
from app.domain.ports import Statement


@dataclass(frozen=True, slots=True)
class Label:
    """What a member is, before it has a place."""

    kind: MemberKind
    database: str = ""
    table: str = ""


class MemberPacker:
    """
    One member being made.

    Attributes:
        size: Compressed bytes so far.
        raw_size: Bytes before compression so far.
    """

    def __init__(self, codec: Codec) -> None:
        self.size = 0
        self.raw_size = 0
        self._press = codecs.compressor(codec)
        self._digest = hashlib.sha256()
        self._statements: list[StatementEntry] = []

    def add(self, statement: Statement) -> bytes:
        """Compress one statement; returns the bytes that are ready, maybe none."""
        known = statement.kind is StatementKind.TEXT
        self._statements.append(_entry_of_text(statement) if known else _entry_of(statement))
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
        self._statements.append(StatementEntry(StatementKind.TEXT, size, digest.hexdigest()))

    def end(self) -> bytes:
        """End the member; returns its last bytes."""
        return self._measured(self._press.flush())

    def entry(self, label: Label, offset: int) -> MemberEntry:
        """Describe the member once it is ended."""
        return MemberEntry(
            kind=label.kind,
            offset=offset,
            size=self.size,
            raw_size=self.raw_size,
            sha256=self._digest.hexdigest(),
            database=label.database,
            table=label.table,
            statements=tuple(self._statements),
        )

    def _measured(self, data: bytes) -> bytes:
        self.size += len(data)
        self._digest.update(data)
        return data


def pack(codec: Codec, statements: Sequence[Statement]) -> tuple[list[bytes], MemberPacker]:
    """Compress and hash a whole member; compression and digests release the GIL."""
    packer = MemberPacker(codec)
    pieces = [packer.add(statement) for statement in statements]
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
        sha256=hashlib.sha256(statement.sql).hexdigest(),
        name=statement.name,
        rows=statement.rows,
        lower=statement.lower,
        upper=statement.upper,
        sliced=statement.sliced,
        stored_sha256=statement.stored_sha256,
    )
