"""How far what a recovery reads is signed."""

from dataclasses import replace
from datetime import datetime

from app.age.x25519 import Identity
from app.binlog.archive.reading import open_stream
from app.documents.derived import RecoveryPlanned
from app.documents.monitoring import LogStream
from app.domain.backups.manifest import Codec, PositionEntry
from app.domain.ids import BackupId
from app.domain.restores.points import Point, PointKind, RecoverRequest
from app.services.binlog.overview import describe_stream
from app.services.point_in_time.plan import plan_recovery
from tests.fixtures.archive_keys import log_keys_of
from tests.fixtures.archives import draft_of
from tests.fixtures.binlog import archive, corpus, directory_in


def base_at(stream, transaction):
    """Describe a backup that stands behind a transaction."""
    border = stream.border_at(transaction.number, transaction.end)
    draft = draft_of(BackupId("backup_1"), Codec.NONE, {})
    return replace(
        draft,
        created_at=datetime.fromisoformat(stream.document.began_at),
        options=replace(draft.options, requested=()),
        position=PositionEntry(transaction.file, transaction.end, border.gtids.position, 0),
    )


def planned(stream, base, file, end):
    """Plan a recovery to a position."""
    point = Point(PointKind.POSITION, "of a test", file=file, position=end)
    return plan_recovery(stream, iter([base]), RecoverRequest(point))


def opened(tmp_path, *recipients, reader=None):
    """Archive the files of a server, of which the last transactions stay in the tail."""
    directory = directory_in(tmp_path)
    keys = log_keys_of(tmp_path / "state", *recipients, reader=reader)
    archive(directory, corpus("mariadb-10.11"), keys=keys).close()
    return open_stream(directory, keys)


def test_a_plan_says_behind_which_position_nothing_is_signed(tmp_path):
    """That is where the tail begins; what ends before it is signed."""
    somebody = Identity.new()
    stream = opened(tmp_path, somebody, reader=somebody)
    first, *_, last = stream.transactions(counts=False)
    base, signed = base_at(stream, first), stream.segments[-1].segment

    (caution,) = planned(stream, base, last.file, last.end).cautions

    assert f"{signed.head.file}:{signed.end} is not signed yet" in caution
    assert planned(stream, base, signed.head.file, signed.end).cautions == ()


def test_documents_have_that_position(tmp_path):
    """That of a dry run has it where the replay goes beyond, that of the stream always."""
    somebody = Identity.new()
    stream = opened(tmp_path, somebody, reader=somebody)
    first, *_, last = stream.transactions(counts=False)
    base, signed = base_at(stream, first), stream.segments[-1].segment
    place = {"file": signed.head.file, "position": signed.end}

    beyond = RecoveryPlanned.of(planned(stream, base, last.file, last.end))
    signed_alone = RecoveryPlanned.of(planned(stream, base, signed.head.file, signed.end))

    assert beyond.model_dump()["unsigned_from"] == place
    assert signed_alone.unsigned_from is None
    assert LogStream.taken(describe_stream(stream)).model_dump()["unsigned_from"] == place


def test_a_plain_archive_promises_nothing(tmp_path):
    """So there is nothing to be said of its tail."""
    stream = opened(tmp_path)
    first, *_, last = stream.transactions(counts=False)

    assert planned(stream, base_at(stream, first), last.file, last.end).unsigned_from is None
    assert describe_stream(stream).unsigned_from is None
