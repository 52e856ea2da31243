"""Tables that get a name, or another one, while a backup reads."""

import pytest

from app.domain.backups.backup import BackupRequest
from app.domain.runs.progress import Phase, Progress
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
