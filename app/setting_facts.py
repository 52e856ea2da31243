"""What is said of settings: their values and where those are from, and which variables mean nothing."""

import difflib
import os
from collections.abc import Sequence, Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import SecretStr

from app.config import PREFIX, Settings
from app.env_file import read_env_file


# What Kubernetes tells every program of a service of this name.
_OF_OTHERS: Final = ("BACKSTAY_SERVICE_", "BACKSTAY_PORT")
_SHOWN: Final = 80


class SettingSource(StrEnum):
    """Where the value of a setting is from."""

    ENVIRONMENT = "environment"
    FILE = ".env"
    DEFAULT = "default"
    PROGRAM = "program"  # such as the demo, which makes its own server


@dataclass(frozen=True, slots=True)
class SettingFacts:
    """
    One setting, for people.

    Attributes:
        name: Of its variable.
        value: As text; of a secret only `set` or `not set`.
        default: The same of the default.
    """

    name: str
    value: str
    default: str
    source: SettingSource
    is_secret: bool


def describe_settings(settings: Settings) -> tuple[SettingFacts, ...]:
    """
    Describe all settings without their secrets.

    Args:
        settings: As they were read at the start; variables tell only where a value is from.

    Returns:
        One each, in the order of the class.
    """
    environment = {name.upper() for name in os.environ}  # noqa: TID251 - here
    file = {name.upper() for name in read_env_file()}

    def source(field: str) -> SettingSource:
        name = (PREFIX + field).upper()
        if field not in settings.model_fields_set:
            return SettingSource.DEFAULT
        if name in environment:
            return SettingSource.ENVIRONMENT
        return SettingSource.FILE if name in file else SettingSource.PROGRAM

    return tuple(
        SettingFacts(
            name=(PREFIX + field).upper(),
            value=_shown(getattr(settings, field)),
            default=_shown(info.get_default(call_default_factory=True)),
            source=source(field),
            is_secret=info.annotation is SecretStr,
        )
        for field, info in Settings.model_fields.items()
    )


def _shown(value: object) -> str:
    match value:
        case SecretStr():
            return "set" if value.get_secret_value() else "not set"
        case bool():
            return str(value).lower()
        case None:
            return ""
        case _:
            return str(value)


def misspelt_settings() -> Sequence[str]:
    """
    Say which variables look like settings and are none; call it when `load_settings` has succeeded.

    Returns:
        One sentence each, by name; no value is in it.
    """
    given = {name.upper() for name in (*os.environ, *read_env_file())}  # noqa: TID251 - here
    known = {name.upper() for name in Settings.model_fields}
    strange = sorted(
        name.removeprefix(PREFIX)
        for name in given
        if name.startswith(PREFIX) and not name.startswith(_OF_OTHERS)
    )
    return [_told(name, known) for name in strange if name not in known]


def _told(name: str, known: AbstractSet[str]) -> str:
    nearest = difflib.get_close_matches(name[:_SHOWN], sorted(known), n=1)
    return f"{PREFIX}{name[:_SHOWN]} is no setting" + (
        f"; did you mean {PREFIX}{nearest[0]}?" if nearest else ": docs/settings.md lists them"
    )
