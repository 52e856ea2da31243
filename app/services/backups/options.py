"""What somebody wants backed up, before the settings fill in the rest."""

from dataclasses import dataclass

from app.config import Settings
from app.domain.backups.backup import BackupRequest, require_level
from app.domain.backups.manifest import Codec


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """
    What somebody wants backed up; what they leave open, the settings decide.

    Attributes:
        compress: False means plain SQL, whatever the codec.
        level: Of compression; where none is given, that of the settings goes with their codec.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    include_data: bool = True
    description: str = ""
    codec: Codec | None = None
    level: int | None = None
    compress: bool | None = None
    verify: bool | None = None
    accounts: bool = False
    recovery_point: bool = False
    threads: int | None = None
    schedule: str = ""

    def request(self, settings: Settings) -> BackupRequest:
        """Fill in what was left open; raises InvalidRequestError for a level that there is not."""
        codec = self._codec(settings)
        level = self.level
        if level is None and codec == settings.codec:
            level = settings.level
        require_level(codec, level)
        return BackupRequest(
            databases=self.databases,
            tables=self.tables,
            exclude_tables=self.exclude_tables,
            include_data=self.include_data,
            description=" ".join(self.description.split()),
            codec=codec,
            level=level,
            verify=settings.verify_integrity if self.verify is None else self.verify,
            threads=self.threads or settings.threads,
            chunk_bytes=settings.chunk_bytes,
            accounts=self.accounts,
            recovery_point=self.recovery_point,
            schedule=self.schedule,
        )

    def _codec(self, settings: Settings) -> Codec:
        if self.compress is False:
            return Codec.NONE
        compressed = self.compress or settings.compress
        return self.codec or Codec(settings.codec if compressed else Codec.NONE)
