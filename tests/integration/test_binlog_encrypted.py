"""An encrypted archive of a real server's log, written by an archiver that cannot read it."""

import shutil
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from app.age.x25519 import Identity
from app.binlog.archive.documents import STREAMS
from app.binlog.archive.reading import open_streams
from app.binlog.archive.streams import read_stream_document
from app.binlog.copying import StreamCopy
from app.binlog.rhythm import Pace
from app.errors import SignatureMismatchError
from app.storage.local import LocalDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.cli import Cli, wait_until
from tests.fixtures.log_archive import (
    QUICK,
    RESET,
    archiving,
    caught_up,
    end_of_log,
    require_equal,
    until,
)
from tests.fixtures.servers import OwnServers, Sql


SOMEBODY = Identity.new()
# Nothing is sealed by age.
SLOW = Pace(heartbeat_seconds=0.2, sync_seconds=0.1, retry_seconds=0.1)


@pytest.fixture(scope="module")
def source(tmp_path_factory, server_template):
    """Make one server for all of this module."""
    with closing(OwnServers(tmp_path_factory.mktemp("servers"), server_template)) as servers:
        server = servers()
        with Sql(server.url) as sql:
            sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (a SERIAL, b TEXT)"])
        yield server


@pytest.fixture
def sql(source):
    """Connect to it, whose log begins anew."""
    with closing(Sql(source.url)) as found:
        found.run(RESET)
        yield found


def change(sql, rows=20):
    """Change some rows."""
    for _ in range(rows):
        sql.run("INSERT INTO d.t (b) VALUES (REPEAT('secret', 40))")


def is_sealed(backups: Path) -> bool:
    """Tell whether everything that was archived lies in segments."""
    tails = list(backups.glob("binlog/*/*.tail"))
    try:
        return bool(tails) and not any(tail.stat().st_size for tail in tails)
    except FileNotFoundError:  # the archiver took one away in between, and went on
        return False


async def test_an_archiver_without_an_identity_goes_on(source, sql, tmp_path):
    """With its last transaction in a segment, or some files before; the rows are nowhere in the clear."""
    backups, breaks = tmp_path / "backups", list[str]()
    backups.mkdir()
    keys = log_keys_of(tmp_path / "state", SOMEBODY)
    for pace in (QUICK, SLOW, QUICK, QUICK):
        async with archiving(source.url, backups, pace=pace, breaks=breaks, keys=keys) as archiver:
            await caught_up(archiver, sql)
            if pace is SLOW:
                sql.script(["FLUSH BINARY LOGS", "FLUSH BINARY LOGS"])
            else:
                change(sql)
            await caught_up(archiver, sql)
            if pace is QUICK:
                await until(lambda: is_sealed(backups), "nothing is sealed")
    stream = require_equal(backups, source, log_keys_of(tmp_path / "state", reader=SOMEBODY))

    assert breaks == []
    assert len(stream.files) == 3
    assert sum(len(found.tables) for found in stream.transactions()) == 60
    assert not any(b"secret" in path.read_bytes() for path in backups.glob("binlog/*/*"))


async def test_another_log_or_a_lost_key_ends_the_stream(source, sql, tmp_path):
    """Both are noticed by an archiver that cannot read what it has; an identity still reads it."""
    backups, breaks = tmp_path / "backups", list[str]()
    backups.mkdir()
    keys = log_keys_of(tmp_path / "state", SOMEBODY)
    async with archiving(source.url, backups, keys=keys) as archiver:
        change(sql)
        await caught_up(archiver, sql)
        await until(lambda: is_sealed(backups), "nothing is sealed")
    sql.run(RESET)
    change(sql, 80)
    async with archiving(source.url, backups, breaks=breaks, keys=keys) as archiver:
        await until(lambda: len(breaks) == 1, f"no break: {archiver.status}")
        change(sql)
        await caught_up(archiver, sql)
    (tmp_path / "state" / "binlog.key").unlink()
    keys = log_keys_of(tmp_path / "state", SOMEBODY)
    async with archiving(source.url, backups, breaks=breaks, keys=keys) as archiver:
        await until(lambda: len(breaks) == 2, f"no break: {archiver.status}")
        await caught_up(archiver, sql)
    streams = open_streams(backups, log_keys_of(tmp_path / "state", reader=SOMEBODY))

    assert [bool(stream.document.ended_at) for stream in streams] == [True, True, False]
    assert all(stream.verify() for stream in streams[:2])


