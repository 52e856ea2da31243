"""A server that runs out of space or takes no large packets keeps the live database (hazards 84 and 91)."""

import pytest

from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import IncompatibleServerError, StatementError
from tests.fixtures.backstay import Backstay
from tests.fixtures.dry_runs import left_over
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


# All tables in one file that must not grow beyond 40 MB.
TINY = ("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:40M")
LIVE = (
    "CREATE DATABASE d",
    "USE d",
    "CREATE TABLE big (id INT PRIMARY KEY, s VARCHAR(400), KEY (s))",
    "INSERT INTO big SELECT seq, seq FROM seq_1_to_100",
    "CREATE TABLE other (id INT PRIMARY KEY)",
    "CREATE VIEW v AS SELECT COUNT(*) AS n FROM big",
    "CREATE TRIGGER r BEFORE INSERT ON big FOR EACH ROW SET NEW.id = NEW.id + 1",
)


def _fill(large, small, rows):
    """Give one server a large table with an index, and the other a small one of the same name."""
    with Sql(large.url) as sql:
        sql.script(["CREATE DATABASE d", "USE d"])
        sql.run("CREATE TABLE big (id INT PRIMARY KEY, s VARCHAR(400), KEY (s))")
        sql.run(f"INSERT INTO big SELECT seq, CONCAT(seq, REPEAT('x', 300)) FROM seq_1_to_{rows}")
    with Sql(small.url) as sql:
        sql.script(LIVE)


async def test_a_disk_that_fills_with_rows_keeps_the_live_database(own_server, tmp_path):
    """The restore fails, the live database is as it was and in use, and the staging schema is gone."""
    large, small = own_server(), own_server(*TINY)
    _fill(large, small, 120_000)
    there, here = (
        Backstay(large.url, tmp_path / "backups"),
        Backstay(small.url, tmp_path / "backups"),
    )
    manifest = await there.backup("d")
    before = snapshot(small.url, "d")
    seen = Progress()

    with pytest.raises(StatementError, match="the table is full") as caught:
        await here.recoveries.restore(
            await here.recoveries.plan(RestoreRequest(manifest.backup_id)), seen
        )

    assert str(caught.value).startswith("d.big: ")
    assert seen.phase is Phase.LOAD
    assert seen.rows_done < 120_000
    assert_same(before, snapshot(small.url, "d"))
    with Sql(small.url, "d") as sql:
        assert left_over(sql) == []
        sql.run("INSERT INTO other VALUES (1)")
    for backstay in (there, here):
        await backstay.target.close()


async def test_a_disk_that_fills_with_an_index_keeps_the_live_database(own_server, tmp_path):
    """The live database is as it was; where the server is too full to drop the staging schema, that is repaired later."""
    large, small = own_server(), own_server(*TINY)
    _fill(large, small, 60_000)
    there, here = (
        Backstay(large.url, tmp_path / "backups"),
        Backstay(small.url, tmp_path / "backups"),
    )
    manifest = await there.backup("d")
    before = snapshot(small.url, "d")
    seen = Progress()

    with pytest.raises(StatementError, match="is full") as caught:
        await here.recoveries.restore(
            await here.recoveries.plan(RestoreRequest(manifest.backup_id)), seen
        )

    assert seen.rows_done == 60_000  # so it was the index
    with Sql(small.url) as sql:
        left = left_over(sql)
    assert ("doctor --repair" in caught.value.hint) is bool(left)
    assert_same(before, snapshot(small.url, "d"))
    small.stop()
    small.options = (*small.options, TINY[1].replace("40M", "80M"))
    small.start()
    again = Backstay(small.url, tmp_path / "backups")
    repaired = [repair.outcome for repair in await again.recoveries.repair()]
    assert repaired == (["undone"] if left else [])
    assert_same(before, snapshot(small.url, "d"))
    with Sql(small.url) as sql:
        assert left_over(sql) == []
    for backstay in (there, here, again):
        await backstay.target.close()


async def test_packets_that_are_too_small_keep_the_live_database(own_server, tmp_path):
    """A live database on a server whose packets are too small is refused before anything changes."""
    large, small = own_server(), own_server("--max-allowed-packet=1M")
    with Sql(large.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.big (id INT PRIMARY KEY, s LONGBLOB)"])
        sql.run("INSERT INTO d.big VALUES (1, REPEAT('x', 3000000))")
    with Sql(small.url) as sql:
        sql.script(LIVE)
    there, here = (
        Backstay(large.url, tmp_path / "backups"),
        Backstay(small.url, tmp_path / "backups"),
    )
    manifest = await there.backup("d")
    before = snapshot(small.url, "d")

    with pytest.raises(IncompatibleServerError, match="max_allowed_packet"):
        await here.restore(manifest)

    assert_same(before, snapshot(small.url, "d"))
    with Sql(small.url) as sql:
        assert left_over(sql) == []
    assert [entry.backup_id for entry in here.catalogue.survey().entries] == [manifest.backup_id]
    for backstay in (there, here):
        await backstay.target.close()
