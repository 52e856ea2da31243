"""Tables that get a name, or another one, while a backup reads."""

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.dump.ladder import open_snapshot
from app.engine.dump.missed import find_missed
from app.engine.schema.tables import read_tables
from tests.fixtures.backstay import Backstay
from tests.fixtures.concurrent_writers import CHUNK_BYTES, writers
from tests.fixtures.servers import Sql


pytestmark = pytest.mark.differs(
    "mysql", reason="LOCK INSTANCE keeps DDL out until the backup is done"
)
ROWS = "INSERT INTO {0} SELECT seq FROM seq_1_to_100"


@pytest.fixture
def once(server, database):
    """Make a listener that runs statements when the rows of the first attempt are read."""

    def make(*statements: str) -> Progress:
        left = list(statements)

        def listener(progress: Progress) -> None:
            if progress.phase is Phase.DUMP and left:
                with Sql(server.url, database) as other:
                    other.script(left)
                left.clear()

        return Progress(listener=listener)

    return make


async def test_a_table_that_had_no_name_when_names_were_read_is_in_the_backup(
    backstay, sql, database, once
):
    """It was there, under a name that nobody wants: the backup is made again, with it."""
    sql.script(["CREATE TABLE t (i INT)", "CREATE TABLE nameless (i INT)", ROWS.format("nameless")])
    request = BackupRequest((database,), exclude_tables=("nameless",))

    manifest = await backstay.backups.create(request, once("RENAME TABLE nameless TO named"))

    assert [table.name for table in manifest.databases[0].tables] == ["named", "t"]
    assert manifest.rows_count == 100


async def test_a_table_that_came_later_is_not_waited_for(backstay, sql, database, once):
    """It was not there at the snapshot's point, and is no reason to begin again."""
    sql.run("CREATE TABLE t (i INT)")
    began = once("CREATE TABLE later (i INT)", ROWS.format("later"))

    manifest = await backstay.backups.create(BackupRequest((database,)), began)

    assert [table.name for table in manifest.databases[0].tables] == ["t"]


async def test_a_table_without_a_name_in_the_midst_of_a_rename_is_always_missed(
    backstay, sql, database
):
    """Two tables change places all the time: whenever one looks, that one of them was not planned is noticed."""
    for table in ("hot", "twin"):
        sql.run(f"CREATE TABLE {table} (id INT PRIMARY KEY) SELECT seq AS id FROM seq_1_to_100")
    async with backstay.target.session() as session:
        tables = await read_tables(session, [database], names=["twin"])
    refs = [table.ref for table in tables]
    found = set()

    def step(client: Sql) -> None:
        client.run("RENAME TABLE hot TO spare, twin TO hot, spare TO twin")

    with writers(backstay.url, database, 1, step):
        for _ in range(5):
            async with (
                open_snapshot(backstay.target, refs, threads=1, chunk_bytes=CHUNK_BYTES) as point,
                backstay.target.session() as session,
            ):
                for _ in range(40):
                    missed = await find_missed(point, session, [database], tables, lambda *_: True)
                    found.add(missed)

    assert None not in found


async def test_a_table_that_only_innodb_knows_is_not_waited_for(own_server, tmp_path):
    """Its definition is lost, so nobody can read it: the backup of the others is made."""
    with own_server() as server, Sql(server.url) as client:
        client.script(["CREATE DATABASE d", "USE d", "CREATE TABLE t (i INT)"])
        client.run("CREATE TABLE `or-phan ö` (i INT)")
        definition = next(server.data.glob("d/or*.frm"))
        definition.unlink()
        client.run("FLUSH TABLES")
        own = Backstay(server.url, tmp_path / "own")
        manifest = await own.backup("d")
        await own.target.close()

    assert [table.name for table in manifest.databases[0].tables] == ["t"]
