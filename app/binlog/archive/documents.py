"""
What the archive says of itself, as JSON.

Every document is `{"sha256": "...", "content": {...}}` and a line end; the sum is that of the bytes of the
content, so that a changed document is told from one that was written so. That of an encrypted segment has
`, "signature": {...}` before the last brace: of the bytes of the content, by the installation that wrote it;
`stream.json` has one, too, from when on the archive is encrypted.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar

from pydantic import ValidationError

from app.domain.backups.manifest import Codec
from app.domain.document import adapter_of
from app.domain.keys import Signature
from app.domain.restores.log_archive import LogBreak
from app.errors import BinlogDamagedError, SignatureMismatchError


VERSION: Final = 1
# A segment's document has a line a second at most, and the names of its tables.
MOST_BYTES: Final = 64 << 20
_BEFORE: Final = b'{"sha256": "'
_BETWEEN: Final = b'", "content": '
_SIGNATURE: Final = b', "signature": '
_AFTER: Final = b"}\n"
_CONTENT: Final = slice(len(_BEFORE) + 64 + len(_BETWEEN), -len(_AFTER))
HINT: Final = "The archive of the binary log is damaged there: points behind it need a backup that was made later."

# Position in a file, and milliseconds since 1970 when everything before it had come from the server.
Received = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Identity:
    """
    What a server says of itself; hints for people, and never a proof that two are the same.

    Attributes:
        vendor: `mariadb` or `mysql`.
        version: As in `VERSION()`.
        server_id: Its setting.
        server_uuid: Of MySQL; empty for MariaDB.
        address: Where it was reached.
    """

    vendor: Literal["mariadb", "mysql"]
    version: str
    server_id: int
    server_uuid: str
    address: str


@dataclass(frozen=True, slots=True)
class StreamDocument:
    """
    A stream: the log of one server without a gap.

    Attributes:
        stream: Its id, 12 hexadecimal digits.
        began_at: ISO 8601 in UTC.
        settings: Variables of the server by name, which a replay depends on.
        first_file: The server's name of the file that the first kept segment is of.
        first_number: Number of that file, and the position in it.
        first_committed_ms: Commit time of the last transaction before that; 0 when there is none.
        breaks: In the order in which they were noted.
        ended_at: Empty while it goes on.
        ended_because: For people; empty while it goes on.
    """

    stream: str
    began_at: str
    identity: Identity
    settings: dict[str, str]
    first_file: str
    first_number: int
    first_start: int = 0
    first_committed_ms: int = 0
    breaks: tuple[LogBreak, ...] = ()
    ended_at: str = ""
    ended_because: str = ""
    format: int = VERSION


@dataclass(frozen=True, slots=True)
class Head:
    """
    What was known when a segment began.

    Attributes:
        stream: The stream.
        file: The server's name of the file.
        number: Its number.
        start: Position at which the segment begins.
        gtids: What the log had there; None when only the file's own list says it.
        format_event: The file's format description, base64; empty when the segment begins with it.
        is_framed: Whether the tail behind it is encrypted, and lies in frames.
    """

    stream: str
    file: str
    number: int
    start: int
    gtids: str | None
    format_event: str
    is_framed: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """
    A sealed part of a file.

    Attributes:
        head: What was known when it began.
        end: Position behind its last byte.
        border: Position behind its last whole transaction, before `end` only where the server died in one.
        next: The file that follows; an empty name after a stop of the server, None while more of this one does.
        has_checksums: Whether its events have CRC-32.
        codec: How it is compressed.
        size: Bytes on disk.
        raw_size: Bytes of the log.
        sha256: Of the bytes on disk.
        raw_sha256: Of the bytes of the log.
        previous: SHA-256 of the document of the segment before; empty for the first.
        gtids_before: What the log had at its start.
        gtids: What the log has at its end.
        format_event: The format description of its file, base64.
        events: How many events.
        transactions: How many whole transactions.
        last_file: File of the last transaction in it or before it; empty when there is none.
        last_start: Where that begins.
        committed_ms: Commit time of that transaction.
        tables: Databases and tables that its transactions opened.
        has_statement_dml: Whether rows come of statements that are executed again.
        clock: When its bytes were received.
        plain_by: Edition of the rules by which no transaction in it needs a look before a replay, see
            `caveats.EDITION`; 0 = they do.
        breaks: How many of the stream's breaks were known when it was sealed.
        stream_sha256: SHA-256 of what `stream.json` said then and may never say otherwise, see `stream_digest`;
            empty in those of before.
        recipients: Ids of those for whom it is encrypted; none = it is not.
        hidden: Where it is encrypted, `Hidden` for the same, in base64; what that tells is left out here.
        echo: Where it is encrypted, for the archiver alone and in base64: the SHA-256 of its bytes from its last
            transaction on, or of all when it has none; by it the archiver proves that a log goes on.
    """

    head: Head
    end: int
    border: int
    next: str | None
    has_checksums: bool
    codec: Codec
    size: int
    raw_size: int
    sha256: str
    raw_sha256: str
    previous: str
    gtids_before: str
    gtids: str
    format_event: str
    events: int
    transactions: int
    last_file: str
    last_start: int
    committed_ms: int
    tables: tuple[tuple[str, str], ...]
    has_statement_dml: bool
    clock: tuple[Received, ...] = field(default=())
    plain_by: int = 0
    breaks: int = 0
    stream_sha256: str = ""
    recipients: tuple[str, ...] = ()
    hidden: str = ""
    echo: str = ""
    format: int = VERSION


@dataclass(frozen=True, slots=True)
class Hidden:
    """What nobody may know of an encrypted segment without an identity; see `Segment`."""

    raw_sha256: str
    tables: tuple[tuple[str, str], ...]
    has_statement_dml: bool
    plain_by: int = 0


Document = TypeVar("Document", StreamDocument, Head, Segment, Hidden)


class Form(Generic[Document]):
    """How one kind of document is written and read."""

    _kind: type[Document]

    def __init__(self, kind: type[Document]) -> None:
        self._kind = kind

    def dump(self, document: Document, sign: Callable[[bytes], Signature] | None = None) -> bytes:
        """Return the bytes of a document; with `sign` they are signed."""
        content = adapter_of(self._kind).dump_json(document)
        return _framed(content, adapter_of(Signature).dump_json(sign(content)) if sign else b"")

    def parse(self, data: bytes, name: str) -> Document:
        """
        Read a document.

        Args:
            data: All its bytes.
            name: Of its file, for messages.

        Returns:
            It, understood as a whole.

        Raises:
            BinlogDamagedError: It is not what was written, or of a newer version.
        """
        content, signature = _parts(data)
        if data != _framed(content, signature):
            raise BinlogDamagedError(f"{name}: it is not what was written", hint=HINT)
        try:
            document: Document = adapter_of(self._kind).validate_json(content)
        except ValidationError:
            raise BinlogDamagedError(
                f"{name}: it cannot be understood", hint="A newer Backstay may have written it."
            ) from None
        if getattr(document, "format", VERSION) != VERSION:
            raise BinlogDamagedError(
                f"{name}: it is of a newer format", hint="Read it with the Backstay that wrote it."
            )
        return document


def stream_digest(document: StreamDocument, breaks: int) -> str:
    """
    Return the SHA-256 of what a stream's document may never say otherwise.

    Args:
        document: It.
        breaks: How many of the first of its breaks count; others may follow.

    Returns:
        64 hexadecimal digits.
    """
    identity = document.identity
    lasting = [
        [document.stream, document.began_at],
        [identity.vendor, identity.version, identity.server_id, identity.server_uuid, identity.address],
        sorted(document.settings.items()),
        [[found.at, found.number, found.position, found.reason] for found in document.breaks[:breaks]],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(lasting, separators=(",", ":")).encode()).hexdigest()


def is_signed(data: bytes) -> bool:
    """Tell whether a document has a signature, whatever that is worth."""
    return bool(_parts(data)[1])


def signature_of(data: bytes, name: str) -> tuple[bytes, Signature]:
    """
    Take a document apart whose signature is to be verified.

    Returns:
        What was signed of it, and the signature.

    Raises:
        SignatureMismatchError: It has none.
    """
    content, signature = _parts(data)
    try:
        return content, adapter_of(Signature).validate_json(signature)
    except ValidationError:
        raise SignatureMismatchError(
            f"{name}: it is not signed, as it was written", hint="Somebody has changed it."
        ) from None


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """Return content and signature; in JSON of ours the mark stands nowhere else."""
    body = data[_CONTENT]
    content, mark, signature = body.rpartition(_SIGNATURE)
    return (content, signature) if mark else (body, b"")


def _framed(content: bytes, signature: bytes = b"") -> bytes:
    digest = hashlib.sha256(content).hexdigest().encode()
    signed = _SIGNATURE + signature if signature else b""
    return b"".join((_BEFORE, digest, _BETWEEN, content, signed, _AFTER))


STREAMS: Final = Form(StreamDocument)
HEADS: Final = Form(Head)
SEGMENTS: Final = Form(Segment)
HIDDEN: Final = Form(Hidden)
