"""Where a recovery ends: the same whether segments are read or passed over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.age.x25519 import Identity
from app.binlog.archive import parts
from app.binlog.archive.keys import PLAIN
from app.binlog.archive.reading import open_stream
from app.domain.backups.manifest import Codec, PositionEntry
from app.domain.ids import BackupId
from app.domain.restores.points import Place, Point, PointKind, RecoverRequest
from app.errors import BinlogDamagedError, PointInsideTransactionError, PointNotCoveredError
from app.services.binlog.cut import find_cut
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.archives import draft_of
from tests.fixtures.binlog import LATER_MS, VARIANTS, archive, corpus, directory_in


# No segment was ever sealed by it.
_NO_EDITION = 1 << 30


def opened(tmp_path, variant, **options):
    """Archive the files of a server, each of whose transactions is a segment."""
    directory = directory_in(tmp_path)
    archive(directory, corpus(variant), roll_after=1, **options).close()
    return open_stream(directory, options.get("keys") or PLAIN)


def base_behind(stream, transaction):
    """Describe a backup that stands behind a transaction."""
    border = stream.border_at(transaction.number, transaction.end)
    draft = draft_of(BackupId("backup_1"), Codec.NONE, {})
    return replace(
        draft,
        created_at=datetime.fromisoformat(stream.document.began_at),
        server=replace(draft.server, version="9.7.4" if not stream.is_mariadb else "10.11.19"),
        position=PositionEntry(transaction.file, transaction.end, border.gtids.position, 0),
    )


def points_of(found):
    """Name the place behind a transaction in every way, and one inside of it."""
    at = found.committed_at
    return [
        (Point(PointKind.TIME, "then", at=at), Place(0, 0)),
        (Point(PointKind.GTID, found.gtid), Place(0, 0)),
        (Point(PointKind.BEFORE_GTID, found.gtid), Place(0, 0)),
        *(
            (
                Point(PointKind.POSITION, "there", file=found.file, position=position),
                Place(found.number, position),
            )
            for position in (found.start, found.end - 1, found.end)
        ),
    ]


def cut_of(stream, base, place, point, wanted, databases=()):
    """Find a cut, or tell why there is none."""
    try:
        return find_cut(stream, base, place, RecoverRequest(point, databases), wanted)
    except (PointInsideTransactionError, PointNotCoveredError) as exc:
        return str(exc)


@pytest.mark.parametrize("variant", VARIANTS)
def test_segments_that_are_passed_over_change_no_cut(tmp_path, monkeypatch, variant):
    """From any base, to any point: transactions, GTIDs, neighbours and hindrances are those of all that is read."""
    stream = opened(tmp_path, variant)
    transactions = list(stream.transactions(counts=False))
    asked = [
        (base_behind(stream, first), Place(first.number, first.end), *point, databases)
        for databases in ((), ("d",))
        for first in transactions[::5]
        for found in transactions
        for point in points_of(found)
    ]
    plain = [part for part in stream._parts if part.is_plain(statements=True)]
    quick = [cut_of(stream, *question) for question in asked]

    monkeypatch.setattr(parts, "EDITION", _NO_EDITION)

    assert len(plain) > 5
    assert not any(part.is_plain(statements=True) for part in stream._parts)
    for question, found in zip(asked, quick, strict=True):
        assert cut_of(stream, *question) == found


def test_an_encrypted_archive_says_it_to_who_reads_it(tmp_path):
    """What is plain is hidden like the tables."""
    somebody = Identity.new()
    keys = log_keys_of(tmp_path / "state", somebody, reader=somebody)

    stream = opened(tmp_path, "mariadb-10.11", keys=keys)

    assert {sealed.segment.plain_by for sealed in stream.segments} == {0}
    assert sum(part.is_plain(statements=True) for part in stream._parts) > 5


def test_what_is_passed_over_is_proven(tmp_path):
    """A bit that changed in a segment that need not be read is damage before anything is recovered."""
    stream = opened(tmp_path, "mariadb-10.11")
    first, *_, last = stream.transactions(counts=False)
    point = Point(PointKind.POSITION, "there", file=last.file, position=last.end)
    wanted = Place(last.number, last.end)
    base, place = base_behind(stream, first), Place(first.number, first.end)
    passed = next(part for part in stream._parts[2:] if part.is_plain(statements=True))
    path = passed.directory.path / passed.sealed.data_name
    data = bytearray(path.read_bytes())
    data[-12] ^= 1
    path.write_bytes(data)

    with pytest.raises(BinlogDamagedError, match=passed.sealed.data_name):
        find_cut(stream, base, place, RecoverRequest(point), wanted)


@pytest.mark.parametrize("variant", ["mysql-9.7", "mysql-payload"])
def test_a_microsecond_before_a_commit_is_before_it(tmp_path, variant):
    """Also where the segment is passed over: MySQL notes the microsecond, and one may be wanted."""
    stream = opened(tmp_path, variant)
    first, *others = stream.transactions(counts=False)
    base, place = base_behind(stream, first), Place(first.number, first.end)
    late = [found for found in others if found.committed_at.microsecond % 1000 > 1]

    for found in late:
        just_before = found.committed_at - timedelta(microseconds=1)
        ends = [
            cut_of(stream, base, place, Point(PointKind.TIME, "then", at=at), Place(0, 0)).place
            for at in (just_before, found.committed_at)
        ]
        assert ends[0] <= Place(found.number, found.start) < ends[1]
    assert len(late) > 10


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_moment_before_a_commit_of_the_future_is_refused(tmp_path, variant):
    """It counts as committed when its bytes came, which is long after where an archiver was catching up."""
    received_ms = LATER_MS - 86_400_000  # the logs have the times of a day later
    stream = opened(tmp_path, variant, received_ms=received_ms)
    first = next(stream.transactions(counts=False))
    position = PositionEntry(first.file, first.start, "", 0)
    base = replace(base_behind(stream, first), position=position)
    received = datetime.fromtimestamp(received_ms / 1000, UTC)

    def transactions_by(moment):
        request = RecoverRequest(Point(PointKind.TIME, "then", at=moment))
        cut = find_cut(stream, base, Place(first.number, first.start), request, Place(0, 0))
        assert cut is not None
        return cut.transactions

    with pytest.raises(PointNotCoveredError, match="later than that when it was archived"):
        transactions_by(received - timedelta(seconds=1))
    assert transactions_by(received) == len(list(stream.transactions(counts=False)))
