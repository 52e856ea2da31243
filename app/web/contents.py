"""What a backup holds, as one list that is searched and shown a page at a time."""

from dataclasses import dataclass

from app.domain.backups.manifest import DatabaseEntry, Manifest
from app.web.paging import PER_PAGE, Part


@dataclass(frozen=True, slots=True)
class Content:
    """
    A table or another object.

    Attributes:
        kind: The engine of a table; `view`, `trigger` and so on.
        note: What of it is not there.
        rows: None where there are none to count, as `size`.
    """

    database: str
    name: str
    kind: str
    note: str = ""
    is_valid: bool = True
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """
    A page of what a backup holds.

    Attributes:
        parts: Tables of each database, then its other objects.
        is_long: Whether all of it is more than a page.
    """

    parts: tuple[Content, ...]
    part: Part
    is_long: bool


def contents_of(manifest: Manifest, database: str, text: str, page: int) -> Contents:
    """
    List a page of what a backup holds.

    Args:
        manifest: Of the backup.
        database: Only of this one; empty = of all.
        text: A part of the name; empty = any. Upper and lower case are the same.
        page: From 1.

    Returns:
        Nothing in it where nothing is like that.
    """
    everything = [found for entry in manifest.databases for found in _held(entry)]
    wanted = text.strip().lower()
    found = [
        content
        for content in everything
        if (not database or content.database == database) and wanted in content.name.lower()
    ]
    part = Part(page, len(found), {"database": database, "text": text})
    begin = (page - 1) * PER_PAGE
    return Contents(tuple(found[begin : begin + PER_PAGE]), part, len(everything) > PER_PAGE)


def _held(database: DatabaseEntry) -> list[Content]:
    tables = [
        Content(
            database.name,
            table.name,
            table.engine,
            table.partial,
            rows=table.rows,
            size=table.raw_size,
        )
        for table in database.tables
    ]
    objects = [
        Content(database.name, found.name, found.kind, is_valid=found.valid)
        for found in database.objects
    ]
    return tables + objects
