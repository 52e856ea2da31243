"""Until when an archive of the binary log holds everything: what it knows itself, and what its archiver has heard."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.binlog.archive.layout import root_of
from app.binlog.archive.reading import open_stream
from app.binlog.events.headers import Place
from app.binlog.status import ArchiverStatus, write_status
from app.domain.restores.log_archive import ArchiverState
from app.services.point_in_time.archive_end import current_until, told_by_archiver
from app.storage.local import LocalDirectory
from tests.fixtures.binlog import archive, corpus, directory_in
from tests.fixtures.kernels import RelaxedKernel


HOUR = timedelta(hours=1)


@pytest.fixture
def stream(tmp_path):
    """A stream of one server, sealed."""
    directory = directory_in(tmp_path, RelaxedKernel())
    archive(directory, corpus("mariadb-10.11"), roll_after=1).close()
    return open_stream(directory)


@pytest.fixture
def told(stream):
    """An archiver that has heard for an hour that there is nothing new."""
    _, end = stream.window
    later_ms = round((current_until(stream) + HOUR).timestamp() * 1000)
    return ArchiverStatus(ArchiverState.LIVE, stream.id, Place(end.name, end.position), later_ms)


def test_a_server_with_nothing_to_write_is_known_until_its_last_heartbeat(stream, told):
    """So that a time after its last transaction can be recovered to."""
    assert current_until(stream, told) - current_until(stream) == HOUR


@pytest.mark.parametrize("change", ["another stream", "an end that was lost", "no end"])
def test_an_archiver_that_had_more_than_the_stream_is_not_believed(change, stream, told):
    """What it has heard is true of what it had."""
    changed = {
        "another stream": replace(told, stream="0" * 12),
        "an end that was lost": replace(
            told, archived_end=told.archived_end._replace(position=told.archived_end.position + 1)
        ),
        "no end": replace(told, archived_end=None),
    }

    assert current_until(stream, changed[change]) == current_until(stream)


def test_what_an_archiver_tells_is_found_beside_the_archive(stream, told, tmp_path):
    """Whichever process archives."""
    assert told_by_archiver(tmp_path / "nowhere").archived_end is None
    write_status(LocalDirectory(root_of(tmp_path)), told)

    assert told_by_archiver(tmp_path) == told
