"""
Proof that a file is what its manifest says, in four levels, each including those before it.

The file is read once, in order, in one thread, which makes the digest of the whole and decrypts it;
members are hashed, inflated and scanned by a pool behind it.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from threading import Event
from typing import Final

from app.archive.file import codec as codecs
from app.archive.file.content import Content, require_digest
from app.archive.file.index import check_index, compressed_members
from app.archive.file.rows import count_rows
from app.archive.file.stored import require_size
from app.domain.backups.check_notes import VerifyLevel, VerifyReport
from app.domain.backups.manifest import Codec, Manifest, MemberEntry, StatementEntry, StatementKind
from app.errors import ChecksumMismatchError, TruncatedFileError
from app.storage.files import RangedFile


# Members above this size in the file or in memory are streamed instead of held.
HOLD_BYTES: Final = 16 << 20

# Called with each member that was checked, in file order, from the verifying thread; may raise.
Listener = Callable[[MemberEntry], None]


@dataclass(frozen=True, slots=True)
class _Task:
    """What every part of one verification needs."""

    file: RangedFile
    manifest: Manifest
    level: VerifyLevel

    @property
    def codec(self) -> Codec:
        return self.manifest.options.codec

    def includes(self, level: VerifyLevel) -> bool:
        return self.level.depth >= level.depth

    def source(self, member: MemberEntry, *, is_shared: bool = False) -> str:
        return name_member(self.file, member, is_shared=is_shared)


def verify_file(
    file: Content,
    manifest: Manifest,
    level: VerifyLevel,
    *,
    threads: int = 2,
    checksum: bool = True,
    listener: Listener | None = None,
) -> VerifyReport:
    """
    Check an open file against its manifest.

    Args:
        file: What the data file holds.
        manifest: Not trusted either.
        level: How far to look.
        threads: Members that are checked side by side.
        checksum: Whether the digest of the whole file is made, too. Who made it and the members'
            digests of the same bytes needs only the latter: members tile a file that is not encrypted.
        listener: Told of each member; what it raises ends the verification.

    Returns:
        What was checked.

    Raises:
        ManifestError: The index contradicts itself.
        TruncatedFileError: The file is shorter or longer than the manifest says.
        ChecksumMismatchError: A digest differs, or a member or statement is not what was listed.
        StorageError: The medium does not answer.
    """
    began = time.monotonic()
    check_index(manifest)
    check_content(file, manifest)
    hashed = file.hashed() if checksum else None
    task = _Task(hashed or file, manifest, level)
    rows = 0
    if task.includes(VerifyLevel.HASHES):
        with closing(_walk(task, threads)) as walk:
            for member, found in walk:
                if listener is not None:
                    listener(member)
                rows += found
        if hashed is not None:
            hashed.require_digest(manifest.checksum)
    return _report(task, rows, time.monotonic() - began)


def until(stop: Event, listener: Listener | None) -> Listener:
    """Make a listener that ends a verification with InterruptedError once `stop` is set."""

    def listen(member: MemberEntry) -> None:
        if stop.is_set():
            raise InterruptedError("verification was cancelled")
        if listener is not None:
            listener(member)

    return listen


def _report(task: _Task, rows: int, seconds: float) -> VerifyReport:
    manifest, members = task.manifest, task.manifest.members
    statements = sum(len(member.statements) for member in members)
    return VerifyReport(
        level=task.level,
        size=manifest.size if task.includes(VerifyLevel.HASHES) else 0,
        raw_size=manifest.raw_size if task.includes(VerifyLevel.INFLATE) else 0,
        members=len(members) if task.includes(VerifyLevel.HASHES) else 0,
        statements=statements if task.includes(VerifyLevel.CONTENT) else 0,
        rows=rows,
        seconds=seconds,
    )


def name_member(file: RangedFile, member: MemberEntry, *, is_shared: bool = False) -> str:
    """Name a member in messages; a shared one is the same one for all its parts."""
    kind = "shared" if is_shared else member.kind.value
    return f"{file.name}: {kind} member at byte {member.offset}"


def check_content(file: Content, manifest: Manifest) -> None:
    """Compare the sizes of the file and of what it holds; raises TruncatedFileError."""
    require_size(file.stored, manifest.size)
    if file.size != manifest.content_size:
        raise TruncatedFileError(
            f"{file.name}: {file.size} bytes decrypted, the manifest says {manifest.content_size}",
            hint=codecs.DAMAGED_HINT,
        )


def is_large(member: MemberEntry) -> bool:
    """Tell whether a member should be streamed instead of held in memory."""
    return max(member.size, member.raw_size) > HOLD_BYTES


def blocks_of(file: RangedFile, member: MemberEntry) -> Iterator[bytes]:
    """Read a member's bytes in the file, block by block."""
    end = member.offset + member.size
    for offset in range(member.offset, end, codecs.BLOCK_BYTES):
        yield file.read(offset, min(codecs.BLOCK_BYTES, end - offset))


