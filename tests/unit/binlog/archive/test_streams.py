"""What is said of a stream beside its segments: nobody takes a break out of it unnoticed."""

import hashlib
from dataclasses import replace

import pytest

from app.age.x25519 import Identity
from app.binlog.archive.documents import SEGMENTS, STREAMS
from app.binlog.archive.keys import PLAIN
from app.binlog.archive.reading import open_stream
from app.binlog.archive.sealed import read_document
from app.binlog.archive.streams import (
    change_stream_document,
    load_stream,
    note_break,
    read_stream_document,
)
from app.binlog.archive.writing import StreamWriter
from app.binlog.ownership import current_stream
from app.domain.backups.manifest import Codec
from app.domain.restores.log_archive import LogBreak
from app.errors import (
    BinlogDamagedError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.binlog import archive, corpus, directory_in, events_of, go_on
from tests.fixtures.kernels import RelaxedKernel


SOMEBODY = Identity.new()
BREAK = LogBreak("2026-11-29T03:10:00+00:00", 1, 900, "restore kept out of the log")
LATER = replace(BREAK, at="2026-11-29T03:20:00+00:00")


@pytest.fixture(params=["plain", "encrypted"])
def keys(request, tmp_path):
    """Those of an installation."""
    return PLAIN if request.param == "plain" else log_keys_of(tmp_path / "state", SOMEBODY)


@pytest.fixture
def directory(tmp_path, keys):
    """A stream that has not ended, of the first file of a server."""
    directory = directory_in(tmp_path, RelaxedKernel())
    archive(directory, corpus("mariadb-10.11")[:1], roll_after=4, keys=keys).close()
    return directory


def seal_more(directory, keys):
    """Archive the next file of the server, in segments."""
    path = corpus("mariadb-10.11")[1]
    writer = StreamWriter.resume(directory, Codec.GZIP, keys)
    writer.change_file(path.name, 1)
    go_on(writer, events_of(path), [], roll_after=1).close()


def forge(directory, **values):
    """Change what is said of a stream, as somebody does who can write there."""
    document = replace(read_stream_document(directory), **values)
    directory.replace("stream.json", STREAMS.dump(document))


def without_statements(directory, keys):
    """Make the segments what those of before were, which said nothing of their stream."""
    previous = ""
    for sealed in load_stream(directory, keys).segments:
        segment = replace(sealed.segment, breaks=0, stream_sha256="", previous=previous)
        data = SEGMENTS.dump(segment, keys.backups.sign if segment.recipients else None)
        directory.replace(f"{sealed.stem}.json", data)
        previous = hashlib.sha256(data).hexdigest()
    directory.replace("stream.json", STREAMS.dump(read_stream_document(directory)))


@pytest.mark.parametrize(
    "values",
    [{"breaks": ()}, {"breaks": (replace(BREAK, position=4),)}, {"settings": {}},
     {"began_at": "2020-01-01T00:00:00+00:00"}],
    ids=["no break", "moved break", "settings", "began earlier"],
)  # fmt: skip
def test_what_was_said_when_a_segment_was_sealed_stays_so(directory, keys, values):
    """Its document names it, and is itself named by all that follow."""
    note_break(directory, BREAK, keys)
    seal_more(directory, keys)
    note_break(directory, LATER, keys)
    assert open_stream(directory, keys).breaks == (BREAK, LATER)
    forge(directory, **values)

    with pytest.raises((BinlogDamagedError, SignatureMismatchError)):
        open_stream(directory, keys)
    with pytest.raises((BinlogDamagedError, SignatureMismatchError)):
        StreamWriter.resume(directory, Codec.GZIP, keys)


def test_an_older_state_that_is_put_back_is_noticed(directory, keys):
    """It was signed as well; segments know more."""
    before = directory.read("stream.json", 1 << 20)
    note_break(directory, BREAK, keys)
    seal_more(directory, keys)
    directory.replace("stream.json", before)

    with pytest.raises(BinlogDamagedError, match=r"stream\.json"):
        open_stream(directory, keys)


def test_no_segment_is_sealed_for_a_stream_that_was_changed(directory, keys):
    """It would say for ever what somebody has made of it."""
    note_break(directory, BREAK, keys)
    seal_more(directory, keys)
    writer = StreamWriter.resume(directory, Codec.GZIP, keys)
    forge(directory, breaks=())
    with pytest.raises((BinlogDamagedError, SignatureMismatchError)):
        writer.change_file("binlog.000003", 1)
    writer.close()


def test_of_an_encrypted_stream_every_word_is_signed_at_once(tmp_path):
    """Also a break behind which nothing was sealed yet, and when it has ended; nobody signs what is not."""
    keys = log_keys_of(tmp_path / "state", SOMEBODY)
    directory = directory_in(tmp_path, RelaxedKernel())
    archive(directory, corpus("mariadb-10.11")[:1], keys=keys).close()
    note_break(directory, BREAK, keys)
    with pytest.raises(NoIdentityError):
        note_break(directory, LATER)
    signed = directory.read("stream.json", 1 << 20)
    stranger = log_keys_of(tmp_path / "stranger", SOMEBODY)
    document = STREAMS.parse(signed, "stream.json")
    made = {
        SignatureMismatchError: STREAMS.dump(replace(document, breaks=())),
        UnknownSignerError: STREAMS.dump(replace(document, breaks=()), stranger.backups.sign),
    }
    for error, data in made.items():
        directory.replace("stream.json", data)
        with pytest.raises(error):
            open_stream(directory, keys)
        with pytest.raises(error):
            note_break(directory, LATER, keys)
        found, wrong = current_stream(LocalDirectory(directory.path.parent), keys)
        assert (found, type(wrong)) == (None, error)
    directory.replace("stream.json", signed)
    assert open_stream(directory, keys).breaks == (BREAK,)
    # What was signed stays so where nothing is encrypted any more.
    note_break(directory, LATER, log_keys_of(tmp_path / "state"))
    assert open_stream(directory, keys).breaks == (BREAK, LATER)


def test_an_archive_of_before_goes_on(directory, keys):
    """Its segments say nothing of the stream, and what follows does."""
    note_break(directory, BREAK, keys)
    without_statements(directory, keys)
    assert open_stream(directory, keys).breaks == (BREAK,)
    seal_more(directory, keys)

    stream = open_stream(directory, keys)
    assert stream.breaks == (BREAK,)
    newest = read_document(directory, stream.segments[-1].stem).segment
    assert newest.breaks == 1
    forge(directory, breaks=())
    with pytest.raises((BinlogDamagedError, SignatureMismatchError)):
        open_stream(directory, keys)


def test_a_stream_that_begins_later_is_the_same(directory, keys):
    """What lies before its beginning was pruned, and what it is says the same."""
    note_break(directory, BREAK, keys)
    seal_more(directory, keys)
    second = open_stream(directory, keys).segments[1]
    change_stream_document(
        directory,
        lambda document: replace(
            document, first_number=second.stem.number, first_start=second.stem.start
        ),
        keys,
    )

    assert open_stream(directory, keys).breaks == (BREAK,)
