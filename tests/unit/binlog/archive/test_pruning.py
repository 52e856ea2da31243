"""The beginning of streams removed: what follows stays what it was, whatever comes between."""

import errno
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from app.binlog.archive.layout import LEASE
from app.binlog.archive.pruning import beginning_at, leased, leased_streams, prune
from app.binlog.archive.reading import open_stream, open_streams
from app.binlog.archive.streams import change_stream_document
from app.binlog.archive.writing import StreamWriter
from app.domain.backups.manifest import Codec
from app.domain.restores.points import Place
from app.errors import BackupInUseError, StorageError
from app.storage.local import LocalDirectory
from tests.fixtures.binlog import VARIANTS, archive, corpus, directory_in, events_of, go_on
from tests.fixtures.kernels import FailingKernel, RelaxedKernel


def archived(backups, variant="mariadb-10.11", *, ended=False, kernel=None):
    """Archive the files of a server, one transaction a segment."""
    directory = directory_in(backups, kernel or RelaxedKernel())
    writer = archive(directory, corpus(variant), roll_after=1)
    if ended:
        writer.end(1)
        change_stream_document(directory, _ended)
    writer.close()
    return directory


def _ended(document):
    object.__setattr__(document, "ended_at", "2026-11-29T04:00:00+00:00")
    return document


def described(border):
    return border and border.gtids and (border.gtids.text, border.committed_ms)


def place_before(transaction):
    return Place(transaction.number, transaction.start)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_begins_at_a_place_stays_byte_for_byte(tmp_path, variant):
    """From every transaction on: the same transactions, times and GTIDs, and all of it is proven."""
    everything = list(open_stream(archived(tmp_path / "whole", variant)).transactions())
    sizes = []
    for index, first in enumerate(everything):
        directory = archived(tmp_path / str(index), variant)
        stream = open_stream(directory)
        before = stream.border_at(first.number, first.start)
        prune(directory, beginning_at(stream, place_before(first)))
        (pruned,) = open_streams(tmp_path / str(index))

        kept = list(pruned.transactions())
        assert kept == everything[len(everything) - len(kept) :]
        assert kept[-len(everything[index:]) :] == everything[index:]
        border = pruned.border_at(first.number, first.start)
        assert described(border) == described(before)
        sizes.append(pruned.verify())
        assert beginning_at(pruned, place_before(first)) is None
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 9


def test_the_last_transaction_stays_and_the_archiver_goes_on(tmp_path):
    """By it the archiver proves that the log goes on, however much newer the oldest backup is."""
    directory = directory_in(tmp_path)
    first, second = corpus("mariadb-10.11")
    archive(directory, [first], roll_after=1).close()
    stream = open_stream(directory)
    last = list(stream.transactions())[-1]
    end = stream.files[-1].end
    prune(directory, beginning_at(stream, Place(99, 0)))
    pruned = open_stream(directory)

    assert list(pruned.transactions())[-1] == last
    assert pruned.files[0].start <= last.start < end
    writer = StreamWriter.resume(directory, Codec.GZIP)
    rest = [event for event in _positioned(first) if event[0] >= writer.scan.position]
    go_on(writer, [event for _, event in rest], [second], roll_after=1).close()
    assert open_stream(directory).files[-1].size == second.stat().st_size
    open_stream(directory).verify()


def _positioned(path):
    position = 4
    for event in events_of(path):
        yield position, event
        position += len(event)


@pytest.mark.parametrize("ended", [False, True])
def test_a_process_that_dies_at_any_call_leaves_a_stream_that_is_whole(tmp_path, ended):
    """Before, or as it should be: never with a hole; and the next prune removes what is left."""
    original = open_stream(archived(tmp_path / "original", ended=ended))
    whole, names = original.verify(), directory_in(tmp_path / "original").names()
    place = None if ended else place_before(list(original.transactions())[9])
    at, failed = 1, True
    while failed:
        home = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "original", home)
        kernel = FailingKernel(at, errno.EIO)
        dying = directory_in(home, kernel)
        with suppress(StorageError):
            prune(dying, beginning_at(open_stream(dying), place))
        failed = bool(kernel.failed)
        directory = directory_in(home, RelaxedKernel())
        for stream in open_streams(home):
            assert stream.verify() in {whole, _size_from(stream, place), *([0] if ended else [])}
            prune(directory, beginning_at(stream, place))
        assert bool(open_streams(home)) != ended
        assert ended or len(directory.names()) < len(names)
        at += 3
    assert at > 60


def _size_from(stream, place):
    """Return the size of a stream that begins where it should."""
    if place is None or beginning_at(stream, place) is not None:
        return -1
    return stream.verify()


def test_the_first_readers_of_a_stream_come_at_once(tmp_path):
    """None is refused, and none holds a lease that another has taken away."""
    for number in range(40):
        directory = LocalDirectory(tmp_path / str(number))
        directory.prepare()
        begun, held = Barrier(8), Barrier(8)

        def read(directory=directory, begun=begun, held=held):
            begun.wait()
            with leased(directory):
                held.wait(10)
                with pytest.raises(BackupInUseError):
                    directory.open(LEASE, exclusive=True)
                held.wait(10)

        with ThreadPoolExecutor(8) as threads:
            for reader in [threads.submit(read) for _ in range(8)]:
                reader.result()


def test_nothing_goes_while_somebody_reads(tmp_path):
    """A lease keeps all of it; without it goes what should."""
    directory = archived(tmp_path)
    stream = open_stream(directory)
    place = place_before(list(stream.transactions())[9])
    names = sorted(directory.names())
    for lease in (leased(directory), leased_streams(tmp_path)):
        with lease, leased(directory), pytest.raises(BackupInUseError):
            prune(directory, beginning_at(stream, place))
    assert sorted({*directory.names()} - {".reading.lock"}) == sorted({*names} - {".reading.lock"})
    prune(directory, beginning_at(stream, place))
    assert len(directory.names()) < len(names)


def test_a_stream_that_nobody_needs_goes_whole(tmp_path):
    """With its directory; an archive that has none is as one that never had."""
    directory = archived(tmp_path, ended=True)
    prune(directory, beginning_at(open_stream(directory), None))
    assert not directory.path.exists()
    assert open_streams(tmp_path) == []