def split(
    pieces: Iterator[bytes | memoryview], member: MemberEntry, *, source: str
) -> Iterator[tuple[StatementEntry, bytes]]:
    """
    Cut a member's uncompressed bytes into its statements.

    Args:
        pieces: The bytes in order.
        member: Its statements tile them.
        source: Names the member in messages.

    Yields:
        Each statement with its bytes, whose SHA-256 is right; what is for the client may have none.

    Raises:
        ChecksumMismatchError: A digest differs.
    """
    rest = memoryview(b"")
    for number, entry in enumerate(member.statements):
        parts = [rest[: entry.raw_size]]
        rest = rest[entry.raw_size :]
        missing = entry.raw_size - len(parts[0])
        while missing:
            piece = memoryview(next(pieces))
            parts.append(piece[:missing])
            rest = piece[missing:]
            missing -= len(parts[-1])
        sql = b"".join(parts)
        if entry.sha256 and hashlib.sha256(sql).hexdigest() != entry.sha256:
            raise ChecksumMismatchError(
                f"{source}: statement {number} differs from its SHA-256", hint=codecs.DAMAGED_HINT
            )
        yield entry, sql
    # The end of the member, with its own checksum, comes after its last byte.
    deque(pieces, maxlen=0)


def _walk(task: _Task, threads: int) -> Generator[tuple[MemberEntry, int], None, None]:
    """Yield each member, checked, with the rows counted in it, in file order."""
    ahead: deque[tuple[list[MemberEntry], Future[list[int]]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        for parts in compressed_members(task.manifest.members):
            first = parts[0]
            if len(parts) == 1 and is_large(first):
                yield from _results(ahead, 0)
                yield first, _check_streamed(task, first)
                continue
            data = task.file.read(first.offset, first.size)
            ahead.append((parts, pool.submit(_check_held, task, parts, data)))
            yield from _results(ahead, 2 * threads)
        yield from _results(ahead, 0)


def _results(
    ahead: "deque[tuple[list[MemberEntry], Future[list[int]]]]", left: int
) -> Iterator[tuple[MemberEntry, int]]:
    """Yield what is done, until only some are under way."""
    while len(ahead) > left:
        parts, future = ahead.popleft()
        yield from zip(parts, future.result(), strict=True)


def _check_held(task: _Task, parts: list[MemberEntry], data: bytes) -> list[int]:
    first = parts[0]
    source = task.source(first, is_shared=len(parts) > 1)
    require_digest(hashlib.sha256(data).hexdigest(), first.sha256, source=source)
    if not task.includes(VerifyLevel.INFLATE):
        return [0] * len(parts)
    raw_size = sum(part.raw_size for part in parts)
    raw = codecs.inflate(task.codec, data, raw_size=raw_size, source=source)
    return [_check_content(task, part, iter((text_of(part, raw),))) for part in parts]


def text_of(part: MemberEntry, raw: bytes) -> memoryview:
    """Cut a part out of the text of its member."""
    return memoryview(raw)[part.within : part.within + part.raw_size]


def _check_streamed(task: _Task, member: MemberEntry) -> int:
    source = task.source(member)
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for block in blocks_of(task.file, member):
            digest.update(block)
            yield block

    rows = 0
    if task.includes(VerifyLevel.INFLATE):
        raw = codecs.inflated(task.codec, hashed(), raw_size=member.raw_size, source=source)
        rows = _check_content(task, member, raw)
    else:
        deque(hashed(), maxlen=0)
    require_digest(digest.hexdigest(), member.sha256, source=source)
    return rows


def _check_content(task: _Task, member: MemberEntry, raw: Iterator[bytes | memoryview]) -> int:
    if not task.includes(VerifyLevel.CONTENT):
        deque(raw, maxlen=0)
        return 0
    source = task.source(member)
    rows = 0
    for entry, sql in split(raw, member, source=source):
        if entry.kind is StatementKind.INSERT:
            found = count_rows(sql, source=source)
            if found != entry.rows:
                raise ChecksumMismatchError(
                    f"{source}: {found} rows in a statement of {entry.rows}",
                    hint=codecs.DAMAGED_HINT,
                )
            rows += found
    return rows
