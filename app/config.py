"""
Settings: environment variables that begin with BACKSTAY_, and a `.env` file.

docs/settings.md lists them; a test keeps that list complete.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.env_file import ENV_FILE, read_env_file, require_env_file
from app.errors import InvalidRequestError
from app.ownership import require_own_directories


# More than a server has cores only queue up; one more than ours keeps all busy while it waits: a tenth faster on two.
_MOST_THREADS = 4
# A century: what is longer is a mistake, and ends where the calendar of the program does.
_MOST_DAYS = 36_500
_MOST_MINUTES = _MOST_DAYS * 24 * 60
_MOST_SECONDS = 366 * 24 * 60 * 60
PREFIX: Final = "BACKSTAY_"
# Empty, or an address of a browser without anything that could break a message or hide a secret.
_WEB_ADDRESS: Final = r"^(https?://[^\s@?#]+)?$"
_SECRET: Final = re.compile("SECRET-KEY|PRIVATE KEY", re.IGNORECASE)
_Days = Annotated[float, Field(ge=0, le=_MOST_DAYS)]


class Settings(BaseSettings):
    """
    What an installation sets.

    Attributes:
        database_url: The server: `mysql://user:password@host:3306/database`; without a database all of them.
        backup_dir: Where backups are kept.
        state_dir: Where the program keeps its own state.
        control_url: The control database; empty = SQLite in `state_dir`.
        codec: How backups are compressed.
        level: How much time that may take: gzip 1 to 9, zstd 1 to 19; None = the codec's default.
        compress: False writes plain SQL whatever `codec` says.
        verify_integrity: Whether a new backup is read back before it counts.
        encrypt_to: For whom new backups are encrypted: recipients of age, separated by white space;
            empty = they are not.
        identity: Identities that read what is encrypted, separated by white space.
        identity_file: File of such identities; None = there is none.
        identity_passphrase: Of that file, and of what the command prints.
        identity_command: Program that prints such a file, with its arguments; run without a shell.
        signers: Public keys of other installations whose signatures are taken, separated by white space.
        chunk_bytes: Target size of one SQL statement, in bytes.
        threads: Connections to the server.
        rows: Who makes SQL text of rows: compiled code, the server, or whichever is faster.
        undo_minutes: How long a restore keeps what it replaced; 0 drops it at once.
        timeout: Seconds without progress after which a run fails.
        jwt_secret: Signs access tokens; empty = one is made in `state_dir`.
        jwt_old_secrets: Secrets that are still accepted, separated by white space.
        jwt_issuer: Who may have made a token.
        jwt_audience: Whom a token must be for.
        access_minutes: How long an access token is good.
        session_days: How long a login may stay unused.
        admin_password: Password of the user `admin`, who is made when there are no users at all.
        audit_key: Seals the audit; empty = one is made in `state_dir`. Older ones may follow, separated by
            white space.
        audit_days: Older entries of the audit are removed; 0 = none.
        audit_refused_rows: Most entries an hour that refused requests add to the audit.
        shutdown_seconds: How long running work may go on when the service is stopped.
        installation_name: What pages call this one, such as `production`; at most 40 characters.
        public_url: Where people find the pages, such as `https://backups.example.com`; messages lead there.
        trusted_proxies: Addresses whose `X-Forwarded-For` is believed, separated by commas.
        timezone: Zone of schedules that name none, and of the checks; an IANA name.
        catch_up: Whether a backup that was missed while the service was down is made up once.
        overdue_minutes: How long after a due time without a success an alert is sent.
        max_backups: How many of the newest backups of each schedule are kept; 0 = not by count.
        keep_days: Keep all that are younger; 0 = no such rule, as for all that follow.
        keep_hourly: Keep the newest of each of the last so many hours.
        keep_daily: The same for days.
        keep_weekly: The same for weeks.
        keep_monthly: The same for months.
        keep_yearly: The same for years.
        max_days: Nothing older is kept, whatever the other rules say.
        max_total_bytes: What the backups of one schedule may take in all.
        recovery_point_days: How long a recovery point is kept.
        check_cron: When stored backups are checked.
        check_sizes_days: Each is checked on this level after so many days; 0 = never, like the next.
        check_hashes_days: The same for the SHA-256 of every byte.
        check_content_days: The same for decompressing and counting the rows.
        drill_days: How often the newest backup is restored into scratch schemas.
        recovery_drill_days: How often a recovery to a point in time is drilled, where the log is archived.
        stores: Stores besides those of `stores.toml`: `name=kind://...`, separated by white space.
        binlog: Whether the service archives the binary log of its server.
        binlog_days: For how long points in time are wanted; 0 = as far back as backups reach.
        binlog_lag_seconds: How far that archive may be behind the server before an alert is sent.
        binlog_stores: Stores that it is copied to, separated by white space.
        alert_urls: Where alerts go: addresses of apprise, separated by white space; `kind,kind=URL`
            takes only those.
        alert_schemes: Which schemes of addresses are allowed, separated by commas.
        alert_repeat_hours: After how long the alert of a condition that lasts is sent again.
        ping_urls: Dead-man services: `URL` or `schedule=URL`, separated by white space.
        disk_floor_bytes: An alert is sent when less is free where backups are kept.
        unusual_percent: An alert is sent when a backup differs from those before it by more.
        certificate_days: An alert is sent so many days before a certificate expires.
        max_connections: How many connections the API takes at once; fewer where descriptors are scarce.
        max_client_connections: How many of them from one address, or requests at once of one client
            behind a trusted proxy.
        header_seconds: How long the headers of a request may take.
        body_seconds: How long its body may take after that.
        answer_seconds: How long an answer may wait for somebody who reads it.
        max_downloads: How many backups may be downloaded at once.
        download_hours: How long one download may take.
        max_server_connections: How many connections one process opens to the server, in sum over all runs.
        max_verifications: How many verifications that somebody asked for go on at once.
        max_drills: The same for drills.
        max_dry_runs: The same for dry runs.
        max_restores: The same for restores, of different databases.
        scratch_bin: Directory of the server programs for recoveries; None = where this machine has them.
        server_time_zone: Zone of the server's machine, an IANA name; empty = UTC, or it does not matter.
        metrics_token: Who reads `/metrics` must send it; empty = everybody may.
        log_level: The least that is logged.
        log_format: `line`, `json`, or `auto`: lines on a terminal, JSON otherwise.
        log_file: File for the log; None = stderr.
        log_max_bytes: Size at which it is rotated.
        log_keep: How many old files are kept.
        log_repeats: How many lines of a kind are logged in a minute; 0 = all.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True
    )

    database_url: SecretStr = SecretStr("")
    backup_dir: Path = Path("backups")
    state_dir: Path = Path("state")
    control_url: SecretStr = SecretStr("")
    codec: Literal["gzip", "zstd", "none"] = "gzip"
    level: Annotated[int | None, Field(ge=1, le=19)] = None
    compress: bool = True
    verify_integrity: bool = True
    encrypt_to: str = ""
    identity: SecretStr = SecretStr("")
    identity_file: Path | None = None
    identity_passphrase: SecretStr = SecretStr("")
    identity_command: SecretStr = SecretStr("")
    signers: str = ""
    chunk_bytes: Annotated[int, Field(ge=16 << 10, le=16 << 20)] = 1 << 20
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default_factory=lambda: min(_MOST_THREADS, (os.cpu_count() or 1) + 1)
    )
    rows: Literal["auto", "native", "server"] = "auto"
    undo_minutes: Annotated[float, Field(ge=0, le=_MOST_MINUTES)] = 60.0
    timeout: Annotated[float, Field(gt=0, le=_MOST_SECONDS)] = 300.0
    jwt_secret: SecretStr = SecretStr("")
    jwt_old_secrets: SecretStr = SecretStr("")
    jwt_issuer: Annotated[str, Field(min_length=1)] = "backstay"
    jwt_audience: Annotated[str, Field(min_length=1)] = "backstay"
    access_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0
    session_days: Annotated[float, Field(gt=0, le=_MOST_DAYS)] = 30.0
    admin_password: SecretStr = SecretStr("")
    audit_key: SecretStr = SecretStr("")
    audit_days: _Days = 400.0
    audit_refused_rows: Annotated[int, Field(ge=4, le=100_000)] = 120
    shutdown_seconds: Annotated[float, Field(ge=0, le=_MOST_SECONDS)] = 0.0
    installation_name: Annotated[str, Field(max_length=40)] = ""
    public_url: Annotated[str, Field(pattern=_WEB_ADDRESS)] = ""
    trusted_proxies: str = ""
    timezone: str = "UTC"
    catch_up: bool = True
    overdue_minutes: Annotated[float, Field(gt=0, le=_MOST_MINUTES)] = 90.0
    max_backups: Annotated[int, Field(ge=0)] = 30
    keep_days: _Days = 0.0
    keep_hourly: Annotated[int, Field(ge=0)] = 0
    keep_daily: Annotated[int, Field(ge=0)] = 0
    keep_weekly: Annotated[int, Field(ge=0)] = 0
    keep_monthly: Annotated[int, Field(ge=0)] = 0
    keep_yearly: Annotated[int, Field(ge=0)] = 0
    max_days: _Days = 0.0
    max_total_bytes: Annotated[int, Field(ge=0)] = 0
    recovery_point_days: _Days = 7.0
    check_cron: str = "0 4 * * *"
    check_sizes_days: _Days = 1.0
    check_hashes_days: _Days = 7.0
    check_content_days: _Days = 30.0
    drill_days: _Days = 30.0
    recovery_drill_days: _Days = 30.0
    stores: SecretStr = SecretStr("")
    binlog: bool = False
    binlog_days: _Days = 0.0
    binlog_lag_seconds: Annotated[float, Field(gt=0, le=_MOST_SECONDS)] = 300.0
    binlog_stores: str = ""
    alert_urls: SecretStr = SecretStr("")
    alert_schemes: str = (
        "mailto,mailtos,slack,workflows,discord,mmost,mmosts,rocket,rockets,json,jsons"
    )
    alert_repeat_hours: Annotated[float, Field(gt=0, le=_MOST_DAYS * 24)] = 24.0
    ping_urls: SecretStr = SecretStr("")
    disk_floor_bytes: Annotated[int, Field(ge=0)] = 1 << 30
    unusual_percent: Annotated[float, Field(ge=0, le=1e6)] = 50.0
    certificate_days: _Days = 14.0
    max_connections: Annotated[int, Field(ge=8, le=100_000)] = 200
    max_client_connections: Annotated[int, Field(ge=1, le=100_000)] = 50
    header_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    body_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    answer_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    max_downloads: Annotated[int, Field(ge=1, le=1000)] = 4
    download_hours: Annotated[float, Field(gt=0, le=_MOST_DAYS * 24)] = 24.0
    max_server_connections: Annotated[int, Field(ge=16, le=10_000)] = 40
    max_verifications: Annotated[int, Field(ge=1, le=100)] = 2
    max_drills: Annotated[int, Field(ge=1, le=100)] = 1
    max_dry_runs: Annotated[int, Field(ge=1, le=100)] = 2
    max_restores: Annotated[int, Field(ge=1, le=100)] = 2
    scratch_bin: Path | None = None
    server_time_zone: str = ""
    metrics_token: SecretStr = SecretStr("")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "line", "json"] = "auto"
    log_file: Path | None = None
    log_max_bytes: Annotated[int, Field(ge=1 << 10)] = 10 << 20
    log_keep: Annotated[int, Field(ge=0)] = 5
    log_repeats: Annotated[int, Field(ge=0)] = 20

    @field_validator("encrypt_to", "signers")
    @classmethod
    def _public(cls, text: str) -> str:
        if _SECRET.search(text):  # it is shown, and kept where everybody may read it
            raise ValueError("holds a private key, where public ones belong")
        return text

    @field_validator("identity_file", "scratch_bin", "log_file", "level", mode="before")
    @classmethod
    def _perhaps(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("backup_dir", "state_dir", mode="before")
    @classmethod
    def _named(cls, path: object) -> object:
        if path == "":  # it would mean the directory that the program happens to be started in
            raise ValueError("is empty")
        return path

    @field_validator("backup_dir", "state_dir", "identity_file", "scratch_bin")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    @field_validator("server_time_zone")
    @classmethod
    def _perhaps_existing(cls, name: str) -> str:
        return name and cls._existing(name)

    @field_validator("timezone")
    @classmethod
    def _existing(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as exc:  # no such name, no name at all, a directory
            raise ValueError("no such time zone") from exc
        return name

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
        require_env_file()
        settings = Settings()
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is no text in UTF-8"
        where = "It is read from the directory that the program is started in."
        raise InvalidRequestError(f"{ENV_FILE}: {reason}", hint=where) from exc
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = PREFIX + "_".join(map(str, first["loc"])).upper()
        told = f"{name}: {first['msg'].removeprefix('Value error, ')}"
        raise InvalidRequestError(told, hint="See docs/settings.md.") from exc
    require_own_directories(settings.state_dir, settings.backup_dir)
    return settings


def find_variable(name: str) -> str | None:
    """Find a variable that a setting or a file names, in the environment or in `.env`; None = not set."""
    return os.environ.get(name) or read_env_file().get(name)  # noqa: TID251 - here
