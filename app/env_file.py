"""
The file `.env` of the directory that the program is started in: more variables, where it is there.

Whoever may write it is obeyed: settings name commands, and where everything goes. So one that others may have
put there, as in `/tmp`, is refused.
"""

import stat
from collections.abc import Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from app.named_files import UnusableFileError, read_named, require_named
from app.ownership import require_ours


ENV_FILE: Final = ".env"


def require_env_file() -> None:
    """Refuse one that is there and is no file, or too large, or perhaps somebody else's; raises OSError."""
    with suppress(FileNotFoundError):
        require_named(Path(ENV_FILE))
        _require_ours()


def read_env_file() -> Mapping[str, str | None]:
    """Read what it sets; nothing where it is not there, or was good at the start and no longer is."""
    try:
        text = read_named(Path(ENV_FILE)).data.decode()
        _require_ours()
    except (OSError, UnicodeError):
        return {}
    return dotenv_values(stream=StringIO(text))


def _require_ours() -> None:
    file = Path(ENV_FILE)
    if file.stat().st_mode & stat.S_IWOTH:
        raise UnusableFileError("everybody may write to it; chmod 600 keeps others out")
    require_ours(file)
