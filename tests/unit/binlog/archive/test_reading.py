"""The archive as it is read: proven, whole, and cut at the right place."""

import os
import shutil

import pytest

from app.binlog.archive.reading import open_stream, open_streams
from app.binlog.events.headers import Place
from app.errors import BinlogDamagedError
from tests.fixtures.binlog import LATER_MS, STREAM, VARIANTS, archive, corpus, directory_in


def archived(backups, variant="mariadb-10.11", **options):
    """Archive the files of a server; returns the directory of the stream."""
    directory = directory_in(backups)
    archive(directory, corpus(variant), **options).close()
    return directory


def read_all(directory):
    """Read everything, as a verification does."""
    return open_stream(directory).verify()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_directory_of_backups_has_streams_with_files_and_a_window(tmp_path, variant):
    """The window reaches from the first byte to the end of the last whole transaction."""
    archived(tmp_path, variant)
    first, last = corpus(variant)
    (stream,) = open_streams(tmp_path)

    assert stream.id == STREAM
    assert [(file.name, file.start, file.size) for file in stream.files] == [
        (path.name, 0, path.stat().st_size) for path in (first, last)
    ]
    assert [file.is_closed for file in stream.files] == [True, False]
    assert stream.window == (Place(first.name, 0), Place(last.name, last.stat().st_size))
    assert open_streams(tmp_path / "none") == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_transactions_are_found_by_place(tmp_path, variant):
    """From one place to another, in tail, sealed segment and rotated file alike."""
    archived(tmp_path, variant)
    (stream,) = open_streams(tmp_path)
    everything = list(stream.transactions())

    assert len(everything) == 14
    for index in (0, 5, 12, 13):
        found = everything[index]
        start, end = Place(found.file, found.start), Place(found.file, found.end)
        assert list(stream.transactions(start)) == everything[index:]
        assert list(stream.transactions(None, end)) == everything[: index + 1]
        assert list(stream.transactions(start, start)) == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_place_is_a_border_or_lies_inside_a_transaction(tmp_path, variant):
    """Every end of a transaction is one, and no other byte of it."""
    archived(tmp_path, variant)
    (stream,) = open_streams(tmp_path)
    for found in stream.transactions():
        before = stream.border_at(found.number, found.start)
        border = stream.border_at(found.number, found.end)
        assert before
        assert before.gtids
        assert border
        assert border.gtids
        assert border.gtids.has(found.gtid)
        assert border.committed_ms == found.committed_ms
        assert not before.gtids.has(found.gtid)
        assert stream.border_at(found.number, found.start + 1) is None
        assert stream.border_at(found.number, found.end - 1) is None
    assert stream.border_at(1, 0) is not None
    assert stream.border_at(2, stream.files[-1].size) is not None
    assert stream.border_at(2, stream.files[-1].size + 1) is None
    assert stream.border_at(9, 0) is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_moment_cuts_behind_the_last_transaction_at_or_before_it(tmp_path, variant):
    """What was committed until then is there, and nothing of what was committed later."""
    archived(tmp_path, variant)
    (stream,) = open_streams(tmp_path)
    everything = list(stream.transactions())
    moments = sorted({found.committed_ms for found in everything})
    for moment in (*moments, moments[0] - 1, moments[-1] + 1):
        expected = [found for found in everything if found.committed_ms <= moment]
        assert list(stream.committed_between(0, moment)) == expected


def test_no_commit_is_later_than_it_was_received_or_earlier_than_the_one_before(tmp_path):
    """Whatever `SET timestamp` and clocks made of the times in the log."""
    archived(tmp_path, received_ms=LATER_MS - 10**10)
    (stream,) = open_streams(tmp_path)

    assert {found.committed_ms for found in stream.transactions()} == {LATER_MS - 10**10}


