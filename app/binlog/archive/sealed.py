"""Sealed segments as they are read back: documents, and the bytes that they describe."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from app.age.reader import open_header
from app.archive.file.codec import inflated
from app.archive.file.content import HashedContent
from app.binlog.archive.documents import (
    HIDDEN,
    HINT,
    MOST_BYTES,
    SEGMENTS,
    Hidden,
    Segment,
    signature_of,
)
from app.binlog.archive.keys import LogKeys
from app.binlog.archive.layout import DATA, DOCUMENT, ENCRYPTED, HEAD, TAIL, Stem
from app.binlog.archive.tail import BLOCK_BYTES
from app.binlog.events.headers import Malformed
from app.binlog.events.scan import Scan
from app.domain.backups.manifest import Codec
from app.errors import (
    BinlogDamagedError,
    ChecksumMismatchError,
    DecryptionFailedError,
    StorageUnavailableError,
    TruncatedFileError,
)
from app.storage.files import RangedFile
from app.storage.local import LocalDirectory


class Sealed(NamedTuple):
    """
    A segment, and the SHA-256 of its document, which the next one names.

    Attributes:
        segment: The segment.
        digest: 64 hexadecimal digits.
    """

    segment: Segment
    digest: str

    @property
    def stem(self) -> Stem:
        """What its files are called."""
        return stem_of(self.segment)

    @property
    def data_name(self) -> str:
        """Name of the file of its bytes."""
        return data_name(self.stem, self.segment.codec, is_encrypted=self.is_encrypted)

    @property
    def follower(self) -> Stem:
        """What the files of the segment behind it are called."""
        if self.segment.next is None:
            return Stem(self.segment.head.number, self.segment.end)
        return Stem(self.segment.head.number + 1, 0)

    @property
    def is_encrypted(self) -> bool:
        """Tell whether its bytes need an identity."""
        return bool(self.segment.recipients)


def data_name(stem: Stem, codec: Codec, *, is_encrypted: bool) -> str:
    """Return what the file of the bytes of a segment is called."""
    return f"{stem}{DATA[codec]}{ENCRYPTED if is_encrypted else ''}"


def stem_of(segment: Segment) -> Stem:
    """Return what the files of a segment are called."""
    return Stem(segment.head.number, segment.head.start)


def hidden_of(sealed: Sealed, keys: LogKeys) -> Hidden:
    """Tell what is hidden of a segment, encrypted or not; raises NoIdentityError, BinlogDamagedError."""
    segment, name = sealed.segment, f"{sealed.stem}{DOCUMENT}"
    if not sealed.is_encrypted:
        return Hidden(
            segment.raw_sha256, segment.tables, segment.has_statement_dml, segment.plain_by
        )
    with _damage(name):
        return HIDDEN.parse(keys.open_hidden(base64.b64decode(segment.hidden), name), name)


def echo_of(sealed: Sealed, keys: LogKeys) -> str:
    """Return the SHA-256 of what must come again of an encrypted segment; raises as `hidden_of`."""
    name = f"{sealed.stem}{DOCUMENT}"
    with _damage(name):
        return keys.open_echo(base64.b64decode(sealed.segment.echo), name).decode()


def remove_tail(directory: LocalDirectory, stem: Stem) -> None:
    """Remove a tail that is sealed; raises StorageError."""
    directory.remove(f"{stem}{TAIL}")
    directory.remove(f"{stem}{HEAD}")
    directory.sync()


def read_document(directory: LocalDirectory, stem: Stem) -> Sealed:
    """Read the document of a segment; raises BinlogDamagedError, StorageError."""
    name = f"{stem}{DOCUMENT}"
    data = directory.read(name, MOST_BYTES)
    segment = SEGMENTS.parse(data, name)
    if stem_of(segment) != stem:
        raise BinlogDamagedError(f"{name}: it is of another segment", hint=HINT)
    return Sealed(segment, hashlib.sha256(data).hexdigest())


def require_signature(directory: LocalDirectory, sealed: Sealed, keys: LogKeys) -> None:
    """
    Require that somebody who is known has written a segment, and by the chain of documents all before it.

    Raises:
        SignatureMismatchError: It is not signed, or was changed.
        UnknownSignerError: Nobody here knows who wrote it.
        StorageError: The medium does not answer.
    """
    name = f"{sealed.stem}{DOCUMENT}"
    keys.backups.verify(*signature_of(directory.read(name, MOST_BYTES), name))


def sealed_blocks(directory: LocalDirectory, sealed: Sealed, keys: LogKeys) -> Iterator[bytes]:
    """
    Read the bytes of the log that a segment holds; blocks.

    Yields:
        Blocks in order; trust them only after the last one.

    Raises:
        BinlogDamagedError: They are not what was sealed.
        NoIdentityError: They are encrypted for others.
        StorageError: The medium does not answer.
    """
    segment, name = sealed.segment, sealed.data_name
    raw, expected = hashlib.sha256(), hidden_of(sealed, keys).raw_sha256
    with _damage(name), directory.open(name) as file:
        content = _opened(file, sealed, keys)
        for block in inflated(
            segment.codec, _all(content), raw_size=segment.raw_size, source=name, block=BLOCK_BYTES
        ):
            raw.update(block)
            yield block
        content.require_digest(segment.sha256)
    if raw.hexdigest() != expected:
        where = f"between positions {segment.head.start} and {segment.end} of {segment.head.file}"
        raise BinlogDamagedError(f"{name}: its SHA-256 is another one, {where}", hint=HINT)


def require_unchanged(directory: LocalDirectory, sealed: Sealed) -> None:
    """Prove the bytes of a segment as they lie there, unread; raises BinlogDamagedError, StorageError."""
    with _damage(sealed.data_name), directory.open(sealed.data_name) as file:
        content = HashedContent(file, None)
        for _ in _all(content):
            pass
        content.require_digest(sealed.segment.sha256)


def _opened(file: RangedFile, sealed: Sealed, keys: LogKeys) -> HashedContent:
    if not sealed.is_encrypted:
        return HashedContent(file, None)
    identities = keys.of_segments(file.name)
    return HashedContent(file, open_header(file.read, file.size, identities, source=file.name))


def _all(content: HashedContent) -> Iterator[bytes]:
    offset = 0
    while block := content.read_some(offset, BLOCK_BYTES):
        yield block
        offset += len(block)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except (ChecksumMismatchError, DecryptionFailedError, TruncatedFileError, ValueError) as exc:
        raise BinlogDamagedError(str(exc), hint=HINT) from exc
    except StorageUnavailableError as exc:
        if isinstance(exc.__cause__, FileNotFoundError):
            raise BinlogDamagedError(f"{name}: it is missing", hint=HINT) from exc
        raise


@contextmanager
def located(name: str, scan: Scan) -> Iterator[None]:
    """Say of what breaks a rule where it stands; raises BinlogDamagedError."""
    try:
        yield
    except Malformed as exc:
        raise BinlogDamagedError(f"{name}: at position {scan.position}: {exc}", hint=HINT) from exc
