"""Restores over what is damaged: the very reason for them."""

import os
import shutil
from pathlib import Path

import pytest

from app.domain.restores.dry_run import Action
from app.domain.restores.restore import RestoreRequest
from app.errors import AppError, ConflictError
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import ends_as_foretold
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


@pytest.mark.parametrize("tables", [(), ("x",)])
async def test_a_table_that_cannot_be_opened_is_replaced(backstay, sql, database, tables):
    """The dry run passes as well; the recovery point lacks that table, and a warning says so."""
    sql.script([
        "CREATE TABLE x (i INT PRIMARY KEY, v TEXT) ENGINE=MyISAM",
        "INSERT INTO x VALUES (1, 'a'), (2, 'b')",
        "CREATE TABLE y (i INT PRIMARY KEY)",
    ])
    manifest = await backstay.backup(database)
    sql.run("FLUSH TABLES")
    os.truncate(Path(sql.run("SELECT @@datadir")[0][0]) / database / "x.MYI", 200)

    request = RestoreRequest(manifest.backup_id, tables=tables)
    forecast = await backstay.recoveries.dry_run(await backstay.recoveries.plan(request))
    result = await backstay.restore(manifest, tables=tables)

    assert forecast.problems == ()
    (broken,) = [table for table in forecast.tables if table.name == "x"]
    assert (broken.action, broken.rows_now, broken.rows_then) == (Action.REPLACE, None, 2)
    told = f"the recovery point lacks {database}.x, which the server cannot open"
    assert (told in result.warnings) is not bool(tables)
    assert result.verified
    assert sql.run("SELECT i FROM x") == [(1,), (2,)]


async def test_a_table_of_tables_that_are_gone_is_named_with_what_to_do(backstay, sql, database):
    """By the backup that it ends; without it there is one."""
    sql.script([
        "CREATE TABLE x (i INT, KEY (i)) ENGINE=MyISAM",
        "CREATE TABLE all_of_them (i INT, KEY (i)) ENGINE=MERGE UNION=(x)",
        "DROP TABLE x",
        "CREATE TABLE y (i INT PRIMARY KEY)",
    ])

    with pytest.raises(AppError, match=f"{database}.all_of_them") as refused:
        await backstay.backup(database)
    manifest = await backstay.backup(database, exclude_tables=("all_of_them",))

    assert "leave it out with --exclude-table" in refused.value.hint
    assert [table.name for table in manifest.databases[0].tables] == ["y"]


@pytest.mark.parametrize(("engine", "file"), [("InnoDB", "x.ibd"), ("MyISAM", "x.MYI")])
async def test_a_table_that_has_lost_its_file_is_named_with_what_to_do(
    own_server, tmp_path, engine, file
):
    """No server moves such a table: dry run and restore say so before anything begins."""
    server = own_server()
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            f"CREATE TABLE d.x (i INT PRIMARY KEY) ENGINE={engine}",
            "INSERT INTO d.x VALUES (1), (2)",
            "CREATE TABLE d.y (i INT PRIMARY KEY)",
        ])
    here = Backstay(server.url, tmp_path / "backups")
    manifest = await here.backup("d")
    await here.target.close()
    server.stop()
    (server.data / "d" / file).unlink()
    server.start()
    here = Backstay(server.url, tmp_path / "backups")
    request = RestoreRequest(manifest.backup_id)

    forecast = await here.recoveries.dry_run(await here.recoveries.plan(request))
    with pytest.raises(ConflictError, match=r"the file of table d\.x is gone") as refused:
        await here.restore(manifest)
    assert [str(problem) for problem in forecast.problems] == [str(refused.value)]
    with Sql(server.url) as sql:
        sql.run(refused.value.hint.partition(",")[0])
    result = await here.restore(manifest)
    await here.target.close()

    assert result.verified
    with Sql(server.url) as sql:
        assert sql.run("SELECT i FROM d.x") == [(1,), (2,)]


def _gone_but_for_its_file(sql, database, table, file):
    """Drop a table, and put one of its files back as it was."""
    path = Path(sql.run("SELECT @@datadir")[0][0]) / database / file
    sql.run(f"FLUSH TABLES {table} FOR EXPORT")
    shutil.copy(path, path.with_suffix(".kept"))
    sql.script(["UNLOCK TABLES", f"DROP TABLE {table}"])
    path.with_suffix(".kept").rename(path)
    return path