def test_moments_to_which_a_clock_came_twice_are_known(tmp_path):
    """Of them nobody can say what was there; a clock that is corrected a little makes none."""
    directory = directory_in(tmp_path)
    writer = archive(directory, corpus("mariadb-10.11")[:1], received_ms=LATER_MS)
    writer.sync(LATER_MS - 3_600_000)
    writer.sync(LATER_MS - 3_500_000)
    writer.sync(LATER_MS - 3_501_000)
    writer.close()
    stream = open_stream(directory)

    twice = {after: stream.went_back_over(LATER_MS + after) for after in (
        -3_600_001, -3_600_000, -3_500_500, -60_000, 0, 1
    )}  # fmt: skip
    assert [after for after, found in twice.items() if found] == [-3_600_000, -3_500_500, -60_000]


def names(directory, ending):
    """List files of the stream."""
    return sorted(path.name for path in directory.path.iterdir() if path.name.endswith(ending))


@pytest.mark.parametrize("ending", [".binlog.gz", ".json", ".tail", ".head"])
def test_a_flipped_bit_anywhere_is_damage(tmp_path, ending):
    """In the first, a middle and the last byte of each kind of file."""
    archived(tmp_path)
    directory = directory_in(tmp_path)
    for name in names(directory, ending):
        path = directory.path / name
        data = path.read_bytes()
        first_line = data.index(b"\n") if ending == ".head" else len(data)
        for offset in (0, first_line // 2, first_line - 1):
            path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
            with pytest.raises(BinlogDamagedError, match=r"\d{10}_|stream.json"):
                read_all(directory)
        path.write_bytes(data)
    assert read_all(directory)


@pytest.mark.parametrize("ending", [".binlog.gz", ".json", ".head"])
def test_a_file_that_is_missing_or_cut_is_damage(tmp_path, ending):
    """Whichever it is, but the newest head: what follows it is then simply not there."""
    archived(tmp_path)
    directory = directory_in(tmp_path)
    for name in names(directory, ending):
        path = directory.path / name
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if ending != ".head" else data[:20])
        with pytest.raises(BinlogDamagedError):
            read_all(directory)
        path.unlink()
        if ending != ".head":
            with pytest.raises(BinlogDamagedError):
                read_all(directory)
        path.write_bytes(data)


def test_a_tail_that_lost_what_was_synced_is_damage(tmp_path):
    """The head says how far it was."""
    directory = archived(tmp_path)
    (tail,) = directory.path.glob("*.tail")
    os.truncate(tail, tail.stat().st_size - 1)

    with pytest.raises(BinlogDamagedError, match="which was synced"):
        open_stream(directory)


@pytest.mark.parametrize("ending", [".binlog.gz", ".json"])
def test_segments_that_changed_places_are_damage(tmp_path, ending):
    """Their names say where they belong."""
    directory = archived(tmp_path)
    first, second, *_ = [
        path for path in sorted(directory.path.glob("*" + ending)) if "_" in path.name
    ]
    shutil.move(first, tmp_path / "x")
    shutil.move(second, first)
    shutil.move(tmp_path / "x", second)

    with pytest.raises(BinlogDamagedError):
        read_all(directory)


def test_a_segment_of_another_run_of_the_same_log_is_damage(tmp_path):
    """Each document names the one before it."""
    directory = archived(tmp_path / "a")
    other = archived(tmp_path / "b", received_ms=LATER_MS + 1)
    name = names(directory, ".json")[1]
    shutil.copy(other.path / name, directory.path / name)

    with pytest.raises(BinlogDamagedError, match="the segment before it"):
        open_stream(directory)


def test_half_a_file_can_be_copied(tmp_path):
    """From any byte to any other, across segments."""
    directory = archived(tmp_path, roll_after=2)
    stream = open_stream(directory)
    data = corpus("mariadb-10.11")[0].read_bytes()
    for start, end in [(0, 4), (3, 900), (500, 5000), (1200, len(data))]:
        pieces: list[bytes] = []
        stream.copy(1, start, end, pieces.append)
        assert b"".join(pieces)[max(0, 30 - start) :] == data[max(start, 30) : end]
    with pytest.raises(BinlogDamagedError):
        stream.copy(1, 0, len(data) + 1, bytearray().extend)
