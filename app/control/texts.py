"""Texts made to fit a column: what comes from elsewhere may be too long, or no characters at all."""

from typing import Final

from sqlalchemy import Column

from app.control.tables import Exact


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
