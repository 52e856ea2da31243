"""
Names in the archive; of the server's own names none becomes one of ours.

`binlog/<stream>/`: `stream.json`, and of each segment `<file number>_<start>` with `.binlog.gz`, `.binlog.zst`
or `.binlog` for its bytes, and `.age` behind that where they are encrypted, and `.json` for what is known of
them, which is published last. While it grows it is `.tail`, and `.head` is what was known when it began.
"""

import re
import secrets
from pathlib import Path
from typing import Final, NamedTuple

from app.domain.backups.manifest import Codec
from app.storage.local import LocalDirectory


FOLDER: Final = "binlog"
STREAM: Final = "stream.json"
LOCK: Final = ".archiver.lock"
LEASE: Final = ".reading.lock"
READER: Final = "reader.json"
ARCHIVER: Final = "archiver.json"
HEAD: Final = ".head"
TAIL: Final = ".tail"
DOCUMENT: Final = ".json"
ENCRYPTED: Final = ".age"
DATA: Final = {Codec.GZIP: ".binlog.gz", Codec.ZSTD: ".binlog.zst", Codec.NONE: ".binlog"}
_STREAM_ID: Final = re.compile(r"[0-9a-f]{12}")
_NAME: Final = re.compile(r"(?P<number>[0-9]{10})_(?P<start>[0-9]{12})(?P<kind>\.[a-z.]+)")
_SERVER_FILE: Final = re.compile(r".*\.(?P<number>[0-9]{1,10})", re.DOTALL)


class Stem(NamedTuple):
    """
    What the files of one segment have in common.

    Attributes:
        number: Of the server's file.
        start: Position in it.
    """

    number: int
    start: int

    def __str__(self) -> str:
        """Return the beginning of their names."""
        return f"{self.number:010}_{self.start:012}"


# In it and before it nothing lies: where a stream begins of which nothing stays.
BEHIND_ALL: Final = Stem(10**10 - 1, 0)


def parse_name(name: str) -> tuple[Stem, str] | None:
    """Take a name apart into its stem and what follows; None when it is none of ours."""
    found = _NAME.fullmatch(name)
    return found and (Stem(int(found["number"]), int(found["start"])), found["kind"])


def file_number(name: str) -> int | None:
    """Return the number of a server's file, such as 12 of `binlog.000012`; None without one."""
    found = _SERVER_FILE.fullmatch(name)
    return int(found["number"]) if found else None


def new_stream_id() -> str:
    """Make the id of a stream."""
    return secrets.token_hex(6)


def root_of(backups: Path) -> Path:
    """Return where the archive of a backup directory lies."""
    return backups / FOLDER


def is_stream_id(text: str) -> bool:
    """Tell whether a folder is that of a stream."""
    return _STREAM_ID.fullmatch(text) is not None


def stream_directory(root: Path, stream_id: str) -> LocalDirectory:
    """Return the directory of a stream."""
    if not is_stream_id(stream_id):
        raise ValueError(stream_id)
    return LocalDirectory(root / stream_id)


def stream_ids(root: LocalDirectory) -> list[str]:
    """List the streams in no order; raises StorageError."""
    return [name for name in root.names() if is_stream_id(name)] if root.is_there() else []
