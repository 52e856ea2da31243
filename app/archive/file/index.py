"""
The index of an archive, checked against itself before any byte of the file is believed.

Pure functions over a manifest; a manifest that passes cannot make a reader read outside the file,
inflate without bound, or execute a statement of a kind that does not belong where it stands.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from app.archive.file.codec import MAX_RATIO
from app.archive.file.sharing import SHARED_KINDS
from app.domain.backups.formats import SHARING_VERSION
from app.domain.backups.manifest import (
    Manifest,
    MemberEntry,
    MemberKind,
    StatementEntry,
    StatementKind,
    TableEntry,
)
from app.domain.backups.thinning import without_digest
from app.errors import ManifestError
from app.storage import layout


# A statement never exceeds the largest packet there is, max_allowed_packet = 1 GiB; text of the
# footer is the one other long thing.
MAX_STATEMENT_BYTES: Final = 1 << 30
# 10,000 tables of 100 statements each make a million; beyond this a manifest is an attack.
MIN_MEMBERS: Final = 2  # header and footer
MAX_MEMBERS: Final = 5_000_000
MAX_STATEMENTS: Final = 50_000_000
# Text of a shared member, several times what this program writes; it is inflated for each of its tables.
MAX_SHARED_BYTES: Final = 4 << 20

_K = StatementKind
_ANYWHERE: Final = frozenset({_K.TEXT, _K.SESSION, _K.DATABASE})
ALLOWED: Final = {
    MemberKind.HEADER: _ANYWHERE,
    MemberKind.SCHEMA: _ANYWHERE | {_K.DROP, _K.TABLE, _K.SEQUENCE},
    MemberKind.DATA: _ANYWHERE | {_K.PIECE, _K.INSERT},
    MemberKind.OBJECTS: _ANYWHERE
    | {_K.DROP, _K.SEQUENCE, _K.PLACEHOLDER, _K.VIEW, _K.TRIGGER, _K.ROUTINE}
    | {_K.EVENT, _K.ENABLE_EVENT, _K.INVALID_VIEW, _K.ACCOUNT},
    MemberKind.FOOTER: frozenset({_K.TEXT}),
}
_WORD: Final = re.compile(r"\w*", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def check_index(manifest: Manifest) -> None:
    """
    Prove that an index is possible: that it tiles the file and each member, and adds up.

    Raises:
        ManifestError: It contradicts itself; the message names the member.
    """
    _check_name(manifest)
    members = manifest.members
    _require(MIN_MEMBERS <= len(members) <= MAX_MEMBERS, "the file", f"{len(members)} members")
    _require(members[0].kind is MemberKind.HEADER, "member 0", "not the header")
    _require(members[-1].kind is MemberKind.FOOTER, "the last member", "not the footer")
    before = None
    for number, member in enumerate(members):
        _check_place(manifest, member, before, f"member {number}")
        _check_member(manifest, member, number)
        before = member
    end, size = manifest.content_size, manifest.size
    # Of an encrypted file the exact size is proven when it is opened.
    fits = end < size if manifest.recipients else end == size
    _require(fits, "the members", f"end at {end}, the file at {size}")
    raw_size = sum(member.raw_size for member in members)
    _require(raw_size == manifest.raw_size, "raw_size", f"{manifest.raw_size}, members {raw_size}")
    statements = sum(len(member.statements) for member in members)
    _require(statements <= MAX_STATEMENTS, "the file", f"{statements} statements")
    _require(bool(_SHA256.fullmatch(manifest.checksum)), "checksum", "not a SHA-256")
    _check_rows(manifest)
    _check_words(manifest)


def compressed_members(members: Iterable[MemberEntry]) -> Iterator[list[MemberEntry]]:
    """Put the parts of each shared member together; others are alone."""
    for _, parts in groupby(members, key=lambda member: member.offset):
        yield list(parts)


def _check_words(manifest: Manifest) -> None:
    """Require plain words where a restore puts them into queries as they are."""
    words = {column.charset for table in _tables(manifest) for column in table.columns}
    words |= {column.collation for table in _tables(manifest) for column in table.columns}
    words |= {database.charset for database in manifest.databases}
    words |= {database.collation for database in manifest.databases}
    _require(all(map(_WORD.fullmatch, words)), "a character set or collation", "not a name")


def _tables(manifest: Manifest) -> Iterator[TableEntry]:
    return (table for database in manifest.databases for table in database.tables)


def _check_name(manifest: Manifest) -> None:
    name = layout.parse(manifest.file)
    if name is None:
        raise ManifestError(f"not the name of a backup file: {manifest.file[:120]!r}")
    _require(name.backup_id == manifest.backup_id, "file", "of another backup_id")
    _require(name.codec is manifest.options.codec, "file", "of another codec")
    _require(
        name.is_encrypted == bool(manifest.recipients), "file", "encrypted, or not, by its name"
    )


def _check_place(
    manifest: Manifest, member: MemberEntry, before: MemberEntry | None, where: str
) -> None:
    """Require a member to begin where the one before ends, in the file or in the text they share."""
    if before is None or member.offset != before.offset:
        end = before.offset + before.size if before else 0
        _require(member.offset == end, where, f"at {member.offset}, the one before ends at {end}")
        _require(member.within == 0, where, f"begins at {member.within} of its text")
        return
    _require(manifest.format_version >= SHARING_VERSION, where, "shared in an old format")
    _require({member.kind, before.kind} <= SHARED_KINDS, where, "shared, and not of a table")
    same = (member.size, member.sha256) == (before.size, before.sha256)
    _require(same, where, "shared, of another size or digest")
    end = before.within + before.raw_size
    _require(member.within == end, where, f"at {member.within}, the one before ends at {end}")
    _require(before.raw_size > 0, where, "two parts in one place")
    largest = max(member.size, end + member.raw_size)
    _require(largest <= MAX_SHARED_BYTES, where, "shared, and too large")


def _check_member(manifest: Manifest, member: MemberEntry, number: int) -> None:
    where = f"member {number}"
    _require(member.size > 0, where, f"size {member.size}")
    bound = member.size * MAX_RATIO[manifest.options.codec]
    text = member.within + member.raw_size
    _require(member.raw_size >= 0 and text <= bound, where, f"{text} bytes in {member.size}")
    _require(bool(_SHA256.fullmatch(member.sha256)), where, "no SHA-256")
    single = number in {0, len(manifest.members) - 1}
    edge = member.kind in {MemberKind.HEADER, MemberKind.FOOTER}
    _require(single == edge, where, f"a {member.kind.value} does not belong here")
    proven_by_member = without_digest(manifest.format_version)
    for statement in member.statements:
        _check_statement(member, statement, where)
        has_digest = bool(_SHA256.fullmatch(statement.sha256))
        lacks_it = not statement.sha256 and statement.kind in proven_by_member
        _require(has_digest or lacks_it, where, "a statement without SHA-256")
    raw_size = sum(statement.raw_size for statement in member.statements)
    _require(raw_size == member.raw_size, where, f"statements of {raw_size} bytes")


def _check_statement(member: MemberEntry, statement: StatementEntry, where: str) -> None:
    kind, rows = statement.kind, statement.rows
    _require(kind in ALLOWED[member.kind], where, f"{kind.value} in {member.kind.value}")
    _require(0 < statement.raw_size <= MAX_STATEMENT_BYTES, where, "an impossible statement size")
    _require(rows > 0 if kind is _K.INSERT else rows == 0, where, f"{kind.value} of {rows} rows")
    _require(rows == 1 or not statement.sliced, where, f"a sliced statement of {rows} rows")


def _check_rows(manifest: Manifest) -> None:
    """Compare the rows of the index, the tables and the whole; every table with data is listed."""
    counted: Counter[tuple[str, str]] = Counter()
    for member in manifest.members:
        if member.kind in {MemberKind.SCHEMA, MemberKind.DATA} and member.table:
            rows = sum(statement.rows for statement in member.statements)
            counted[member.database, member.table] += rows
    listed = {
        (database.name, table.name): table.rows
        for database in manifest.databases
        for table in database.tables
        if not table.sequence
    }
    sequences = {
        (database.name, table.name)
        for database in manifest.databases
        for table in database.tables
        if table.sequence
    }
    for key, rows in counted.items():
        _require(key in listed or key in sequences, ".".join(key), "has members but is not listed")
        _require(rows == listed.get(key, 0), ".".join(key), f"{rows} rows in the members")
    for key, rows in listed.items():
        _require(rows == counted[key], ".".join(key), f"{rows} rows listed, {counted[key]} in all")
    total = sum(counted.values())
    _require(total == manifest.rows_count, "rows_count", f"{manifest.rows_count}, members {total}")


def _require(holds: bool, where: str, problem: str) -> None:  # noqa: FBT001 - an assertion's claim
    if not holds:
        raise ManifestError(
            f"{where}: {problem}",
            hint="Rebuild the manifest from the backup file with 'backstay catalog rebuild'.",
        )
