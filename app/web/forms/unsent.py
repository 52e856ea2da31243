"""
A form of ours that was refused before anything was done, and may be sent again as it is.

Pages are kept by no browser, so whoever goes back finds an empty form: what they typed stands in the answer.
"""

import re
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from starlette.exceptions import HTTPException

from app.web import csrf
from app.web.access import read_form
from app.web.launching import KEY_FIELD


_SECRET: Final = re.compile("password|token|^(old|new|again)$")


@dataclass(frozen=True, slots=True)
class UnsentForm:
    """
    What was sent.

    Attributes:
        fields: Names and texts, in their order; without secrets, and without what proves whose form it is.
        has_secret: Whether there was a secret, which is put into no page.
        is_unproven: Whether it was refused before anything was looked at but whose it is.
    """

    fields: tuple[tuple[str, str], ...]
    has_secret: bool
    is_unproven: bool

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What somebody has typed or chosen."""
        return [(name, text) for name, text in self.fields if text and name != KEY_FIELD]


async def unsent_form(request: Request, *, is_retryable: bool) -> UnsentForm | None:
    """Return what was sent from a page of ours, if its login is over or it may be taken later; else None."""
    is_unproven = getattr(request.state, "is_unproven", None)
    if is_unproven is None or not (is_unproven or is_retryable):
        return None
    try:
        form = await read_form(request)
    except HTTPException:  # it is no form
        return None
    sent = [(name, str(text)) for name, text in form.multi_items() if name != csrf.FIELD]
    fields = tuple((name, text) for name, text in sent if not _SECRET.search(name))
    has_secret = any(text for name, text in sent if _SECRET.search(name))
    return UnsentForm(fields, has_secret, is_unproven)
