"""Texts made to fit a column: what comes from elsewhere may be too long, or no characters at all."""

from typing import Final


_CUT: Final = "..."


def fitting(text: str, width: int) -> str:
    """Cut text to so many bytes of UTF-8, marked; half characters become question marks."""
    data = text.encode(errors="replace")
    if len(data) > width:
        return data[: width - len(_CUT)].decode(errors="ignore") + _CUT
    return data.decode()
