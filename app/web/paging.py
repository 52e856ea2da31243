"""Long lists, a page at a time; the address holds which one, so that it can be sent to somebody."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from app.domain.stores import Page


PER_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Part:
    """
    One page of a list.

    Attributes:
        number: From 1.
        total: Entries in all.
        query: What else the address holds.
        per_page: Entries on a page.
        anchor: Which part of the page another one is shown from; empty = its beginning.
        key: What the address calls its number, where a page shows several lists.
    """

    number: int
    total: int
    query: dict[str, str]
    per_page: int = PER_PAGE
    anchor: str = ""
    key: str = "page"

    @property
    def first(self) -> int:
        """Number of its first entry; 0 when there is none."""
        return (self.number - 1) * self.per_page + 1 if self.total else 0

    @property
    def last(self) -> int:
        """Number of its last entry."""
        return min(self.number * self.per_page, self.total)

    @property
    def has_next(self) -> bool:
        """Whether there is another page."""
        return self.last < self.total

    def link(self, number: int) -> str:
        """Return the address of another page, relative to this one."""
        wanted = {name: value for name, value in self.query.items() if value}
        fragment = f"#{self.anchor}" if self.anchor else ""
        return "?" + urlencode({**wanted, self.key: number}) + fragment


def page_of(number: int, sort: str = "-created_at") -> Page:
    """Return what to read for a page."""
    return Page(limit=PER_PAGE, offset=(number - 1) * PER_PAGE, sort=sort)
