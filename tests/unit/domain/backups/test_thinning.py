"""What an index leaves out of many small tables, and that nothing of it is lost."""

import json
from dataclasses import replace

import pytest

from app.domain.backups.formats import SHARING_VERSION, THIN_VERSION
from app.domain.backups.manifest import (
    Codec,
    ColumnEntry,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
)
from app.domain.backups.seal import from_json, to_json
from app.domain.backups.thinning import thinned, version_for
from app.errors import ManifestError
from tests.fixtures.archives import backup_id_of, draft_of


ID = ColumnEntry("id", "int", "int(11)", nullable=False)
NAME = ColumnEntry(
    "name", "text", "text", nullable=True, charset="utf8mb4", collation="utf8mb4_bin"
)
A, B = "a" * 64, "b" * 64


def member(kind, table, within, statement, *, sha256=A, offset=0, database="shop"):
    """Make an entry of 100 bytes of text."""
    return MemberEntry(
        kind, offset, 50, 100, sha256, database, table, (statement,), within=within
    )  # fmt: skip


def definition(sha256=""):
    """Make the entry of a CREATE TABLE."""
    return StatementEntry(StatementKind.TABLE, 100, sha256)


def manifest_of(version=THIN_VERSION):
    """Make a manifest of three small tables, of which two are alike, in one member and a half."""
    draft = draft_of(backup_id_of(1), Codec.GZIP, {"a": 1, "b": 0, "c": 0})
    (database,) = draft.databases
    columns = {"a": (ID, NAME), "b": (ID,), "c": (ID, NAME)}
    tables = tuple(replace(table, columns=columns[table.name]) for table in database.tables)
    rows = StatementEntry(StatementKind.INSERT, 100, B, rows=1)
    return replace(
        draft,
        format_version=version,
        databases=(replace(database, tables=tables),),
        members=(
            member(MemberKind.SCHEMA, "a", 0, definition(B)),
            member(MemberKind.SCHEMA, "b", 100, definition()),
            member(MemberKind.DATA, "a", 200, rows),
            member(MemberKind.SCHEMA, "c", 0, definition(A), sha256=B, offset=50, database="other"),
            member(MemberKind.SCHEMA, "d", 100, definition(), sha256=B, offset=50),
        ),
    )


def test_what_was_left_out_comes_back():
    """Tables, members and statements are in memory what they were before they were written."""
    manifest = manifest_of()

    assert from_json(to_json(manifest), source="x") == manifest


def test_what_follows_is_not_written():
    """Columns of a table that is like another one, and what a part shares with the one before it."""
    document = json.loads(to_json(manifest_of()))
    a, b, c = document["databases"][0]["tables"]
    parts = [{*part} & {"sha256", "database"} for part in document["members"]]

    assert [table.get("like") for table in (a, b, c)] == [None, None, "a"]
    assert all({"engine", "index", "key"} <= {*table} and table["columns"] for table in (a, b))
    assert ({*c} & {"engine", "index", "key"}, c["columns"]) == (set(), [])
    assert parts == [{"sha256", "database"}, set(), set(), {"sha256", "database"}, {"database"}]
    # What commands of the documents read is there of every part.
    assert all({"kind", "offset", "size", "raw_size", "table"} <= {*m} for m in document["members"])


def test_the_digest_of_a_definition_is_that_of_its_shared_member():
    """A part that is not the first has none of its own; the rows keep theirs, a restore compares them."""
    manifest = manifest_of()
    (first, second, *others) = manifest.members
    given = replace(second, statements=(definition(B),))
    written = thinned(replace(manifest, members=(first, given, *others))).members

    assert [part.statements[0].sha256 for part in written] == [B, "", B, A, ""]


def test_version_2_is_written_whole():
    """Programs of before read it: they know nothing of what follows."""
    manifest = manifest_of(SHARING_VERSION)
    document = json.loads(to_json(manifest))

    assert thinned(manifest) is manifest
    assert all("like" not in table for table in document["databases"][0]["tables"])
    assert all({"sha256", "database"} <= {*part} for part in document["members"])
    assert from_json(to_json(manifest), source="x") == manifest


def test_only_many_tables_are_written_in_version_3():
    """Of few tables little is won, and more programs read version 2."""
    assert [version_for(count) for count in (0, 99, 100, 10_000)] == [2, 2, 3, 3]


def test_a_table_that_is_like_none_is_refused():
    """Nobody can tell its columns; nor can it be like one that stands behind it, or like itself."""
    manifest = manifest_of()
    (database,) = manifest.databases
    for like in ("zz", "c", "b"):
        tables = tuple(replace(table, like=like) for table in database.tables)
        damaged = replace(manifest, databases=(replace(database, tables=tables),))
        with pytest.raises(ManifestError, match="is like a table that is not there"):
            from_json(to_json(damaged), source="x")
