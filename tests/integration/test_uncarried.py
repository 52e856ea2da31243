"""What a logical backup cannot carry is said, with its count (hazard 162)."""

import pytest

from app.domain.backups.manifest import TRANSACTION_HISTORY
from app.domain.restores.restore import RestoreRequest
from app.errors import ProofFailedError
from tests.fixtures.chosen_server import IS_MYSQL, NO_HISTORY
from tests.fixtures.servers import Sql


HISTORY = (
    (
        "CREATE TABLE h (a int PRIMARY KEY, b int, s bigint unsigned GENERATED ALWAYS AS ROW START,"
        " e bigint unsigned GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e))"
        " WITH SYSTEM VERSIONING"
    ),
    "INSERT INTO h (a, b) VALUES (1, 1), (2, 7)",
    "UPDATE h SET b = 2 WHERE a = 1",
)


@pytest.fixture
def remote(server):
    """A server definition, dropped afterwards."""
    with Sql(server.url) as sql:
        sql.run("CREATE SERVER elsewhere FOREIGN DATA WRAPPER mysql OPTIONS (HOST '127.0.0.1')")
        yield
        sql.run("DROP SERVER elsewhere")


@pytest.mark.usefixtures("remote")
async def test_a_backup_and_a_dry_run_count_it(backstay, sql, database):
    """Each kind is one warning that names the first of it."""
    counted = {"1 server definitions (CREATE SERVER) (elsewhere)"}
    if not IS_MYSQL:  # whose own things have a test of their own
        sql.script([
            *HISTORY,
            "CREATE TABLE g (id int PRIMARY KEY, p point REF_SYSTEM_ID = 4326, q point)",
            (
                "CREATE TABLE l (a int) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 2"
                " (PARTITION p0 HISTORY, PARTITION pc CURRENT)"
            ),
        ])
        counted |= {
            f"1 histories by transaction numbers; current rows are ({database}.h)",
            (
                "1 tables keep their history in partitions by LIMIT; a restore loads all of it into one"
                f" ({database}.l)"
            ),
            f"1 geometry columns with REF_SYSTEM_ID, which no definition shows ({database}.g.p)",
        }
    manifest = await backstay.backup(database)

    assert counted <= {text.removeprefix("not in the backup: ") for text in manifest.warnings}
    plan = await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))
    forecast = await backstay.recoveries.dry_run(plan)
    assert set(manifest.warnings) <= set(forecast.warnings)
    assert forecast.problems == ()


@NO_HISTORY
async def test_current_rows_are_restored_in_place_and_proven(backstay, sql, database):
    """Rows whose history is missing are rows like others."""
    sql.script(HISTORY)
    manifest = await backstay.backup(database)
    assert manifest.databases[0].tables[0].partial == TRANSACTION_HISTORY
    sql.run("DELETE FROM h")

    result = await backstay.restore(manifest)
    assert result.verified
    assert sql.run("SELECT a, b FROM h ORDER BY a") == [(1, 2), (2, 7)]

    assert await backstay.prove(manifest.backup_id) == []
    sql.run("UPDATE h SET b = 3 WHERE a = 1")
    with pytest.raises(ProofFailedError):
        await backstay.prove(manifest.backup_id)
