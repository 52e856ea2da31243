"""Writing archives: concurrency, memory, cancellation, and nothing left behind."""

import asyncio
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.writer import ArchiveWriter
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec, MemberEntry, MemberKind, StatementKind
from app.domain.ports import MemberSink, Statement
from app.errors import IntegrityError, ManifestError, StorageError, StorageFullError
from app.storage.local import LocalDirectory
from tests.fixtures.archives import (
    HEADER,
    TABLES,
    backup_id_of,
    draft_of,
    fill,
    insert_of,
    leftovers,
    write_backup,
)
from tests.fixtures.kernels import CountingKernel, FullKernel, WaitingKernel
from tests.fixtures.series import series


BACKUP = backup_id_of(0)


def prepared(path, kernel=None) -> LocalDirectory:
    directory = LocalDirectory(path, kernel or CountingKernel())
    directory.prepare()
    return directory


def test_a_writer_is_a_member_sink(tmp_path):
    """The engine writes to the protocol."""
    sink: MemberSink = ArchiveWriter(LocalDirectory(tmp_path), BACKUP, Codec.GZIP)

    assert sink is not None


async def test_members_of_many_tasks_tile_the_file(tmp_path):
    """Any order, no gap, no overlap; each entry says where its member lies."""
    directory = prepared(tmp_path)
    async with ArchiveWriter(directory, BACKUP, Codec.GZIP, threads=2) as writer:
        await fill(writer, {f"t{number}": number for number in range(40)})
        manifest = await writer.finish(
            draft_of(BACKUP, Codec.GZIP, {f"t{number}": number for number in range(40)})
        )

    assert manifest.size == (tmp_path / manifest.file).stat().st_size
    with Catalogue(directory).open(BACKUP) as reader:
        report = await reader.verify(VerifyLevel.CONTENT)
    assert report.rows == sum(range(40))
    assert report.statements == sum(len(member.statements) for member in manifest.members)


STATEMENTS = st.lists(
    st.binary(min_size=1, max_size=3000).map(lambda sql: Statement(StatementKind.TEXT, sql)),
    max_size=5,
)


@settings(max_examples=series(10, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(codec=st.sampled_from(Codec), members=st.lists(STATEMENTS.filter(bool), max_size=6))
def test_any_members_come_back(tmp_path_factory, codec, members):
    """Random members, appended or streamed, over every codec, read both ways."""
    directory = prepared(tmp_path_factory.mktemp("random"))

    async def round_trip() -> None:
        async with ArchiveWriter(directory, BACKUP, codec) as writer:
            await writer.append(MemberKind.HEADER, [HEADER])
            for number, statements in enumerate(members):
                if number % 2:
                    await writer.append(MemberKind.OBJECTS, statements, database="d")
                else:
                    await writer.stream(MemberKind.OBJECTS, each(statements), database="d")
            manifest = await writer.finish(draft_of(BACKUP, codec, {}))
        with Catalogue(directory).open(BACKUP) as reader:
            for member, statements in zip(manifest.members[1:-1], members, strict=True):
                expected = [statement.sql for statement in statements]
                assert await reader.read(member) == expected
                assert [sql async for sql in reader.iter_statements(member)] == expected

    asyncio.run(round_trip())


async def each(statements):
    for statement in statements:
        yield statement


@pytest.mark.parametrize("codec", Codec)
async def test_streaming_takes_constant_memory(tmp_path, codec):
    """64 MiB through one member, in and out again, in less than 8 MiB."""
    directory = prepared(tmp_path)

    async def big():
        for number in range(64):
            body = ((b"%d," % number) * 530_000)[: 1 << 20]
            yield Statement(StatementKind.PIECE, b"SET @backstay_1 = '" + body + b"';\n")
        yield insert_of("users", 1, 1)

    async with ArchiveWriter(directory, BACKUP, codec) as writer:
        await writer.append(MemberKind.HEADER, [HEADER])
        tracemalloc.start()
        try:
            await writer.stream(MemberKind.DATA, big(), database="shop", table="users")
            manifest = await writer.finish(draft_of(BACKUP, codec, {"users": 1}))
            member = manifest.members[1]
            with Catalogue(directory).open(BACKUP) as reader:
                count = len([None async for _ in reader.iter_statements(member)])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert member.raw_size > 64 << 20
    assert count == 65
    assert peak < 8 << 20


async def test_leaving_without_finish_leaves_nothing(tmp_path):
    """The context is the owner of the file."""
    async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.GZIP) as writer:
        await fill(writer, TABLES)
        assert leftovers(tmp_path) == [writer.name.partial]

    assert leftovers(tmp_path) == []


async def test_any_error_leaves_nothing(tmp_path):
    """Also one that is no AppError."""

    async def fails() -> None:
        async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.GZIP) as writer:
            await fill(writer, TABLES)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "nth"),
    [("open", 2), ("write", 1), ("write", 4), ("fsync", 1), ("pread", 2), ("rename", 1),
     ("rename", 2), ("fsync", 5)],
)  # fmt: skip
async def test_a_cancelled_backup_leaves_nothing(tmp_path, name, nth):
    """Whichever call it is in: the call ends, everything is removed, CancelledError comes out."""
    prepared(tmp_path)
    kernel = WaitingKernel(name, nth)
    task = asyncio.create_task(write_backup(LocalDirectory(tmp_path, kernel)))
    assert await asyncio.to_thread(kernel.reached.wait, 20)
    task.cancel()
    await asyncio.sleep(0.02)
    task.cancel()
    kernel.go.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert leftovers(tmp_path) == []


