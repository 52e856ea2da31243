"""
Whose something is that is looked for by its name alone.

Where everybody may put something, as into `/tmp`, another user may have put it there before. All calls block.
"""

import os
import stat
from pathlib import Path

from app.errors import InvalidRequestError
from app.named_files import UnusableFileError


def require_ours(path: Path) -> None:
    """
    Refuse what another user has put where everybody may put something.

    Raises:
        UnusableFileError: It is another user's, and not root's.
        OSError: There is none.
    """
    is_open_to_all = path.absolute().parent.stat().st_mode & stat.S_IWOTH
    if is_open_to_all and path.lstat().st_uid not in {0, os.geteuid()}:
        raise UnusableFileError("it is another user's, where everybody may put one")


def require_own_directories(*paths: Path) -> None:
    """Refuse those that are another user's, as above; raises InvalidRequestError."""
    for path in paths:
        try:
            require_ours(path)
        except UnusableFileError as exc:
            raise InvalidRequestError(
                f"{path}: {exc.strerror}",
                hint="Set BACKSTAY_STATE_DIR and BACKSTAY_BACKUP_DIR to directories that only you can make.",
            ) from exc
        except OSError:  # it is not there yet, or whoever needs it says why it cannot be used
            continue
