"""A server that was put back from a copy goes on under the same names and positions: never in one stream."""

import shutil
import time

import pytest

from app.binlog.archive.reading import open_streams
from tests.fixtures.log_archive import archiving, caught_up, end_of_log, until
from tests.fixtures.servers import Sql


# As a job does that sets its time, so that not even the seconds in its events tell two runs of it apart.
LAST = ["SET timestamp = 1700000000", "INSERT INTO d.t (b) VALUES ('same')"]


def put_back(server, copy):
    """Put the data directory of a copy in the place of the server's."""
    server.kill()
    time.sleep(1)  # a file says to the second when it was begun
    shutil.rmtree(server.data)
    shutil.copytree(copy, server.data)
    server.start()


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_server_that_was_put_back_from_a_copy_ends_the_stream(
    own_server, tmp_path, is_connected
):
    """Also where its log is as long as before, and its last transaction the same byte for byte."""
    server, copy, breaks = own_server(), tmp_path / "copy", list[str]()

    def change(note):
        """Log as much as with any other note of that length, and return where the log ends."""
        with Sql(server.url) as sql:
            sql.script([f"INSERT INTO d.t (b) VALUES ('{note}')", *LAST])
            return end_of_log(sql)

    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT, b TEXT)",
        ])
        async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
            await caught_up(archiver, sql)
    server.stop()
    shutil.copytree(server.data, copy)
    server.start()
    end = change("first")
    async with archiving(server.url, tmp_path, breaks=breaks) as archiver:
        await until(lambda: archiver.status.archived_end == end, "not archived")
        if is_connected:
            put_back(server, copy)
            assert change("other") == end
            await until(lambda: bool(breaks), "no break")
    if not is_connected:
        put_back(server, copy)
        assert change("other") == end
        async with archiving(server.url, tmp_path, breaks=breaks):
            await until(lambda: bool(breaks), "no break")
    before, after = open_streams(tmp_path)

    assert breaks == [before.document.ended_because]
    assert not after.document.ended_at
