"""What a backup holds, searched and shown a page at a time."""

from dataclasses import replace

from app.domain.backups.manifest import Codec, DatabaseEntry
from app.web.contents import contents_of
from tests.fixtures.archives import backup_id_of, draft_of, table_of


def manifest_of(*databases, tables=30):
    """Describe a backup of databases with so many tables each."""
    entries = tuple(
        DatabaseEntry(
            name,
            "utf8mb4",
            "utf8mb4_bin",
            tuple(table_of(f"t{n:02}", n) for n in range(tables)),
            (),
        )
        for name in databases
    )
    return replace(draft_of(backup_id_of(1), Codec.GZIP, {}), databases=entries)


def test_all_of_it_is_shown_page_by_page():
    """Nothing twice and nothing left out."""
    manifest = manifest_of("one", "two")
    pages = [contents_of(manifest, "", "", number) for number in (1, 2, 3)]
    names = [(found.database, found.name) for page in pages for found in page.parts]

    assert [len(page.parts) for page in pages] == [50, 10, 0]
    assert len(set(names)) == 60
    assert pages[0].is_long


def test_it_is_searched_by_database_and_a_part_of_a_name():
    """Upper and lower case are the same in names, and databases are told exactly."""
    manifest = manifest_of("one", "One")
    found = contents_of(manifest, "One", "T1", 1)

    assert [content.name for content in found.parts] == [f"t1{digit}" for digit in range(10)]
    assert {content.database for content in found.parts} == {"One"}
    assert found.part.total == 10
