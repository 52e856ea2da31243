"""The file `.env` of the directory that the program is started in: more variables, where it is there."""

from collections.abc import Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from app.named_files import read_named, require_named


ENV_FILE: Final = ".env"


def require_env_file() -> None:
    """Refuse one that is there and is no file, or too large; raises OSError."""
    with suppress(FileNotFoundError):
        require_named(Path(ENV_FILE))


def read_env_file() -> Mapping[str, str | None]:
    """Read what it sets; nothing where it is not there, or was good at the start and no longer is."""
    try:
        text = read_named(Path(ENV_FILE)).data.decode()
    except (OSError, UnicodeError):
        return {}
    return dotenv_values(stream=StringIO(text))