async def test_a_swapped_key_and_a_changed_document_each_end_the_stream_once(source, sql, tmp_path):
    """Recipients may change in the middle of one; what was archived is read by whom it was encrypted for."""
    backups, breaks, state = tmp_path / "backups", list[str](), tmp_path / "state"
    backups.mkdir()
    other = Identity.new()
    for recipients in ((SOMEBODY,), (other, SOMEBODY), (), (SOMEBODY,)):
        keys = log_keys_of(state, *recipients)
        async with archiving(source.url, backups, breaks=breaks, keys=keys) as archiver:
            change(sql, 3)
            await caught_up(archiver, sql)
    assert breaks == []
    shutil.copy(_key_of(tmp_path / "elsewhere"), state / "binlog.key")
    keys = log_keys_of(state, SOMEBODY)
    for count in (1, 2):
        async with archiving(source.url, backups, breaks=breaks, keys=keys) as archiver:
            await until(lambda: bool(archiver.status.current_as_of_ms), f"never: {archiver.status}")
            change(sql, 3)
            await caught_up(archiver, sql)
        assert len(breaks) == count
        _forget_settings(LocalDirectory(backups / "binlog" / archiver.status.stream))
    with pytest.raises(SignatureMismatchError):
        open_streams(backups, log_keys_of(state, reader=SOMEBODY))
    for path in backups.glob("binlog/*/stream.json"):
        if b'"settings":{}' in path.read_bytes():
            shutil.rmtree(path.parent)
    (first,) = open_streams(backups, log_keys_of(state, reader=SOMEBODY))
    assert first.document.ended_at
    assert sum(len(found.tables) for found in first.transactions()) == 12


def _key_of(state: Path) -> Path:
    log_keys_of(state).own.make()
    return state / "binlog.key"


def _forget_settings(directory: LocalDirectory) -> None:
    """Change what is said of a stream, as somebody does who can write there."""
    document = replace(read_stream_document(directory), settings={})
    directory.replace("stream.json", STREAMS.dump(document))


def is_at(cli, sql) -> bool:
    """Tell whether all of the log is archived."""
    time.sleep(0.2)
    streams = open_streams(cli.backups, log_keys_of(cli.home / "state"))
    window = streams[-1].window if streams else None
    return window is not None and window[1] == end_of_log(sql)


def test_only_an_identity_reads(source, sql, tmp_path):
    """Recoveries and searches end with `no-identity` without one, and go on from a store when the archive is lost."""
    cli = Cli(source.url, tmp_path)
    to, secret = str(SOMEBODY.recipient), SOMEBODY.secret_text()
    with cli.start("binlog", "run", ENCRYPT_TO=to, STATE_DIR="state") as archiver:
        wait_until(lambda: any(cli.backups.glob("binlog/*/*.tail")), "an archive begins")
        cli.json("backup", "create", "--database", "d", ENCRYPT_TO=to, STATE_DIR="state")
        change(sql)
        wait_until(partial(is_at, cli, sql), "all of it is archived")
        archiver.terminate()
        archiver.communicate()
    file, position = end_of_log(sql)
    point = ("recover", "--to-position", f"{file}:{position}", "--dry-run")

    assert cli.error(*point, code=11, STATE_DIR="state")["code"] == "no-identity"
    assert cli.json(*point, IDENTITY=secret, STATE_DIR="state")["transactions"] == 20
    (stream,) = cli.json("binlog", "status", STATE_DIR="state")["streams"]
    assert stream["last"] == {"file": file, "position": position}
    store = tmp_path / "store"
    store.mkdir()
    directory = LocalDirectory(cli.backups / "binlog" / stream["id"])
    copy = StreamCopy(directory, append_only=True)
    assert copy.run(LocalStore(store), lambda: None, Event())
    shutil.rmtree(cli.backups / "binlog")
    fetched = cli.json(
        "binlog", "fetch", "there", STORES=f"there=local://{store}", STATE_DIR="state"
    )
    assert fetched["streams"] == [stream["id"]]
    assert cli.json(*point, IDENTITY=secret, STATE_DIR="state")["transactions"] == 20
    search = ("binlog", "transactions", "--table", "t")
    assert len(cli.json(*search, IDENTITY=secret, STATE_DIR="state")["transactions"]) == 20
