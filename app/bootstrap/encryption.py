"""The keys of backups, put together."""

from collections.abc import Sequence

from app.archive.catalogue.known_lines import KnownLines, known_lines
from app.binlog.archive.keys import LogKeys
from app.config import Settings
from app.security.archive_keys import InstallationKeys
from app.security.backup_keys import BackupKeys, IdentitySources
from app.security.log_key import LogKey
from app.security.signers import Signers


def build_archive_keys(settings: Settings, accepted: Sequence[str] = ()) -> InstallationKeys:
    """Make the keys that archives are made and read with; `accepted` signers are believed as well."""
    return InstallationKeys(build_backup_keys(settings), build_signers(settings), accepted)


def build_log_keys(settings: Settings, backups: InstallationKeys) -> LogKeys:
    """Make the keys of the archive of the binary log: those of backups, and one that reads its growing end."""
    return LogKeys(backups, LogKey(settings.state_dir))


def build_known_lines(settings: Settings, accepted: Sequence[str], place: str) -> KnownLines:
    """Open what is remembered of encrypted backups; nothing of it where somebody is believed for once."""
    return known_lines(None if accepted else settings.state_dir, place)


def build_backup_keys(settings: Settings) -> BackupKeys:
    """Make the keys that encrypt and decrypt."""
    sources = IdentitySources(
        text=settings.identity,
        file=settings.identity_file,
        passphrase=settings.identity_passphrase,
        command=settings.identity_command,
    )
    return BackupKeys(settings.encrypt_to, sources)


def build_signers(settings: Settings) -> Signers:
    """Make those who sign."""
    return Signers(settings.state_dir, settings.signers)
