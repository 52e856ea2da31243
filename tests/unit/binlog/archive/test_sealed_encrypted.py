"""Encrypted archives: nothing of the log can be read without an identity, and they go on without one."""

import os

import pytest

from app.age.x25519 import Identity
from app.binlog.archive.keys import PLAIN
from app.binlog.archive.reading import open_stream
from app.binlog.archive.sealed import hidden_of, read_document
from app.binlog.archive.streams import load_stream
from app.binlog.archive.writing import StreamWriter
from app.domain.backups.manifest import Codec
from app.errors import (
    BinlogDamagedError,
    NoIdentityError,
    SignatureMismatchError,
    UnknownSignerError,
)
from app.security.signers import Signers
from app.storage.files import ReadFile
from app.storage.local import LocalDirectory
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.binlog import (
    VARIANTS,
    archive,
    corpus,
    directory_in,
    document_of,
    events_of,
    go_on,
    served,
)
from tests.fixtures.log_archive import joined


SOMEBODY = Identity.new()
# In a statement of every variant, and the name of a table.
NAMES = (b"orders", b"INSERT", b"insert")


def writing(tmp_path):
    """Return the keys of an installation that can only write."""
    return log_keys_of(tmp_path / "state", SOMEBODY)


def reading(tmp_path):
    """Return those of the same installation with an identity."""
    return log_keys_of(tmp_path / "state", SOMEBODY, reader=SOMEBODY)


def elsewhere(tmp_path, *, reader=SOMEBODY):
    """Return those of another machine, which believes the first one."""
    own = Signers(tmp_path / "state", "").own()
    return log_keys_of(tmp_path / "elsewhere", reader=reader, signers=own.key)


def archived(tmp_path, variant="mariadb-10.11", **options):
    """Archive the files of a server; returns the directory of the stream."""
    directory = directory_in(tmp_path)
    archive(directory, corpus(variant), keys=writing(tmp_path), **options).close()
    return directory


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_identity_reads_the_servers_files(tmp_path, variant, codec):
    """On the machine that wrote them and on another; tail, segments and hidden facts."""
    directory = archived(tmp_path, variant, codec=codec)
    files = {path.name: served(path) for path in corpus(variant)}

    for keys in (reading(tmp_path), elsewhere(tmp_path)):
        stream = open_stream(directory, keys)
        assert joined(stream) == files
        assert stream.verify() == sum(map(len, files.values()))
    plain = directory_in(tmp_path / "plain")
    archive(plain, corpus(variant), codec=codec).close()
    stored, other = load_stream(directory, keys), load_stream(plain, PLAIN)
    assert [hidden_of(found, keys) for found in stored.segments] == [
        hidden_of(found, PLAIN) for found in other.segments
    ]


@pytest.mark.parametrize("variant", ["mariadb-10.11", "mysql-9.7"])
def test_nothing_of_the_rows_is_in_the_clear(tmp_path, variant):
    """Neither in a segment nor in a document nor in the tail; the window can be seen all the same."""
    directory = archived(tmp_path, variant, codec=Codec.NONE)
    everything = b"".join(path.read_bytes() for path in directory.path.iterdir())
    plain = b"".join(path.read_bytes() for path in corpus(variant))

    assert any(name in plain for name in NAMES)
    assert not any(name in everything for name in NAMES)
    assert {path.suffix for path in directory.path.iterdir()} == {".json", ".age", ".tail", ".head"}
    stream = open_stream(directory, writing(tmp_path))
    assert stream.window
    assert stream.window[1].position == corpus(variant)[-1].stat().st_size
    with pytest.raises(NoIdentityError):
        list(stream.transactions())
    with pytest.raises(NoIdentityError):
        open_stream(directory, elsewhere(tmp_path, reader=Identity.new()))


def interrupted(tmp_path, synced, accepted):
    """Write a sync each event of a file's first ones, and more in one; returns path, directory and last border."""
    (path, _) = corpus("mariadb-10.11")
    directory = directory_in(tmp_path)
    writer = StreamWriter.begin(directory, document_of(path), Codec.GZIP, writing(tmp_path))
    for number, event in enumerate(events_of(path)[:accepted], start=1):
        writer.accept(event)
        if number <= synced:
            writer.sync(number)
    writer.sync(accepted)
    border = writer.scan.border
    writer.close()
    return path, directory, border


def finish(tmp_path, path, directory):
    """Go on behind what there is, as a reader of the server would; returns where that was."""
    writer = StreamWriter.resume(directory, Codec.GZIP, writing(tmp_path))
    begun = position = writer.scan.position
    rest: list[bytes] = []
    position = 4
    for event in events_of(path):
        if position >= begun:
            rest.append(event)
        position += len(event)
    go_on(writer, rest, []).close()
    return begun


def test_a_tail_is_cut_at_the_end_of_a_transaction(tmp_path):
    """Also inside a frame, which one that is open shares with those before it."""
    path, directory, border = interrupted(tmp_path, 4, 11)

    assert finish(tmp_path, path, directory) == border
    assert joined(open_stream(directory, reading(tmp_path))) == {path.name: served(path)}
    assert not list(directory.path.glob("*.partial"))


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 300, 900, 2000])
def test_a_torn_tail_goes_on_without_an_identity(tmp_path, cut):
    """What was not promised is forgotten, and comes again."""
    path, directory, _ = interrupted(tmp_path, 30, 30)
    (tail,) = directory.path.glob("*.tail")
    (head,) = directory.path.glob("*.head")
    os.truncate(tail, cut)
    head.write_bytes(head.read_bytes().partition(b"\n")[0] + b"\n[12")
    finish(tmp_path, path, directory)

    assert joined(open_stream(directory, reading(tmp_path))) == {path.name: served(path)}


