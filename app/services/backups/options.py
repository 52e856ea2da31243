"""What somebody wants backed up, before the settings fill in the rest."""

from dataclasses import dataclass

from app.config import Settings
from app.domain.backups.backup import BackupRequest
from app.domain.backups.manifest import Codec


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """
    What somebody wants backed up; what they leave open, the settings decide.

    Attributes:
        compress: False means plain SQL, whatever the codec.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    codec: Codec | None = None
    compress: bool | None = None
    verify: bool | None = None
    accounts: bool = False
    recovery_point: bool = False
    threads: int | None = None
    schedule: str = ""

    def request(self, settings: Settings) -> BackupRequest:
        """Fill in what was left open."""
        compressed = settings.compress if self.compress is None else self.compress
        codec = self.codec or Codec(settings.codec if compressed else Codec.NONE)
        return BackupRequest(
            databases=self.databases,
            tables=self.tables,
            exclude_tables=self.exclude_tables,
            include_data=self.include_data,
            description=" ".join(self.description.split()),
            codec=Codec.NONE if self.compress is False else codec,
            verify=settings.verify_integrity if self.verify is None else self.verify,
            threads=self.threads or settings.threads,
            chunk_bytes=settings.chunk_bytes,
            accounts=self.accounts,
            recovery_point=self.recovery_point,
            schedule=self.schedule,
        )
