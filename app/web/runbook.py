"""docs/runbook.md for the pages, a section a code; a wheel has it beside this module."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup


_FILE: Final = "runbook.md"
_SECTION: Final = re.compile(r"^## `([a-z0-9-]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_ELSEWHERE: Final = re.compile(r"(\(?)\[([^]]+)\]\((\w+\.md)[^)]*\)(\)?)")
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False})


@cache
def read_runbook() -> Mapping[str, str]:
    """Read what to do, as Markdown by code, in the order of the document."""
    packaged = files("app.web").joinpath(_FILE)
    # Of a source tree.
    source = Path(__file__).parents[2] / "docs" / _FILE
    text = packaged.read_text() if packaged.is_file() else source.read_text()
    return {found[1]: found[2] for found in _SECTION.finditer(text)}


def _named(link: re.Match[str]) -> str:
    """Name a document after the words that lead to it, unless they are its name."""
    before, text, file, after = link.groups()
    if f"{text}.md" == file:
        return f"{before}`docs/{file}`{after}"
    is_aside = before and after
    return f"({text}: `docs/{file}`)" if is_aside else f"{before}{text} (`docs/{file}`){after}"


@cache
def section_of(code: str) -> Markup:
    """
    Return what to do about a code; raises KeyError when nothing is said of it.

    Returns:
        Markup. Its links lead to other codes, by their names; of other documents it holds the names.
    """
    text = _ELSEWHERE.sub(_named, read_runbook()[code]).replace("](#", "](")
    return Markup(_MARKDOWN.render(text))  # noqa: S704 - of our own text; HTML in it stays text
