"""Texts made to fit a column: what comes from elsewhere may be too long, no characters at all, or another's as well."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import Column

from app.control.tables import Exact
from app.errors import StorageError


_CUT: Final = "..."


def fitting(text: str, column: Column[str]) -> str:
    """
    Cut text to the bytes of UTF-8 that a column holds, marked; half characters become question marks.

    Args:
        text: Anything.
        column: Of type `Exact`.

    Returns:
        What can be stored.
    """
    assert isinstance(column.type, Exact)  # noqa: S101 - narrows
    data = text.encode(errors="replace")
    if len(data) > column.type.length:
        return data[: column.type.length - len(_CUT)].decode(errors="ignore") + _CUT
    return data.decode()


class OwnKeys:
    """
    Keys of an installation beside those of others in one database.

    Args:
        find: Names the installation; blocks, raises StorageError. None = the database is nobody else's.
    """

    def __init__(self, find: Callable[[], str] | None) -> None:
        self._find = find
        self._known = ""

    async def owner(self) -> str:
        """Name the installation; empty = the database is nobody else's, or nobody knows."""
        if self._find and not self._known:
            with suppress(StorageError):  # what is told as everybody's is told
                self._known = await asyncio.to_thread(self._find)
        return self._known

    async def of(self, key: str, column: Column[str]) -> list[str]:
        """Return what a key is in a column: that of this installation, and the one of before they named any."""
        owner = await self.owner()
        return [fitting(each, column) for each in ([f"{owner}:{key}", key] if owner else [key])]
