"""Why a run failed, as its record tells it: no path of the machine, no bug explained away."""

import re
from asyncio import CancelledError
from typing import Final

from app.domain.runs.run import Failure
from app.errors import AppError, StatementError


# A URL up to its query is left as it is. A path begins where no name, dot, bracket or slash is before
# it, else it is the rest of `a/b`, `./a` or `31/12`; what may be before it may also be in its names,
# so that no second path begins inside of one. `/*` alone opens a comment.
_NAME: Final = r"""[^\s/:;,='"`<>|]"""
_PATH: Final = re.compile(
    r"(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s/?'\"`<>][^\s?'\"`<>]*)"
    rf"|(?<![\w.~*)/-])/+(?:(?:{_NAME}+/+)+|(?!\*))(?P<name>{_NAME}+)/*"
)


def failure(error: BaseException) -> Failure:
    """
    Tell of an error to people who may not know the machine or the data.

    Returns:
        Its own words, without directories; of a refused statement only the number, as the server's
        words may quote it; of a bug only its kind.
    """
    match error:
        case StatementError(errno=number):
            message = f"the server refused a statement with error {number}"
        case AppError():
            message = _written(without_paths(str(error)))
        case CancelledError():
            hint = " ".join(getattr(error, "__notes__", ()))
            left = "what was left behind waits for a repair" if hint else "nothing was left behind"
            message = f"cancelled before it was done; {left}"
            return Failure("cancelled", "Cancelled", message, hint, retryable=False)
        case _:
            message, hint = type(error).__name__, "Please report it."
            return Failure(AppError.code, AppError.title, message, hint, retryable=False)
    hint = _written(without_paths(error.hint))
    return Failure(error.code, error.title, message, hint, error.is_passing)


def without_paths(text: str) -> str:
    """Cut every absolute path of a text to its last name; URLs and relative paths stay."""
    return _PATH.sub(lambda found: found["url"] or found["name"], text)


def _written(text: str) -> str:
    """Have question marks for halves of characters, as in names that are not UTF-8: no history takes those."""
    return text.encode(errors="replace").decode()
