"""What belongs to the server itself: not backed up where it is nobody's, not replaced where it is in use."""

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import InvalidRequestError
from tests.fixtures.dry_runs import drop, ends_as_foretold


@pytest.mark.parametrize("name", ["information_schema", "Performance_Schema"])
async def test_what_the_server_only_shows_is_not_backed_up(name, backstay):
    """There would be nothing to restore it into."""
    with pytest.raises(InvalidRequestError, match="holds nothing of its own"):
        await backstay.backup(name)

    assert list(backstay.directory.glob("*")) == []


@pytest.mark.differs("mysql", reason="accounts are in other tables of its own schema")
async def test_tables_that_a_server_works_with_are_restored_beside_it(backstay, sql):
    """In place is refused before anything begins, by a dry run as well; under another name all is there."""
    manifest = await backstay.backup("mysql", tables=("help_topic", "global_priv", "db"))
    with pytest.raises(InvalidRequestError, match="cannot be replaced while it runs"):
        await backstay.recoveries.plan(RestoreRequest(manifest.backup_id))

    copy = await backstay.copy(manifest)

    for table in ("help_topic", "global_priv", "db"):
        assert (
            sql.run(f"CHECKSUM TABLE {copy}.{table}")[0][1]
            == (sql.run(f"CHECKSUM TABLE mysql.{table}")[0][1])
        )


async def test_the_servers_own_views_come_back_in_place(backstay, sql):
    """The schema `sys` is there already, though it is no database of a user's."""
    manifest = await backstay.backup("sys")

    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

    assert forecast.problems == ()
    assert sql.run("SELECT COUNT(*) FROM sys.version") == [(1,)]
    drop(sql, "sys__bk_")