def test_what_was_changed_is_refused(tmp_path):
    """A byte of a segment, of a synced frame; a document, its signature, and who has signed it."""
    directory = archived(tmp_path)
    keys = reading(tmp_path)
    first = load_stream(directory, keys).segments[0]

    for pattern, damaged in (("*.age", BinlogDamagedError), ("*.tail", BinlogDamagedError)):
        path = min(directory.path.glob(pattern))
        data = path.read_bytes()
        path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        with pytest.raises(damaged):
            open_stream(directory, keys).verify()
        path.write_bytes(data)
    newest = max(directory.path.glob("0*.json"))
    data = newest.read_bytes()
    newest.write_bytes(data.replace(b', "signature": ', b', "signaturf": '))
    with pytest.raises((BinlogDamagedError, SignatureMismatchError)):
        open_stream(directory, keys)
    newest.write_bytes(data)
    with pytest.raises(UnknownSignerError):
        open_stream(directory, log_keys_of(tmp_path / "stranger", reader=SOMEBODY))
    assert read_document(directory, first.stem).segment == first.segment


def test_plain_and_encrypted_segments_follow_each_other(tmp_path):
    """As when recipients are set, changed or taken away; each is read as it was written."""
    first, second = corpus("mysql-9.7")
    directory = directory_in(tmp_path)
    archive(directory, [first]).close()
    keys = writing(tmp_path)
    resumed = StreamWriter.resume(directory, Codec.GZIP, keys)
    go_on(resumed, [], [second]).close()
    again = StreamWriter.resume(directory, Codec.ZSTD, log_keys_of(tmp_path / "state"))
    again.end(1)
    stream = open_stream(directory, reading(tmp_path))

    kinds = {path.name.partition(".")[2] for path in directory.path.glob("0*.binlog*")}
    assert kinds == {"binlog.gz", "binlog.gz.age", "binlog.zst"}
    assert joined(stream) == {path.name: served(path) for path in (first, second)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_rotation_stays_known_to_whoever_goes_on_behind_it(variant, tmp_path):
    """However many are killed before the next file comes, with recipients and without; the log is not broken off."""
    first, second = corpus(variant)
    directory = directory_in(tmp_path)
    archive(directory, [first]).close()
    encrypts, plain = writing(tmp_path), log_keys_of(tmp_path / "state")

    for keys in (plain, encrypts, plain, encrypts, encrypts):
        writer = StreamWriter.resume(directory, Codec.NONE, keys)
        writer.settle(1)
        assert writer.scan.next is not None
        assert not writer.roll(1)
        writer.close()

    go_on(StreamWriter.resume(directory, Codec.NONE, encrypts), [], [second]).close()
    stream = open_stream(directory, reading(tmp_path))
    assert joined(stream) == {path.name: served(path) for path in (first, second)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tail_in_which_nothing_is_yet_is_never_sealed(variant, tmp_path):
    """Killed right behind a seal, and recipients are set and taken away: the next segment would take its own place."""
    first = corpus(variant)[0]
    directory = directory_in(tmp_path)
    encrypts, plain = writing(tmp_path), log_keys_of(tmp_path / "state")
    *events, rotation = events_of(first)
    writer = StreamWriter.begin(directory, document_of(first), Codec.NONE, plain)
    assert go_on(writer, events, [], roll_after=1_000).roll(1)
    writer.close()
    sealed = load_stream(directory, plain).segments

    for keys in (encrypts, plain, encrypts):
        writer = StreamWriter.resume(directory, Codec.NONE, keys)
        writer.settle(1)
        writer.close()
        stored = load_stream(directory, keys)
        assert stored.segments == sealed
        assert stored.tail is not None
        assert stored.tail.head.is_framed is (keys is encrypts)

    go_on(StreamWriter.resume(directory, Codec.NONE, encrypts), [rotation], []).close()
    stream = open_stream(directory, reading(tmp_path))
    assert joined(stream) == {first.name: served(first)}


@pytest.mark.parametrize("looks", [{1}, {2}, {2, 4, 6, 8}])
def test_a_tail_that_is_sealed_while_it_is_looked_at_is_looked_at_again(looks, tmp_path):
    """However often: by whoever cannot read segments, while the archiver goes on beside them."""
    first = corpus("mariadb-10.11")[0]
    keys = writing(tmp_path)
    writer = StreamWriter.begin(directory_in(tmp_path), document_of(first), Codec.NONE, keys)
    events = iter(events_of(first)[:-1])

    class Beside(LocalDirectory):
        """A directory whose tail is sealed right before some of the looks at it, and another one begun."""

        looks = 0

        def watch(self, name: str) -> ReadFile:
            """Seal it."""
            self.looks += name.endswith(".tail")
            if name.endswith(".tail") and self.looks in looks:
                assert writer.roll(1)
                go_on(writer, until_a_transaction(), [])
            return super().watch(name)

    def until_a_transaction():
        before = writer.scan.border
        while not (writer.scan.has_begun and before < writer.scan.border == writer.scan.position):
            yield next(events)

    go_on(writer, until_a_transaction(), [])
    beside = Beside(directory_in(tmp_path).path)
    stream = open_stream(beside, keys)
    writer.close()

    assert beside.looks >= max(looks)
    assert stream.window is not None
    assert stream.window[1] == writer.synced


def test_the_own_identity_is_made_once_and_kept(tmp_path):
    """By whichever process needs it first; nobody else may read it."""
    keys = writing(tmp_path)
    made = keys.own.make()

    found = log_keys_of(tmp_path / "state").own.find()
    assert found
    assert found.recipient == made.recipient
    assert (tmp_path / "state" / "binlog.key").stat().st_mode & 0o077 == 0
