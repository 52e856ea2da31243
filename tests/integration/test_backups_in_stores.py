"""Backups in stores of every kind, as their servers make them: written there, proven, copied, read in part, deleted."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from app.age.opening import HEAD_BYTES
from app.age.stream import SEALED_BYTES
from app.age.x25519 import Identity
from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive
from app.archive.file.keys import NO_KEYS
from app.archive.file.writer import ArchiveWriter
from app.domain.backups.backup import BackupRequest
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec, MemberKind, StatementKind
from app.domain.ports import Statement
from app.engine.server.server import Server as Target
from app.errors import AppError, BackupNotFoundError, ObjectLockedError
from app.services.backups.service import BackupService
from app.storage import layout
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from app.storage.remote.store import LEAST_PART_BYTES, MOST_PARTS
from tests.fixtures.archive_keys import keys_of
from tests.fixtures.archives import (
    HEADER,
    TABLES,
    backup_id_of,
    draft_of,
    make_backup,
    write_backup,
)
from tests.fixtures.clocks import SystemClock
from tests.fixtures.kernels import FreeSpaceKernel
from tests.fixtures.store_programs import LOCKED_BUCKET
from tests.fixtures.stores import KIND_NAMES, StoreServers


# Of one table, and how many: some megabytes, more than one request holds.
CHUNKS, CHUNK_BYTES = 24, 400_000
ENCRYPTED_CHUNKS = 100


class CountingStore:
    """Counts the bytes that were read from a store."""

    def __init__(self, inner):
        self.inner = inner
        self.bytes_read = 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def read(self, name, offset, size):
        self.bytes_read += size
        return self.inner.read(name, offset, size)


class PartsStore(LocalStore):
    """Notes how large the parts are in which objects are sent."""

    def __init__(self, path, kernel):
        super().__init__(path, kernel)
        self.part_bytes = []

    def begin(self, name, part_bytes, *, retain_until=None):
        self.part_bytes.append(part_bytes)
        return super().begin(name, part_bytes, retain_until=retain_until)


@pytest.fixture(params=KIND_NAMES)
def directory(request, store_servers: StoreServers, tmp_path):
    """An empty store of each kind, as a backup directory."""
    definition = store_servers.definition(request.param)
    store = CountingStore(store_servers.open(definition))
    made = StoreDirectory("tried", definition.place, store, LocalDirectory(tmp_path / "locks"))
    made.prepare()
    yield made
    made.close()


def names_in(directory):
    return {name for name in directory.names() if name != layout.METADATA}


async def test_a_backup_in_a_store_is_as_good_as_one_on_a_disk(directory):
    """Listed, verified to its last row, noted about, deleted; and nothing is left."""
    manifest = await write_backup(directory)
    catalogue = Catalogue(directory)
    assert [entry.backup_id for entry in catalogue.entries()] == [manifest.backup_id]
    with catalogue.open(manifest.backup_id) as reader:
        report = await reader.verify(VerifyLevel.CONTENT)
    assert report.rows == sum(TABLES.values())
    assert names_in(directory) == {manifest.file, manifest.file + layout.MANIFEST}

    with pytest.raises(AppError):
        await write_backup(directory)
    assert catalogue.sweep() == ()
    catalogue.delete(manifest.backup_id)
    assert names_in(directory) == set()


async def test_a_copy_in_a_store_and_back_is_the_same_file(directory, tmp_path):
    """Through any kind of store, byte for byte; a rebuilt manifest proves the same."""
    catalogue, manifest = await asyncio.to_thread(make_backup, tmp_path / "here")
    with catalogue.stored(manifest.backup_id) as archive:
        await asyncio.to_thread(copy_archive, archive, directory, stop=Event())
    directory.remove(manifest.file + layout.MANIFEST)
    there = Catalogue(directory)
    assert await asyncio.to_thread(there.orphans) == (manifest.file,)
    assert (await asyncio.to_thread(there.rebuild)).rebuilt == (manifest.backup_id,)
    back = LocalDirectory(tmp_path / "back")
    back.prepare()
    with there.stored(manifest.backup_id) as archive:
        await asyncio.to_thread(copy_archive, archive, back, stop=Event())

    files = [(tmp_path / name / manifest.file).read_bytes() for name in ("here", "back")]
    assert files[0] == files[1]


async def test_a_writer_that_fails_leaves_nothing(directory):
    """Whatever was sent by then."""

    async def write():
        async with ArchiveWriter(directory, backup_id_of(0), Codec.GZIP) as writer:
            await writer.append(MemberKind.HEADER, [HEADER])
            await writer.append(MemberKind.DATA, [_chunk(0)], database="shop", table="t")
            raise RuntimeError("the dump has failed")

    with pytest.raises(RuntimeError):
        await write()
    assert names_in(directory) == set()
    assert Catalogue(directory).entries() == ()


async def test_parts_are_as_large_as_the_tables_of_the_server_want(server, sql, database, tmp_path):
    """A store takes so many of an object, so a terabyte has larger ones than a megabyte."""
    (tmp_path / "store").mkdir()
    store = PartsStore(tmp_path / "store", FreeSpaceKernel(free=1 << 50))
    there = StoreDirectory("tried", "there", store, LocalDirectory(tmp_path / "locks"))
    target = Target(server.url)
    backups = BackupService(target, Catalogue(there), SystemClock())
    sql.run("CREATE TABLE t (id INT PRIMARY KEY) STATS_PERSISTENT=1 STATS_AUTO_RECALC=0")
    sql.run("INSERT INTO t VALUES (1)")
    # What the server tells of a table of 2 TB; a name makes it read that again.
    pages = "UPDATE mysql.innodb_table_stats SET clustered_index_size = 125000000"
    grown = [f"{pages} WHERE database_name = '{database}'", "FLUSH TABLES", "RENAME TABLE t TO u"]
    try:
        await backups.create(BackupRequest(databases=(database,)))
        sql.script(grown)
        await backups.create(BackupRequest(databases=(database,)))
    finally:
        await target.close()

    usual, large = store.part_bytes
    assert usual == LEAST_PART_BYTES
    assert large > 2e12 / MOST_PARTS


async def test_one_small_table_of_a_large_backup_costs_little_more_than_itself(directory):
    """By ranges of its members; what is read is at most three hundredths of the file."""
    backup_id = backup_id_of(0)
    tables = {"large": CHUNKS, "small": 1}
    async with ArchiveWriter(directory, backup_id, Codec.NONE) as writer:
        await writer.append(MemberKind.HEADER, [HEADER])
        for number in range(CHUNKS):
            await writer.append(MemberKind.DATA, [_chunk(number)], database="shop", table="large")
        small = Statement(StatementKind.INSERT, b"INSERT INTO `small` VALUES (1);\n", rows=1)
        await writer.append(MemberKind.DATA, [small], database="shop", table="small")
        manifest = await writer.finish(draft_of(backup_id, Codec.NONE, tables))
    store = directory.store
    before = store.bytes_read
    with Catalogue(directory).open(backup_id) as reader:
        opened = store.bytes_read
        (member,) = [part for part in manifest.members if part.table == "small"]
        assert await reader.read(member) == [small.sql]
        assert store.bytes_read - opened <= 0.03 * manifest.size
        large = [part for part in manifest.members if part.table == "large"]
        for part in large:
            await reader.read(part)
        counted = reader.bytes_read
    assert counted is not None
    assert 0.9 * manifest.size < counted < 1.2 * manifest.size
    assert store.bytes_read - before < 1.2 * manifest.size


def counted_store(home: Path) -> tuple[CountingStore, StoreDirectory]:
    """Make a store that counts the bytes that are read of it, and what lies in it."""
    place = home / "store"
    place.mkdir()
    store = CountingStore(LocalStore(place))
    there = StoreDirectory("tried", str(place), store, LocalDirectory(home / "locks"))
    there.prepare()
    return store, there


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
async def test_one_hundredth_of_an_encrypted_store_costs_three_hundredths(codec, tmp_path):
    """Everything counted: manifest, header, and the chunks that are cut at both ends."""
    store, there = counted_store(tmp_path)
    reader = Identity.new()
    keys = keys_of(tmp_path / "state", reader, reader=reader)
    tables, backup_id = {"large": ENCRYPTED_CHUNKS - 1, "small": 1}, backup_id_of(0)
    async with ArchiveWriter(there, backup_id, codec, keys) as writer:
        await writer.append(MemberKind.HEADER, [HEADER])
        for number in range(ENCRYPTED_CHUNKS):
            table = "small" if number == ENCRYPTED_CHUNKS // 2 else "large"
            await writer.append(MemberKind.DATA, [_chunk(number)], database="shop", table=table)
        manifest = await writer.finish(draft_of(backup_id, codec, tables))
    store.bytes_read = 0
    with Catalogue(there, keys).open(backup_id) as opened:
        (member,) = [part for part in opened.manifest.members if part.table == "small"]
        assert await opened.read(member) == [_chunk(ENCRYPTED_CHUNKS // 2).sql]

    assert member.size < 0.011 * manifest.size
    assert store.bytes_read <= 0.03 * manifest.size


async def test_an_encrypted_backup_is_read_once_and_ahead(tmp_path):
    """Members begin and end inside of chunks: neither a restore in order nor a proof reads one twice for that."""
    store, there = counted_store(tmp_path)
    identity = Identity.new()
    keys = keys_of(tmp_path / "state", identity, reader=identity)
    backup_id = backup_id_of(0)
    async with ArchiveWriter(there, backup_id, Codec.GZIP, keys) as writer:
        await writer.append(MemberKind.HEADER, [HEADER])
        for number in range(CHUNKS):
            await writer.append(MemberKind.DATA, [_chunk(number)], database="shop", table="large")
        manifest = await writer.finish(draft_of(backup_id, Codec.GZIP, {"large": CHUNKS}))
    # What was written was read back, and the head and the end of it are read to open it.
    written, most = store.bytes_read, 1.03 * manifest.size + 3 * HEAD_BYTES
    catalogue, seen = Catalogue(there, keys), []
    for level in (VerifyLevel.HASHES, VerifyLevel.CONTENT):
        with catalogue.open(backup_id) as reader:
            await reader.verify(level)
            seen.append(reader.bytes_read)
    with catalogue.open(backup_id) as reader:
        for member in manifest.members:
            await reader.read(member)
        seen.append(reader.bytes_read)

    assert written <= most
    assert all(read is not None and manifest.size <= read <= most for read in seen), seen


@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("tables", [1, 4, 12])
async def test_connections_beside_each_other_fetch_each_byte_once(tables, is_encrypted, tmp_path):
    """One table by all of them, or a table each: bytes fetched are bytes needed, and what opens an encrypted file."""
    place = tmp_path / "store"
    place.mkdir()
    there = StoreDirectory(
        "tried", str(place), LocalStore(place), LocalDirectory(tmp_path / "locks")
    )
    there.prepare()
    identity = Identity.new()
    keys = keys_of(tmp_path / "state", identity, reader=identity) if is_encrypted else NO_KEYS
    names, backup_id = [f"t{number}" for number in range(tables)], backup_id_of(0)
    async with ArchiveWriter(there, backup_id, Codec.GZIP, keys) as writer:
        await writer.append(MemberKind.HEADER, [HEADER])
        for name in names:
            for number in range(CHUNKS // tables):
                chunk = [_chunk(number, CHUNK_BYTES - number * 10_000)]
                await writer.append(MemberKind.DATA, chunk, database="shop", table=name)
        draft = draft_of(backup_id, Codec.GZIP, dict.fromkeys(names, CHUNKS // tables))
        manifest = await writer.finish(draft)
    with Catalogue(there, keys).open(backup_id) as reader:
        queues = [[m for m in manifest.members if m.table == name] for name in names]

        async def connection(number):
            while any(queues):
                queue = queues[number % tables] or next(filter(None, queues))
                await reader.read(queue.pop(0))

        await asyncio.gather(*map(connection, range(4)))
        fetched = reader.bytes_read
    needed = sum(member.size for member in manifest.members if member.table)

    opened = HEAD_BYTES + 2 * SEALED_BYTES if is_encrypted else 0
    assert fetched is not None
    assert needed <= fetched <= manifest.size + opened


def _chunk(number, size=CHUNK_BYTES):
    text = random.Random(number).randbytes(size // 2).hex()  # noqa: S311 - no secret
    sql = f"INSERT INTO `large` (`id`,`x`) VALUES\n({number},'{text}');\n".encode()
    return Statement(StatementKind.INSERT, sql, rows=1, lower=(str(number),))


async def test_what_is_published_is_kept_by_the_store(store_servers, tmp_path):
    """With object lock: data and manifest; its claim is gone, and a deletion changes nothing."""
    definition = store_servers.definition("s3", bucket=LOCKED_BUCKET, object_lock_days=1)
    store = store_servers.open(definition)
    locks = LocalDirectory(tmp_path / "locks")
    kept = StoreDirectory("kept", definition.place, store, locks, lock_days=1)
    kept.prepare()
    try:
        manifest = await write_backup(kept)
        with pytest.raises(ObjectLockedError):
            Catalogue(kept).delete(manifest.backup_id)
        for name in (manifest.file, manifest.file + layout.MANIFEST):
            with pytest.raises(ObjectLockedError):
                store.delete(name)

        assert names_in(kept) == {manifest.file, manifest.file + layout.MANIFEST}
        with Catalogue(kept).open(manifest.backup_id) as reader:
            assert (await reader.verify(VerifyLevel.CONTENT)).rows == sum(TABLES.values())
    finally:
        kept.close()


async def test_what_stays_is_locked_on_and_what_goes_is_not(store_servers, tmp_path):
    """By a prune, months after it was published; twice is harmless, and a deletion is refused by the store."""
    definition = store_servers.definition("s3", bucket=LOCKED_BUCKET, object_lock_days=1)
    store = store_servers.open(definition)
    kept = StoreDirectory(
        "kept", definition.place, store, LocalDirectory(tmp_path / "locks"), lock_days=1
    )
    kept.prepare()
    try:
        manifest = await write_backup(kept)
        until = store.now() + timedelta(days=3)
        for _ in range(2):
            Catalogue(kept).lock_on(manifest.backup_id, until)
        for name in (manifest.file, manifest.file + layout.MANIFEST):
            with pytest.raises(ObjectLockedError, match=f"{until:%Y-%m-%d}"):
                store.delete(name)
        with pytest.raises(BackupNotFoundError):
            Catalogue(kept).lock_on(backup_id_of(7), until)
    finally:
        kept.close()
