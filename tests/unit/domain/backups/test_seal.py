"""The manifest: what is written is read, and nothing else is."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from app.domain.backups.backup import CatalogueEntry
from app.domain.backups.manifest import (
    Codec,
    ColumnEntry,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
)
from app.domain.backups.seal import from_json, to_json
from app.errors import ChecksumMismatchError, ManifestError
from tests.fixtures.archives import backup_id_of, draft_of


MANIFEST = draft_of(backup_id_of(1), Codec.GZIP, {"users": 5, 'it\'s "x" é 😀': 0})


def test_a_manifest_comes_back():
    """Writing and reading lose nothing."""
    assert from_json(to_json(MANIFEST), source="x") == MANIFEST


def test_what_is_empty_is_not_written_of_tables_columns_members_and_statements():
    """docs/format.md says so, and that it means the same: of small tables most would be that."""
    statements = (
        StatementEntry(StatementKind.TEXT, 3, ""),
        StatementEntry(StatementKind.DROP, 4, ""),
    )
    member = MemberEntry(MemberKind.SCHEMA, 0, 9, 7, "ab", statements=statements)
    column = ColumnEntry("id", "int", "int(11)", nullable=False)
    (database,) = MANIFEST.databases
    tables = tuple(replace(table, columns=(column,)) for table in database.tables)
    manifest = replace(MANIFEST, databases=(replace(database, tables=tables),), members=(member,))
    document = json.loads(to_json(manifest))
    written = [
        *(table for database in document["databases"] for table in database["tables"]),
        *document["members"],
    ]
    parts = [
        part
        for entry in written
        for key in ("columns", "statements")
        for part in entry.get(key, ())
    ]

    assert parts
    needed = {"rows", "raw_size", "max_packet", "offset", "definition_sha256"}
    empty = {key for entry in (*written, *parts) for key, value in entry.items() if not value}
    assert empty <= needed
    assert from_json(to_json(manifest), source="x") == manifest


def test_a_manifest_is_one_line_of_json_with_its_own_checksum():
    """Any JSON reader takes it; its last key is the digest of all before it."""
    data = to_json(MANIFEST)

    assert data.endswith(b'"}\n')
    assert list(json.loads(data))[-1] == "manifest_sha256"


@given(st.integers(0, len(to_json(MANIFEST)) - 1), st.integers(1, 255))
def test_any_changed_byte_is_seen(place, change):
    """One byte that differs is told before anything else is believed."""
    data = bytearray(to_json(MANIFEST))
    data[place] ^= change

    with pytest.raises((ChecksumMismatchError, ManifestError)):
        from_json(bytes(data), source="x")


@given(st.integers(0, len(to_json(MANIFEST)) - 1))
def test_any_cut_is_seen(length):
    """A manifest that ends early is no manifest."""
    with pytest.raises((ChecksumMismatchError, ManifestError)):
        from_json(to_json(MANIFEST)[:length], source="x")


@given(st.binary(max_size=300))
def test_noise_is_no_manifest(data):
    """Bytes of any kind are refused with an error of ours."""
    with pytest.raises((ChecksumMismatchError, ManifestError)):
        from_json(data, source="x")


def test_the_catalogue_says_what_the_manifest_says():
    """A line of the catalogue is derived, not remembered."""
    entry = CatalogueEntry.of(MANIFEST, "/b/x")

    assert (entry.backup_id, entry.full_path) == (MANIFEST.backup_id, "/b/x")
    assert (entry.tables_count, entry.rows_count) == (2, 5)
    assert entry.server == "mariadb 10.11.6"
