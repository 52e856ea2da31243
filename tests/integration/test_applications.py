"""Databases of well-known applications: backed up, drilled, restored beside and in place, and undone."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.corpora.applications import APPLICATIONS
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture(params=APPLICATIONS, ids=lambda application: application.__name__)
def application(request, sql, database):
    """Name of a database that holds one of the applications."""
    sql.script(request.param())
    return database


async def test_an_application_comes_back_beside_itself(application, backstay):
    """By the program and by the vendor's client, in the eyes of the oracle and of the vendor's dump."""
    manifest = await backstay.round_trip(application, chunk_bytes=2000)

    assert manifest.databases[0].name == application


async def test_an_application_comes_back_in_place_and_the_restore_can_be_undone(
    application, backstay, sql
):
    """After a drill that leaves nothing behind, and with half of the tables gone."""
    manifest = await backstay.backup(application)
    whole = snapshot(backstay.url, application)
    databases = sql.run("SHOW DATABASES")
    drill = await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
    assert (await backstay.recoveries.drill(drill)).rows_count == manifest.rows_count
    assert sql.run("SHOW DATABASES") == databases
    tables = [
        name
        for (name,) in sql.run(
            "SELECT TABLE_NAME FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY 1"
        )
    ]
    sql.script(["SET foreign_key_checks = 0", *(f"DELETE FROM `{name}`" for name in tables[::2])])
    sql.script(f"DROP TABLE `{name}`" for name in tables[1::2])
    damaged = snapshot(backstay.url, application)

    result = await backstay.restore(manifest)

    assert_same(whole, snapshot(backstay.url, application))
    assert result.warnings == ()
    await backstay.recoveries.undo(result.restore_id)
    assert_same(damaged, snapshot(backstay.url, application))
