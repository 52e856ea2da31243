"""
Settings: environment variables that begin with BACKSTAY_, and a `.env` file.

docs/settings.md lists them; a test keeps that list complete.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import InvalidRequestError


# More connections than cores of a typical server only queue up there.
_MOST_THREADS = 4


class Settings(BaseSettings):
    """
    What an installation sets.

    Attributes:
        database_url: The server to back up: `mysql://user:password@host:3306/database`; without a
            database all of them.
        backup_dir: Where backups are kept.
        state_dir: Where the program keeps its own state.
        control_url: The control database; empty = SQLite in `state_dir`.
        codec: How backups are compressed.
        compress: False writes plain SQL whatever `codec` says.
        verify_integrity: Whether a new backup is read back before it counts.
        chunk_bytes: Target size of one SQL statement, in bytes.
        threads: Connections to the server.
        undo_minutes: How long a restore keeps what it replaced; 0 drops it at once.
        timeout: Seconds without progress after which a run fails.
        jwt_secret: Signs access tokens; empty = one is made in `state_dir`.
        jwt_old_secrets: Secrets that are still accepted, separated by white space.
        jwt_issuer: Who may have made a token.
        jwt_audience: Whom a token must be for.
        access_minutes: How long an access token is good.
        session_days: How long a login may stay unused.
        admin_password: Password of the user `admin`, who is made when there are no users at all.
        shutdown_seconds: How long running work may go on when the service is stopped.
        trusted_proxies: Addresses whose `X-Forwarded-For` is believed, separated by commas.
    """

    model_config = SettingsConfigDict(
        env_prefix="BACKSTAY_", env_file=".env", extra="ignore", frozen=True
    )

    database_url: SecretStr = SecretStr("")
    backup_dir: Path = Path("backups")
    state_dir: Path = Path("state")
    control_url: SecretStr = SecretStr("")
    codec: Literal["gzip", "zstd", "none"] = "gzip"
    compress: bool = True
    verify_integrity: bool = True
    chunk_bytes: Annotated[int, Field(ge=16 << 10, le=16 << 20)] = 1 << 20
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: max(1, min(_MOST_THREADS, os.cpu_count() or 1))
    )
    undo_minutes: Annotated[float, Field(ge=0)] = 60.0
    timeout: Annotated[float, Field(gt=0)] = 300.0
    jwt_secret: SecretStr = SecretStr("")
    jwt_old_secrets: SecretStr = SecretStr("")
    jwt_issuer: Annotated[str, Field(min_length=1)] = "backstay"
    jwt_audience: Annotated[str, Field(min_length=1)] = "backstay"
    access_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0
    session_days: Annotated[float, Field(gt=0)] = 30.0
    admin_password: SecretStr = SecretStr("")
    shutdown_seconds: Annotated[float, Field(ge=0)] = 0.0
    trusted_proxies: str = ""

    @field_validator("backup_dir", "state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def control_address(self) -> str:
        """Address of the control database, with its password."""
        given = self.control_url.get_secret_value()
        return given or f"sqlite+aiosqlite:///{self.state_dir / 'control.db'}"


def load_settings() -> Settings:
    """
    Read the settings.

    Returns:
        Checked settings, paths absolute.

    Raises:
        InvalidRequestError: A value makes no sense; named by its variable, never shown.
    """
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = "BACKSTAY_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InvalidRequestError(f"{name}: {first['msg']}", hint="See docs/settings.md.") from exc
