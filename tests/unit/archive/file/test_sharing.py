"""Small tables in shared members."""

import asyncio

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.packing import Label, Part
from app.archive.file.sharing import SHARED_BYTES, SharedParts, can_share
from app.archive.file.writer import ArchiveWriter
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec, MemberKind, StatementKind
from app.domain.ports import Statement
from app.storage.local import LocalDirectory
from tests.fixtures.archives import HEADER, backup_id_of, draft_of, insert_of


PRELUDE = Statement(StatementKind.TEXT, b"SET NAMES utf8mb4;\n")
OTHER = Statement(StatementKind.TEXT, b"SET sql_mode = '';\n")


def part_of(table: str, *statements: Statement) -> Part:
    """Make the part of a table's rows."""
    return Part(Label(MemberKind.DATA, "shop", table), [*statements, insert_of(table, 1, 1)])


def preludes(*parts: Part) -> list[int]:
    """Count the statements before the rows of each part once they share a member."""
    shared = SharedParts()
    for part in parts:
        shared.add(part)
    return [
        [statement.kind for statement in part.statements].index(StatementKind.INSERT)
        for part in shared.take()
    ]


def test_a_prelude_that_still_stands_is_not_repeated():
    """It is repeated when the part before had another one."""
    a, b, c, d = (
        part_of("t", PRELUDE),
        part_of("t", PRELUDE),
        part_of("t", OTHER),
        part_of("t", PRELUDE),
    )

    assert preludes(a, b, c, d) == [1, 0, 1, 1]


def test_a_prelude_is_repeated_after_text_that_may_change_it():
    """Such as a SET between DROP and CREATE."""
    changing = part_of("t", PRELUDE)
    changing = Part(changing.label, [*changing.statements, OTHER])

    assert preludes(changing, part_of("t", PRELUDE)) == [1, 1]


def test_each_member_begins_with_its_prelude():
    """It is loaded alone as well as any other."""
    shared = SharedParts()
    for _ in range(2):
        shared.add(part_of("t", PRELUDE))
        assert len(shared.take()[0].statements) == 2


def test_only_small_parts_of_tables_share():
    """Large ones gain nothing, and objects are read as a whole."""
    assert can_share(part_of("t"))
    assert not can_share(Part(Label(MemberKind.OBJECTS, "shop"), [PRELUDE]))
    assert not can_share(part_of("t", Statement(StatementKind.TEXT, b"-" * SHARED_BYTES)))


def test_rows_overtake_only_other_tables():
    """A definition is before its rows, and whatever else is behind all that waits."""
    shared = SharedParts()
    shared.add(part_of("waits"))

    assert shared.must_precede(Label(MemberKind.DATA, "shop", "waits"))
    assert shared.must_precede(Label(MemberKind.SCHEMA, "shop", "other"))
    assert shared.must_precede(Label(MemberKind.OBJECTS, "shop"))
    assert not shared.must_precede(Label(MemberKind.DATA, "shop", "other"))
    assert not shared.must_precede(Label(MemberKind.DATA, "elsewhere", "waits"))

    shared.take()
    assert not shared.must_precede(Label(MemberKind.DATA, "shop", "waits"))


def test_thousands_of_tables_take_few_members_and_are_read_alone(tmp_path):
    """In any order, over every codec, after every level of verification; a lost index is made again."""
    tables = {f"t{number:04}": number % 7 for number in range(3000)}

    async def write(directory: LocalDirectory, codec: Codec) -> None:
        async with ArchiveWriter(directory, backup_id_of(0), codec) as writer:
            await writer.append(MemberKind.HEADER, [HEADER])
            for table, rows in tables.items():
                create = Statement(
                    StatementKind.TABLE, f"CREATE TABLE `{table}` (a int);\n".encode()
                )
                await writer.append(
                    MemberKind.SCHEMA, [PRELUDE, create], database="shop", table=table
                )
                if rows:
                    await writer.append(
                        MemberKind.DATA,
                        [PRELUDE, insert_of(table, 1, rows)],
                        database="shop",
                        table=table,
                    )
            await writer.finish(draft_of(backup_id_of(0), codec, tables))

    for codec in Codec:
        directory = LocalDirectory(tmp_path / codec)
        directory.prepare()
        asyncio.run(write(directory, codec))
        with Catalogue(directory).open(backup_id_of(0)) as reader:
            members = reader.manifest.members
            assert len({member.offset for member in members}) < 10
            data = [member for member in members if member.kind is MemberKind.DATA]
            for member in (*data[::97], *data[::-89]):
                (*_, sql) = reader.read_now(member)
                assert sql == insert_of(member.table, 1, tables[member.table]).sql
                assert list(reader.iter_now(member))[-1] == sql
            for level in VerifyLevel:
                asyncio.run(reader.verify(level))
        (published,) = (tmp_path / codec).glob("*.manifest.json")
        data = published.read_bytes()
        published.unlink()
        assert Catalogue(directory).rebuild().rebuilt == (backup_id_of(0),)
        made = published.read_bytes()
        assert made == data
        assert len(data) < 560 * len(tables)
