"""Streams being written: whatever happens, what is kept is a prefix of the server's bytes."""

import errno
import os
from contextlib import suppress

import pytest

from app.binlog.archive.reading import open_stream
from app.binlog.archive.writing import StreamWriter
from app.binlog.events.headers import Malformed
from app.domain.backups.manifest import Codec
from app.errors import StorageError
from tests.fixtures.binlog import (
    VARIANTS,
    archive,
    corpus,
    directory_in,
    events_of,
    go_on,
    served,
)
from tests.fixtures.kernels import FailingKernel, RelaxedKernel


def joined(stream):
    """Read all files of a stream by name."""
    found = {}
    for file in stream.files:
        pieces: list[bytes] = []
        stream.copy(file.number, file.start, file.size, pieces.append)
        found[file.name] = b"".join(pieces)
    return found


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("variant", VARIANTS)
def test_joined_segments_are_the_servers_files(tmp_path, variant, codec):
    """Byte for byte, the in-use bit aside, however they were cut and compressed."""
    writer = archive(directory_in(tmp_path), corpus(variant), codec=codec)
    writer.close()
    stream = open_stream(directory_in(tmp_path))

    assert joined(stream) == {path.name: served(path) for path in corpus(variant)}
    assert stream.verify() == sum(path.stat().st_size for path in corpus(variant))


class PatientKernel(FailingKernel):
    """Fails at the k-th call, and waits for no disk."""

    def decide(self, number, name, call, args):
        return (
            None
            if name == "fsync" and number != self.at
            else super().decide(number, name, call, args)
        )


@pytest.mark.parametrize("variant", ["mariadb-10.11", "mysql-payload"])
def test_a_process_that_dies_at_any_call_loses_nothing_that_was_synced(tmp_path, variant):
    """Each of the system calls is the last one of a process once; the next one goes on from the last border."""
    files = corpus(variant)
    at = 0
    failed = True
    while failed:
        at += 11
        backups = tmp_path / str(at)
        kernel = PatientKernel(at, errno.EIO)
        with suppress(StorageError):
            archive(directory_in(backups, kernel), files).close()
        failed = bool(kernel.failed)
        directory = directory_in(backups, RelaxedKernel())
        if not directory.path.exists() or not directory.exists("stream.json"):
            continue
        resume_and_finish(directory, files)
        stream = open_stream(directory)

        assert joined(stream) == {path.name: served(path) for path in files}


def accept_all(writer, events):
    """Let a writer take events."""
    for event in events:
        writer.accept(event)


def resume_and_finish(directory, files):
    """Go on with a stream behind what it has, as a reader of the server would."""
    writer = StreamWriter.resume(directory, Codec.GZIP)
    names = [path.name for path in files]
    current = names.index(writer.file)
    rest: list[bytes] = []
    position = 4
    for event in events_of(files[current]):
        if position >= writer.scan.position:
            rest.append(event)
        position += len(event)
    go_on(writer, rest, files[current + 1 :]).close()


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 100, 300, 301, 2000])
def test_a_tail_is_cut_at_its_last_whole_transaction(tmp_path, size):
    """Also one that was only just made, and has a part of the magic or nothing at all."""
    (path, _) = corpus("mariadb-10.11")
    directory = directory_in(tmp_path)
    writer = archive(directory, [path], roll_after=100)
    writer.close()
    (tail,) = directory.path.glob("*.tail")
    (head,) = directory.path.glob("*.head")
    os.truncate(tail, size)
    # Nothing of it was promised yet.
    head.write_bytes(head.read_bytes().partition(b"\n")[0] + b"\n[12")
    resume_and_finish(directory, [path])

    assert joined(open_stream(directory)) == {path.name: served(path)}


def test_a_file_that_cannot_follow_ends_the_stream(tmp_path):
    """A gap in the numbers, another name than a rotation says, or a list of other GTIDs."""
    first, second = corpus("mysql-9.7")
    writer = archive(directory_in(tmp_path), [first])

    for name in ("binlog.000003", "binlog.000001", "binlog", "other.000002"):
        with pytest.raises(Malformed):
            writer.change_file(name, 0)
    writer.change_file(second.name, 0)
    with pytest.raises(Malformed, match="the file begins at"):
        accept_all(writer, events_of(first))
    writer.close()


def test_a_stream_that_ended_is_whole(tmp_path):
    """What was in an open transaction lies behind the last border, and counts for nothing."""
    (path, _) = corpus("mariadb-10.11")
    directory = directory_in(tmp_path)
    writer = archive(directory, [path], roll_after=100)
    writer.close()
    (tail,) = directory.path.glob("*.tail")
    os.truncate(tail, 1100)
    head = next(directory.path.glob("*.head"))
    head.write_bytes(head.read_bytes().partition(b"\n")[0] + b"\n")
    writer = StreamWriter.resume(directory, Codec.ZSTD)
    position = 4
    for event in events_of(path)[:11]:
        if position >= writer.scan.position:
            writer.accept(event)
        position += len(event)
    writer.flush()
    writer.end(1)
    stream = open_stream(directory)

    assert stream.files[0].end < stream.files[0].size
    assert [found.gtid for found in stream.transactions()] == ["0-1-1", "0-1-2"]
    assert not list(directory.path.glob("*.tail"))
