"""The index against itself."""

from dataclasses import replace

import pytest

from app.archive.file.index import ALLOWED, check_index
from app.domain.backups.manifest import ColumnEntry, MemberKind, StatementKind
from app.errors import ManifestError
from tests.fixtures.archives import make_backup, table_of


@pytest.fixture(name="manifest")
def fixture_manifest(tmp_path):
    """A manifest as published."""
    return make_backup(tmp_path)[1]


def with_statement(manifest, member_kind: MemberKind, **changes):
    """Change the first statement of the first member of a kind."""
    members = list(manifest.members)
    number = next(n for n, member in enumerate(members) if member.kind is member_kind)
    first, *others = members[number].statements
    statements = (replace(first, **changes), *others)
    members[number] = replace(members[number], statements=statements)
    return replace(manifest, members=tuple(members))


def test_a_published_manifest_adds_up(manifest):
    """What the writer makes passes, and its statements hold the rows that it counts."""
    check_index(manifest)

    rows = [statement.rows for member in manifest.members for statement in member.statements]
    assert sum(rows) == manifest.rows_count > 0


@pytest.mark.parametrize(
    ("member", "changes"),
    [
        (MemberKind.DATA, {"kind": StatementKind.DROP}),
        (MemberKind.DATA, {"kind": StatementKind.ACCOUNT}),
        (MemberKind.SCHEMA, {"kind": StatementKind.INSERT, "rows": 1}),
        (MemberKind.SCHEMA, {"rows": 1}),
        (MemberKind.HEADER, {"kind": StatementKind.TABLE}),
        (MemberKind.FOOTER, {"kind": StatementKind.SESSION}),
        (MemberKind.DATA, {"rows": 0}),
        (MemberKind.DATA, {"rows": -1}),
        (MemberKind.DATA, {"sliced": True}),
        (MemberKind.DATA, {"raw_size": 1}),
        (MemberKind.DATA, {"raw_size": 0}),
        (MemberKind.DATA, {"raw_size": -5}),
        (MemberKind.DATA, {"raw_size": 2 << 30}),
        (MemberKind.DATA, {"sha256": "F" * 64}),
        (MemberKind.DATA, {"sha256": ""}),
    ],
)
def test_a_statement_that_cannot_be_is_refused(manifest, member, changes):
    """Of the wrong kind, size, count or digest."""
    with pytest.raises(ManifestError):
        check_index(with_statement(manifest, member, **changes))


def with_part(manifest, **changes):
    """Change the second part of the first member that tables share."""
    members = list(manifest.members)
    number = next(n for n, member in enumerate(members) if member.within)
    members[number] = replace(members[number], **changes)
    return replace(manifest, members=tuple(members))


def test_small_tables_share_a_member(manifest):
    """Their entries have one place in the file, and tile its text."""
    shared = [member for member in manifest.members if member.offset == manifest.members[1].offset]

    assert {member.table for member in shared} == {"users", "orders", "empty"}
    assert len({(member.size, member.sha256) for member in shared}) == 1
    ends = [member.within + member.raw_size for member in shared]
    assert [member.within for member in shared] == [0, *ends[:-1]]


@pytest.mark.parametrize(
    "changes",
    [
        {"within": 0},
        {"within": 1},
        {"within": -1},
        {"within": 1 << 40},
        {"size": 1},
        {"sha256": "0" * 64},
        {"kind": MemberKind.OBJECTS},
        {"raw_size": 8 << 20},
    ],
)
def test_a_part_that_cannot_be_is_refused(manifest, changes):
    """In the place of another one, of another member, or of what is never shared."""
    with pytest.raises(ManifestError):
        check_index(with_part(manifest, **changes))


def test_the_first_version_shares_nothing(manifest):
    """An archive of it has each table in members of its own, and a digest of each statement."""
    with pytest.raises(ManifestError):
        check_index(replace(manifest, format_version=1))


def test_a_definition_without_a_digest_is_one_of_version_3(manifest):
    """There the digest of its member proves it; rows have one of their own in all versions."""
    bare = with_statement(manifest, MemberKind.SCHEMA, sha256="")

    check_index(replace(bare, format_version=3))
    with pytest.raises(ManifestError, match="without SHA-256"):
        check_index(bare)
    with pytest.raises(ManifestError, match="without SHA-256"):
        check_index(replace(with_statement(manifest, MemberKind.DATA, sha256=""), format_version=3))


def test_rows_must_be_those_of_the_tables(manifest):
    """A table that is not listed, or listed with other rows, or twice as often."""
    database = manifest.databases[0]
    missing = replace(database, tables=database.tables[1:])
    more = replace(database, tables=(*database.tables, table_of("zz", 1)))
    sequence = replace(
        database, tables=tuple(replace(table, sequence=True) for table in database.tables)
    )
    for changed in (missing, more, sequence):
        with pytest.raises(ManifestError):
            check_index(replace(manifest, databases=(changed,)))


def test_every_kind_of_statement_has_a_place():
    """A new kind is not forgotten here."""
    assert set().union(*ALLOWED.values()) == set(StatementKind)
    assert set(ALLOWED) == set(MemberKind)


@pytest.mark.parametrize("place", ["charset", "collation"])
def test_a_character_set_is_a_word(manifest, place):
    """It goes into queries as it is."""
    (database, *others) = manifest.databases
    (table, *tables) = database.tables
    column = ColumnEntry("a", "text", "text", nullable=True, charset="utf8mb4", collation="")
    edited = replace(column, **{place: "utf8mb4), live.f("})  # type: ignore[arg-type]  # a text column
    in_column = replace(database, tables=(replace(table, columns=(edited,)), *tables))
    for forged in (in_column, replace(database, **{place: "utf8mb4; DROP DATABASE live"})):
        with pytest.raises(ManifestError):
            check_index(replace(manifest, databases=(forged, *others)))
