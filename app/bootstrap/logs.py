"""Logs as the settings want them, without any secret of the settings."""

from typing import Final

from pydantic import SecretStr

from app.config import Settings, load_settings
from app.errors import InvalidRequestError
from app.telemetry.logs import LogPlan, start_logging
from app.telemetry.masking import command_pieces, pieces


# Several in one, separated by white space; in others white space belongs to the secret.
_LISTS: Final = frozenset({"jwt_old_secrets", "identity", "alert_urls", "ping_urls", "stores"})


def log_by(settings: Settings) -> None:
    """Log as the settings say; raises InvalidRequestError for a file that cannot be opened."""
    start_logging(
        LogPlan(
            level=settings.log_level,
            form=settings.log_format,
            file=settings.log_file,
            max_bytes=settings.log_max_bytes,
            keep=settings.log_keep,
            repeats=settings.log_repeats,
            secrets=secrets_of(settings),
        )
    )


def log_verbosely() -> None:
    """Log to stderr for people, whatever the settings say; wrong ones are reported by the command."""
    try:
        secrets = secrets_of(load_settings())
    except InvalidRequestError:
        secrets = set()
    start_logging(LogPlan(secrets=secrets))


def secrets_of(settings: Settings) -> set[str]:
    """Return everything that must not be logged: secrets, and what is secret of addresses."""
    found: set[str] = set()
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if not isinstance(value, SecretStr):
            continue
        text = value.get_secret_value()
        if name == "identity_command":
            found |= command_pieces(text)
            continue
        for secret in text.split() if name in _LISTS else [text]:
            found |= pieces(secret) if "://" in secret else {secret}
    return found
