"""
Making a manifest again from nothing but the data file.

1. Walk the file from its first byte. A gzip member or zstd frame tells its own end; so the walk
   finds offset, size, raw size and SHA-256 of every member. A plain file is cut by the length in
   its last line instead, and walked by the footer's own index.
2. Decode the manifest in the last member, the footer.
3. Compare the footer's index with the walk, add the footer itself and the facts of the file.

Not guaranteed: the duration, which the footer could not know to the end.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from app.archive.file import codec as codecs
from app.archive.file.content import Content
from app.archive.file.footer import TRAILER_BYTES, footer_size, read_footer
from app.archive.file.index import check_index, compressed_members
from app.archive.file.verification import verify_file
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import (
    Codec,
    Manifest,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
)
from app.domain.backups.seal import MAX_MANIFEST_BYTES
from app.errors import ChecksumMismatchError, ManifestError, TruncatedFileError
from app.storage.files import RangedFile
from app.storage.layout import BackupName


# Small: what is left of a block after a member's end is copied once a member.
_SCAN_BYTES: Final = 64 << 10
_HINT: Final = codecs.DAMAGED_HINT


@dataclass(frozen=True, slots=True)
class _Found:
    """One member as the walk sees it."""

    offset: int
    size: int
    raw_size: int
    sha256: str


def salvage(file: Content, name: BackupName) -> Manifest:
    """
    Rebuild the manifest of a data file and prove the file with it.

    Args:
        file: Of a locked file.
        name: What its name says.

    Returns:
        A manifest with which the file verifies, digests and decompression included.

    Raises:
        TruncatedFileError: The file ends inside a member.
        ChecksumMismatchError: A member is damaged, or bytes follow the footer.
        ManifestError: There is no footer, or it does not describe this file.
        StorageError: The medium does not answer.
    """
    found = list(_walk_plain(file) if name.codec is Codec.NONE else _walk(file, name.codec))
    last = found[-1]
    if last.raw_size > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{file.name}: does not end with a footer", hint=_HINT)
    data = file.read(last.offset, last.size)
    raw = codecs.inflate(name.codec, data, raw_size=last.raw_size, source=file.name)
    draft = read_footer(raw, source=file.name)
    if name.codec is not Codec.NONE:
        _compare(draft, found[:-1], file.name)
    manifest = _complete(draft, last, raw, file)
    if (manifest.file, manifest.backup_id) != (name.file, name.backup_id):
        raise ManifestError(f"{file.name}: holds the footer of {manifest.file[:120]!r}")
    check_index(manifest)
    verify_file(file, manifest, VerifyLevel.INFLATE)
    return manifest


def _walk(file: Content, codec: Codec) -> Iterator[_Found]:
    offset = 0
    while offset < file.size:
        found = _walk_member(file, codec, offset)
        yield found
        offset += found.size
    if offset == 0:
        raise TruncatedFileError(f"{file.name}: is empty", hint=_HINT)


def _walk_member(file: Content, codec: Codec, offset: int) -> _Found:
    source = f"{file.name}: member at byte {offset}"
    stream = codecs.MemberStream(codec)
    digest = hashlib.sha256()
    position, raw_size = offset, 0
    while not stream.eof:
        block = file.read_some(position, _SCAN_BYTES)
        if not block:
            raise TruncatedFileError(f"{source}: ends too early", hint=_HINT)
        raw_size += sum(len(piece) for piece in stream.pieces(block, source=source))
        used = len(block) - stream.unused
        digest.update(memoryview(block)[:used])
        position += used
    return _Found(offset, position - offset, raw_size, digest.hexdigest())


def _walk_plain(file: Content) -> Iterator[_Found]:
    """Find the footer of a plain file by its last line."""
    start = max(file.size - TRAILER_BYTES, 0)
    tail = file.read(start, file.size - start)
    size = footer_size(tail, source=file.name)
    if size > file.size:
        raise TruncatedFileError(f"{file.name}: shorter than its footer", hint=_HINT)
    offset = file.size - size
    digest = hashlib.sha256(file.read(offset, min(size, MAX_MANIFEST_BYTES))).hexdigest()
    yield _Found(offset, size, size, digest)


def _compare(draft: Manifest, found: list[_Found], source: str) -> None:
    listed = [
        _Found(first.offset, first.size, sum(part.raw_size for part in parts), first.sha256)
        for parts in compressed_members(draft.members)
        for first in parts[:1]
    ]
    if len(listed) != len(found):
        raise ManifestError(
            f"{source}: {len(found)} members, the footer lists {len(listed)}", hint=_HINT
        )
    for number, (there, here) in enumerate(zip(listed, found, strict=True)):
        if there != here:
            raise ChecksumMismatchError(
                f"{source}: member {number} is not what the footer lists", hint=_HINT
            )


def _complete(draft: Manifest, last: _Found, raw: bytes, file: Content) -> Manifest:
    """Add the footer's own member, and the facts of the whole file."""
    footer = MemberEntry(
        kind=MemberKind.FOOTER,
        offset=last.offset,
        size=last.size,
        raw_size=last.raw_size,
        sha256=last.sha256,
        statements=(StatementEntry(StatementKind.TEXT, len(raw), hashlib.sha256(raw).hexdigest()),),
    )
    return replace(
        draft,
        members=(*draft.members, footer),
        raw_size=draft.raw_size + last.raw_size,
        size=file.stored.size,
        checksum=_digest_of(file.stored),
    )


def _digest_of(file: RangedFile) -> str:
    digest = hashlib.sha256()
    for offset in range(0, file.size, codecs.BLOCK_BYTES):
        digest.update(file.read(offset, min(codecs.BLOCK_BYTES, file.size - offset)))
    return digest.hexdigest()
