"""Servers that were started in an unusual way: to rescue data, or without events."""

import pytest

from app.domain.restores.restore import RestoreRequest
from app.engine.flavor import LOAD_SESSION
from app.errors import IncompatibleServerError, StatementError
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import ends_as_foretold
from tests.fixtures.servers import Sql


EVENT = "CREATE EVENT shop.tick ON SCHEDULE EVERY 1 DAY DO SELECT 1"


@pytest.fixture
def shop(own_server):
    """A server of its own with a small shop, and how to start it again with other options."""
    server = own_server()
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (i INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1)",
        ])

    def restart(*options: str) -> None:
        server.options = (*server.options, *options)
        server.restart()

    return server, restart


@pytest.mark.parametrize("option", ["--innodb-read-only=1", "--innodb-force-recovery=6"])
async def test_a_server_started_to_rescue_data_is_backed_up(shop, tmp_path, option):
    """InnoDB then reads without snapshots; as nobody can write, what is read is consistent."""
    server, restart = shop
    restart(option)
    here = Backstay(server.url, tmp_path / "backups")

    manifest = await here.backup("shop")
    await here.target.close()

    assert manifest.rows_count == 1
    assert manifest.consistency.consistent


async def test_a_server_that_keeps_no_warnings_is_asked_to(shop, tmp_path):
    """With max_error_count = 0 a value that is cut would go unnoticed where it is loaded."""
    server, _ = shop
    here = Backstay(server.url, tmp_path / "backups")
    with Sql(server.url) as sql:
        sql.run("SET GLOBAL max_error_count = 0")

    async with here.target.session(LOAD_SESSION) as session:
        with pytest.raises(StatementError) as refused:
            await session.execute("INSERT INTO shop.t VALUES (99999999999), (5)")
    manifest = await here.backup("shop", tables=("t",))
    forecast = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    await here.target.close()

    assert refused.value.errno == 1264
    assert forecast.problems == ()


@pytest.mark.parametrize(
    "option",
    [
        "--event-scheduler=DISABLED",
        pytest.param(
            "--skip-grant-tables",
            marks=pytest.mark.differs("mysql", reason="without its grants it opens no port"),
        ),
    ],
)
async def test_a_server_without_events_is_backed_up_and_restored(shop, tmp_path, option):
    """A backup names the events that cannot be read, and a restore brings back all it holds; MySQL reads them."""
    server, restart = shop
    with Sql(server.url) as sql:
        sql.run(EVENT)
    restart(option)
    here = Backstay(server.url, tmp_path / "backups")

    manifest = await here.backup("shop")
    replaced = await here.restore(manifest)
    await here.restore(manifest, "copied")
    await here.target.close()
    server.options = server.options[:-1]
    server.restart()

    unread = any(text.startswith("event shop.tick cannot be read") for text in manifest.warnings)
    assert unread is not IS_MYSQL
    assert replaced.verified
    with Sql(server.url) as sql:
        assert sql.run("SELECT COUNT(*) FROM copied.t") == [(1,)]
        events = sql.run("SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS")
        copied = [("copied", "tick")] if IS_MYSQL else []
        assert sorted(events) == [*copied, ("shop", "tick")]


@pytest.mark.differs("mysql", reason="it makes events that it does not execute")
async def test_events_are_refused_before_anything_is_made_where_there_can_be_none(shop, tmp_path):
    """The dry run says the same as the restore; the tables alone can be restored."""
    server, restart = shop
    with Sql(server.url) as sql:
        sql.run(EVENT)
    here = Backstay(server.url, tmp_path / "backups")
    manifest = await here.backup("shop")
    restart("--event-scheduler=DISABLED")
    there = Backstay(server.url, tmp_path / "backups")

    forecast = await there.recoveries.dry_run(
        await there.recoveries.plan(RestoreRequest(manifest.backup_id, into="copied"))
    )
    with pytest.raises(IncompatibleServerError, match="event 'tick' cannot be made") as refused:
        await there.restore(manifest, "copied")
    tables = await there.restore(manifest, "copied", tables=("*",))
    await here.target.close()
    await there.target.close()

    assert [str(problem) for problem in forecast.problems] == [str(refused.value)]
    assert "--table '*'" in str(refused.value)
    assert tables.verified