async def test_a_file_that_bars_the_way_is_found_before_anything_begins(backstay, sql, database):
    """The .ibd of a table that is gone, by the dry run as by the restore; also behind one that a key names."""
    sql.script(f"CREATE TABLE {name} (i INT PRIMARY KEY)" for name in ("w", "x", "y", "z"))
    sql.run("CREATE TABLE child (i INT PRIMARY KEY, FOREIGN KEY (i) REFERENCES w (i))")
    sql.run("INSERT INTO x VALUES (1)")
    manifest = await backstay.backup(database)
    file = _gone_but_for_its_file(sql, database, "x", "x.ibd")
    sql.script(["SET foreign_key_checks = 0", "DROP TABLE w, y", "SET foreign_key_checks = 1"])

    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
    [problem] = forecast.problems
    assert str(problem) == f"a file bars the way of table {database}.x"
    assert "move it away" in problem.hint
    file.unlink()

    assert not (await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))).problems
    assert sql.run("SELECT i FROM x") == [(1,)]


async def test_keys_that_name_a_table_that_is_gone_stay_as_they_are(own_server, tmp_path):
    """MariaDB has them follow whatever gets its name, also on a server that wants a primary key of every table."""
    server = own_server(
        "--sql-require-primary-key=ON" if IS_MYSQL else "--innodb-force-primary-key=ON"
    )
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE parent (i INT PRIMARY KEY)",
            "CREATE TABLE child (i INT PRIMARY KEY, FOREIGN KEY (i) REFERENCES parent (i))",
            "INSERT INTO parent VALUES (1)",
            "INSERT INTO child VALUES (1)",
        ])
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("d")
        sql.script(["SET foreign_key_checks = 0", "DROP TABLE parent"])
        before = sql.run("SHOW CREATE TABLE child")
        request = RestoreRequest(manifest.backup_id)

        forecast = await backstay.recoveries.dry_run(await backstay.recoveries.plan(request))
        assert sql.run("SHOW CREATE TABLE child") == before
        assert forecast.problems == ()
        assert (await backstay.restore(manifest)).verified
        assert sql.run("SHOW CREATE TABLE child") == before
    await backstay.target.close()


@pytest.mark.long
async def test_a_file_is_found_among_many_names(backstay, sql, database):
    """However many tables are to come."""
    names = [f"t{number:04}" for number in range(series(102, 1002))]
    sql.script(f"CREATE TABLE {name} (i INT PRIMARY KEY)" for name in names)
    manifest = await backstay.backup(database)
    file = _gone_but_for_its_file(sql, database, names[-1], f"{names[-1]}.ibd")
    sql.run(f"DROP TABLE {', '.join(names[:-1])}")

    forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
    file.unlink()

    assert [str(problem) for problem in forecast.problems] == [
        f"a file bars the way of table {database}.{names[-1]}"
    ]


# Tables by the clause that makes their partitions; the last file of each in the order of names is of its last one.
PARTITIONED = {
    "listed": "LIST (i) (PARTITION p0 VALUES IN (1), PARTITION `a b` VALUES IN (2))",
    "counted": "HASH (i) PARTITIONS 3",
    "within": (
        "RANGE (i) SUBPARTITION BY HASH (i) SUBPARTITIONS 2"
        " (PARTITION Ä$ VALUES LESS THAN (5), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    ),
    "named": (
        "RANGE (i) SUBPARTITION BY HASH (i) (PARTITION p0 VALUES LESS THAN (5)"
        " (SUBPARTITION s0 COMMENT 'PARTITION s1', SUBPARTITION `select`))"
    ),
}


@pytest.mark.parametrize("name", PARTITIONED)
async def test_a_file_of_a_partition_that_bars_the_way_is_found_as_well(
    backstay, sql, database, name
):
    """By the dry run as by the restore; the live database stays as it was."""
    sql.script([
        "CREATE TABLE plain (i INT PRIMARY KEY)",
        f"CREATE TABLE {name} (i INT) PARTITION BY {PARTITIONED[name]}",
        f"INSERT INTO {name} VALUES (1)",
    ])
    manifest = await backstay.backup(database)
    *_, last = sorted((Path(sql.run("SELECT @@datadir")[0][0]) / database).glob(f"{name}#*.ibd"))
    file = _gone_but_for_its_file(sql, database, name, last.name)
    sql.run("DROP TABLE plain")
    request = RestoreRequest(manifest.backup_id)

    [problem] = (await ends_as_foretold(backstay, request)).problems
    file.unlink()

    assert str(problem) == f"a file bars the way of table {database}.{name}"
    assert "move it away" in problem.hint
    assert not (await ends_as_foretold(backstay, request)).problems
    assert sql.run(f"SELECT i FROM {name}") == [(1,)]
