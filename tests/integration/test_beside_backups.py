"""Restores and drills while a backup keeps DDL out of the server: of MySQL ours do so until they are done."""

import threading

import pytest

from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.engine.flavor import LOAD_SESSION
from app.engine.schema.databases import create_database
from app.errors import AlreadyRunningError
from app.services.restores import swap
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import left_over
from tests.fixtures.servers import Sql


KEEP_OUT = (
    ["LOCK INSTANCE FOR BACKUP"]
    if IS_MYSQL
    else ["BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL"]
)
LET_IN = "UNLOCK INSTANCE" if IS_MYSQL else "BACKUP STAGE END"
# A swap waits for so long for tables that others may read; a backup takes longer.
LOCK_SECONDS, SECONDS = 1, 2.5


@pytest.mark.parametrize("objects", [(), ("CREATE VIEW v AS SELECT id FROM t",)])
async def test_a_drill_ends_when_the_backup_is_done(objects, backstay, sql, database, monkeypatch):
    """Its last statements, that make objects and drop its schemas, wait for whoever keeps DDL out."""
    monkeypatch.setattr(swap, "LOCK_SECONDS", LOCK_SECONDS)
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)", *objects])
    manifest = await backstay.backup(database)
    plan = await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    with Sql(backstay.url) as other:
        timer = threading.Timer(SECONDS, other.run, [LET_IN])

        def keep_out(progress: Progress) -> None:
            if progress.phase is Phase.INDEX and not timer.is_alive():
                other.script(KEEP_OUT)
                timer.start()

        result = await backstay.recoveries.drill(plan, Progress(listener=keep_out))
        timer.join()

    assert result.duration > SECONDS
    assert left_over(sql) == []
    assert [proof.success for proof in backstay.catalogue.proofs(manifest.backup_id)] == [True]


async def test_a_restore_that_is_kept_out_may_be_run_again(backstay, sql, database):
    """After its time it says who is in the way, as an error that a retry may mend."""
    with Sql(backstay.url) as other:
        other.script(KEEP_OUT)
        async with backstay.target.session({**LOAD_SESSION, "lock_wait_timeout": "1"}) as session:
            with pytest.raises(AlreadyRunningError, match="a backup") as caught:
                await create_database(session, f"{database}_2", "utf8mb4", "utf8mb4_bin")
        other.run(LET_IN)

    assert caught.value.retryable
    assert caught.value.hint