async def test_a_failing_stream_makes_the_writer_unusable(tmp_path):
    """Half a member is in the file; whoever ignores that cannot go on."""

    async def dies():
        yield HEADER
        raise ZeroDivisionError

    async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.GZIP) as writer:
        with pytest.raises(ZeroDivisionError):
            await writer.stream(MemberKind.HEADER, dies())
        with pytest.raises(StorageError, match="earlier write failed"):
            await writer.append(MemberKind.HEADER, [HEADER])
        with pytest.raises(StorageError):
            await writer.finish(draft_of(BACKUP, Codec.GZIP, {}))


async def test_all_writers_to_a_full_disk_name_the_same_cause(tmp_path):
    """Whichever of two tasks is heard first, the operator learns that the disk is full."""
    kernel = FullKernel(room=1 << 20)
    large = Statement(StatementKind.TEXT, b"-- written at once\n" * 4096)
    async with ArchiveWriter(prepared(tmp_path, kernel), BACKUP, Codec.NONE) as writer:
        kernel.room = 2
        appends = [writer.append(MemberKind.HEADER, [large]) for _ in range(20)]
        ends = await asyncio.gather(*appends, return_exceptions=True)

    failures = [end for end in ends if isinstance(end, Exception)]
    assert len(failures) >= 2
    assert {type(failure) for failure in failures} == {StorageFullError}


async def test_a_full_disk_is_told_for_members_that_waited(tmp_path):
    """Small members are written together; where that fails, there is no backup."""
    kernel = FullKernel(room=1 << 20)
    async with ArchiveWriter(prepared(tmp_path, kernel), BACKUP, Codec.GZIP) as writer:
        kernel.room = 2
        await writer.append(MemberKind.HEADER, [HEADER])
        assert writer.size > 2
        with pytest.raises(StorageFullError):
            await writer.finish(draft_of(BACKUP, Codec.GZIP, {}))
    assert leftovers(tmp_path) == []


async def test_members_are_handed_over_a_megabyte_at_a_time(tmp_path):
    """What wakes a thread for each of them costs a backup more than the writing itself."""
    member = Statement(StatementKind.TEXT, b"-- a third of a megabyte\n" * 14_000)
    async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.NONE) as writer:
        (file,) = tmp_path.glob(f"*{BACKUP}*")
        sizes = []
        for _ in range(7):
            await writer.append(MemberKind.HEADER, [member])
            sizes.append(file.stat().st_size // len(member.sql))

    assert sizes == [0, 0, 3, 3, 3, 6, 6]


async def test_an_index_that_does_not_add_up_is_not_published(tmp_path):
    """Rows that the tables do not have are a bug of the caller, and no backup."""
    async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.GZIP) as writer:
        await fill(writer, TABLES)
        with pytest.raises(ManifestError):
            await writer.finish(draft_of(BACKUP, Codec.GZIP, {**TABLES, "users": 6}))

    assert leftovers(tmp_path) == []


async def test_damage_before_publication_is_noticed(tmp_path):
    """What is read back is compared with what was written."""

    class Rotting(CountingKernel):
        def decide(self, number, name, call, args):
            if name == "write" and len(args[1]) > 200:
                return call(args[0], memoryview(b"\0" + bytes(args[1][1:])))
            return call(*args)

    with pytest.raises(IntegrityError):
        await write_backup(LocalDirectory(prepared(tmp_path).path, Rotting()))

    assert leftovers(tmp_path) == []


async def test_a_backup_is_never_written_twice(tmp_path):
    """The id is taken while it is written, and afterwards."""
    directory = prepared(tmp_path)
    async with ArchiveWriter(directory, BACKUP, Codec.GZIP) as writer:
        with pytest.raises(StorageError, match="file exists"):
            async with ArchiveWriter(directory, BACKUP, Codec.GZIP):
                pass
        await fill(writer, TABLES)
        await writer.finish(draft_of(BACKUP, Codec.GZIP, TABLES))
    with pytest.raises(StorageError, match="already exists"):
        await write_backup(directory)

    assert len(Catalogue(directory).entries()) == 1


async def test_the_duration_is_read_last(tmp_path):
    """Verification counts, publication does not."""
    seen: list[MemberEntry] = []
    async with ArchiveWriter(prepared(tmp_path), BACKUP, Codec.GZIP) as writer:
        await fill(writer, TABLES)
        manifest = await writer.finish(
            draft_of(BACKUP, Codec.GZIP, TABLES),
            closing=b"SET FOREIGN_KEY_CHECKS=1;\n",
            duration=lambda: float(len(seen)),
            listener=seen.append,
        )

    assert manifest.duration == len(manifest.members) == len(seen)
