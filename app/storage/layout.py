"""
Names of files in a backup directory.

A name is a function of the backup id, the codec and whether it is encrypted, and only names made by these functions
are ever joined to a path: text of a user is parsed into an id first, or it names nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from app.domain.backups.manifest import Codec
from app.domain.ids import BackupId, instant_of, parse_backup_id
from app.errors import BackupNotFoundError


MANIFEST: Final = ".manifest.json"
PROOFS: Final = ".proofs.json"
NOTES: Final = ".notes.json"
PARTIAL: Final = ".partial"
REBUILD: Final = ".rebuild"
METADATA: Final = "metadata.json"
SIZES: Final = "sizes.json"
SCHEDULE: Final = "schedule.json"
LOCK: Final = ".lock"
HTACCESS: Final = ".htaccess"
# Files that are replaced as a whole, under the directory's lock.
REPLACED: Final = (METADATA, SIZES, SCHEDULE, HTACCESS)

SUFFIXES: Final = {Codec.GZIP: ".sql.gz", Codec.ZSTD: ".sql.zst", Codec.NONE: ".sql"}
# Behind the suffix of the codec, as `age` does it.
ENCRYPTED: Final = ".age"
_ID_BYTES: Final = len("backup_65ba1f2f3d4e5")


# Every survey of a directory asks for the same names, several times each.
@lru_cache(maxsize=1 << 15)
def _file_of(backup_id: BackupId, codec: Codec, *, is_encrypted: bool) -> str:
    moment = instant_of(backup_id)
    ending = SUFFIXES[codec] + (ENCRYPTED if is_encrypted else "")
    return f"backup_{moment:%Y-%m-%d_%H-%M-%S}_{backup_id}{ending}"


@dataclass(frozen=True, slots=True)
class BackupName:
    """
    The name of a backup's data file, taken apart.

    Attributes:
        file: Such as `backup_2024-01-31_10-22-07_backup_65ba1f2f3d4e5.sql.gz`.
        manifest: Name of the manifest beside it.
        is_encrypted: Whether it is a file of age around that of the codec.
    """

    backup_id: BackupId
    codec: Codec
    is_encrypted: bool = False

    @property
    def file(self) -> str:
        """Name of the data file."""
        return _file_of(self.backup_id, self.codec, is_encrypted=self.is_encrypted)

    @property
    def manifest(self) -> str:
        """Name of the manifest; publishing it is what makes the backup exist."""
        return self.file + MANIFEST

    @property
    def proofs(self) -> str:
        """Name of what restores of the backup have shown."""
        return self.file + PROOFS

    @property
    def notes(self) -> str:
        """Name of what was noted about the backup later: its pin, and its checks."""
        return self.file + NOTES

    @property
    def partial(self) -> str:
        """Name of the data file while it is being written."""
        return self.file + PARTIAL

    @property
    def tombstone(self) -> str:
        """Name of a manifest that is not yet, or no longer, published."""
        return self.manifest + PARTIAL

    @property
    def rebuild(self) -> str:
        """Name of a manifest while it is made again from its data file."""
        return self.manifest + REBUILD


@lru_cache(maxsize=1 << 15)
def parse(file: str) -> BackupName | None:
    """
    Take the name of a data file apart.

    Returns:
        None for every name that we would not have given.
    """
    stem = file.removesuffix(ENCRYPTED)
    for codec, suffix in SUFFIXES.items():
        if not stem.endswith(suffix):
            continue
        try:
            backup_id = parse_backup_id(stem.removesuffix(suffix)[-_ID_BYTES:])
        except BackupNotFoundError:
            return None
        name = BackupName(backup_id, codec, is_encrypted=stem != file)
        return name if name.file == file else None
    return None


def candidates(backup_id: BackupId, *, encrypted_first: bool = False) -> tuple[BackupName, ...]:
    """
    Return the names that a backup may have.

    Args:
        backup_id: Of the backup.
        encrypted_first: Where backups are encrypted nobody is to slip a plain one in before a signed one.

    Returns:
        Two a codec, likely ones first: each is looked for.
    """
    return tuple(
        BackupName(backup_id, codec, is_encrypted=is_encrypted)
        for is_encrypted in (encrypted_first, not encrypted_first)
        for codec in Codec
    )


def join(directory: str, name: str) -> str:
    """
    Make a path of a name that this program made.

    Returns:
        `directory/name`.

    Raises:
        ValueError: It is a path, not a name: a bug, since users' text never gets here.
    """
    if not name or name in {".", ".."} or "/" in name or "\0" in name:
        raise ValueError(f"not a file name: {name!r}")
    return f"{directory}/{name}"
