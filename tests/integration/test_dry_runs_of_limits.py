"""Dry runs where a server takes less: it says itself which tables it does not make."""

import re
from dataclasses import replace

import pymysql
import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import drop, ends_as_foretold, left_over
from tests.fixtures.servers import Sql


TABLES = {
    "whole": "a VARCHAR(192), KEY (a)",
    "fits": "a VARCHAR(191), KEY (a)",
    "latin": "a VARCHAR(767) CHARACTER SET latin1, KEY (a)",
    "latin_more": "a VARCHAR(768) CHARACTER SET latin1, KEY (a)",
    "prefix": "a TEXT, b BLOB, KEY (a(191)), KEY (b(767))",
    "longer_prefix": "a TEXT, KEY (a(192))",
    "binary_prefix": "b BLOB, UNIQUE KEY (b(768))",
    "bytes": "a VARBINARY(768), PRIMARY KEY (a)",
    "several": "a VARCHAR(190), b VARCHAR(190), c INT, KEY (a, c, b DESC)",
    "dynamic": "a VARCHAR(700), KEY (a)) ROW_FORMAT=DYNAMIC COMMENT='ROW_FORMAT=COMPACT'; (x",
    "odd name": "`a``(800)` VARCHAR(192), KEY (`a``(800)`)",
    "text": "a TEXT, FULLTEXT KEY (a)",
    "wide": "a VARCHAR(700), b INT, KEY (b)",
    "packed": "a INT PRIMARY KEY) ROW_FORMAT=COMPRESSED; (x",
    "packed_too": "a INT PRIMARY KEY) KEY_BLOCK_SIZE=4; (x",
    "unique": "a INT NOT NULL, UNIQUE KEY (a)",
    **(
        {"packed_more": "a INT PRIMARY KEY) KEY_BLOCK_SIZE=8; (x"}
        if IS_MYSQL
        else {"aria": "a VARCHAR(240), KEY (a)) ENGINE=Aria; (x"}
    ),
}


def remade(server, options):
    """Start a server anew whose InnoDB has other pages; what its own tables held there is gone."""
    server.stop()
    for pattern in ("ib*", "undo*", "*/*.ibd"):
        for path in server.data.glob(pattern):
            path.unlink()
    server.options = (*server.options, *options)
    server.start()


@pytest.mark.parametrize(
    "options",
    [
        (
            "--innodb-default-row-format=compact",
            "--innodb-page-size=16k",
            *(() if IS_MYSQL else ("--innodb-read-only-compressed=ON",)),
        ),
        ("--innodb-default-row-format=dynamic", "--innodb-page-size=4k"),
        pytest.param(
            ("--innodb-force-primary-key=ON",),
            marks=pytest.mark.differs("mysql", reason="a session asks for no primary key there"),
        ),
    ],
    ids=["compact, nothing compressed", "pages of 4 KB", "primary keys"],
)
async def test_tables_that_a_server_refuses_are_foretold(
    options, server, own_server, tmp_path, sql
):
    """Each table that it does not make is named by the dry run, and no other."""
    name = "k"
    rich, narrow = own_server(), own_server(*(options if IS_MYSQL else options[:1]))
    if not IS_MYSQL:
        remade(narrow, options)
    with Sql(rich.url) as source, Sql(narrow.url) as target:
        source.script([f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}"])
        source.script(
            f"CREATE TABLE `{table}` ({columns.partition('; (x')[0]}"
            + (")" * ("; (x" not in columns))
            for table, columns in TABLES.items()
        )
        made = Backstay(rich.url, tmp_path / "backups")
        manifest = await made.backup(name)
        target.script(["CREATE DATABASE judge CHARACTER SET utf8mb4", "USE judge"])
        refused = set()
        for table in TABLES:
            ((_, statement),) = source.run(f"SHOW CREATE TABLE `{table}`")
            try:
                target.run(statement)
            except pymysql.err.Error:
                refused.add(table)
        there = Backstay(narrow.url, tmp_path / "backups")

        forecast = await ends_as_foretold(there, RestoreRequest(manifest.backup_id))

        (problem,) = forecast.problems
        assert {table for table in TABLES if f"table {name}.{table} " in str(problem)} == refused
        assert refused
        fitting = tuple(table for table in TABLES if table not in refused)
        result = await there.restore(manifest, tables=fitting)
        assert len(result.restored_tables) == len(fitting)
        await made.close()
        await there.close()


@pytest.mark.differs("mysql", reason="it refuses what it cannot compress")
async def test_a_table_that_larger_pages_do_not_compress_is_named(own_server, tmp_path, server):
    """It is made all the same, and takes more room; the way back needs no such words."""
    large = own_server()
    remade(large, ["--innodb-page-size=64k"])
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE pressed",
            "CREATE TABLE pressed.t (i INT PRIMARY KEY) ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
            "CREATE TABLE pressed.u (i INT PRIMARY KEY) COMMENT='ROW_FORMAT=COMPRESSED'",
        ])
        here, there = (Backstay(target.url, tmp_path / "backups") for target in (server, large))
        request = RestoreRequest((await here.backup("pressed")).backup_id)

        forecast = await ends_as_foretold(there, request)
        back = await ends_as_foretold(
            here, RestoreRequest((await there.backup("pressed")).backup_id)
        )
        drop(sql, "pressed")

    told = "1 tables such as pressed.t are compressed as no pages of this server are (innodb_page_size)"
    assert [warning for warning in forecast.warnings if "compressed" in warning] == [
        f"{told}, and take more room here"
    ]
    assert not [warning for warning in back.warnings if "compressed" in warning]
    await here.close()
    await there.close()


# Bytes of one value in whatever type, and what makes it.
_POINTS = f"ST_GeomFromText('MULTIPOINT({', '.join(['1 1'] * 45)})')"


@pytest.mark.parametrize(
    ("option", "kind", "value"),
    [
        ("--innodb-page-size=4k", "VARCHAR(200) CHARACTER SET latin1", "REPEAT('x', 200)"),
        ("--innodb-default-row-format=compact", "VARBINARY(1000)", "REPEAT('x', 1000)"),
        ("--innodb-default-row-format=compact", "MULTIPOINT", _POINTS),
    ],
)
async def test_rows_that_do_not_fit_are_foretold(option, kind, value, own_server, tmp_path):
    """No empty table shows it, so the rows of such tables are tried; what fits is restored."""
    usual, small = own_server(), own_server(*([option] if IS_MYSQL or "format" in option else []))
    if not IS_MYSQL and "page" in option:
        remade(small, (option,))
    columns = ", ".join(f"c{number} {kind}" for number in range(12))
    values = ", ".join([value] * 12)
    with Sql(usual.url) as sql:
        sql.script([
            "CREATE DATABASE w",
            "CREATE TABLE w.narrow (id INT PRIMARY KEY)",
            f"CREATE TABLE w.short ({columns})",
            f"CREATE TABLE w.full ({columns})",
            "INSERT INTO w.narrow VALUES (1), (2)",
            f"INSERT INTO w.short (c0) VALUES ({value})",
            f"INSERT INTO w.full VALUES ({values})",
        ])
    there, here = (Backstay(server.url, tmp_path / "backups") for server in (usual, small))
    manifest = await there.backup("w")

    fits = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("short", "n*")))
    refused = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("full",)))
    home = await ends_as_foretold(there, RestoreRequest(manifest.backup_id))

    assert fits.problems == home.problems == ()
    (said,) = (text for text in fits.warnings if text.startswith("rows of 1 tables were tried"))
    assert option.strip("-").partition("=")[0].replace("-", "_") in said
    assert str(refused.problems[0]).startswith("w.full: error 1118")
    with Sql(small.url) as sql:
        assert [row[0] for row in sql.run("SHOW TABLES IN w")] == ["narrow", "short"]
        assert left_over(sql) == []
    await there.close()
    await here.close()


async def test_transactions_that_the_binary_log_does_not_take_are_foretold(own_server, tmp_path):
    """Nothing is begun then; what the refusal asks for is enough, also for rows that are longer in the log."""
    server = own_server("--log-bin=log", "--binlog-cache-size=4096")
    numbers = ", ".join(f"c{number} BIGINT NOT NULL" for number in range(30))
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE w",
            "USE w",
            f"CREATE TABLE w.numbers (id INT AUTO_INCREMENT PRIMARY KEY, {numbers})",
            "CREATE TABLE w.large (id INT PRIMARY KEY, what LONGTEXT)",
            "SET SESSION sql_mode = ''",
            "INSERT INTO w.numbers (c0) SELECT 0 FROM seq_1_to_2000",
            "INSERT INTO w.large VALUES (1, REPEAT('x', 3000000))",
        ])
        backstay = Backstay(server.url, tmp_path / "backups")
        manifest = await backstay.backup("w", chunk_bytes=200_000)
        for table in ("numbers", "large"):
            sql.run("SET GLOBAL max_binlog_cache_size = 32768")
            request = RestoreRequest(manifest.backup_id, tables=(table,), create_backup=False)

            refused = await ends_as_foretold(backstay, request)
            drilled = await backstay.recoveries.drill(await backstay.recoveries.plan_drill(request))
            silent = await ends_as_foretold(backstay, replace(request, skip_binlog=True))
            needed = int(re.findall(r"up to (\d+) bytes", str(refused.problems[0]))[0])
            sql.run(f"SET GLOBAL max_binlog_cache_size = {needed}")
            taken = await ends_as_foretold(backstay, request)

            assert f"rows of w.{table} " in str(refused.problems[0])
            assert "max_binlog_cache_size is 32768" in str(refused.problems[0])
            assert drilled.tables_count == 1
            assert silent.problems == taken.problems == ()
        await backstay.close()


async def _schemas_made(backstay, request):
    """Run dry; return how many schemas that made, of which none is left."""
    with Sql(backstay.url) as sql:
        count = "SHOW GLOBAL STATUS LIKE 'Com_create_db'"
        ((_, before),) = sql.run(count)
        forecast = await backstay.recoveries.dry_run(await backstay.recoveries.plan(request))
        ((_, after),) = sql.run(count)
        assert left_over(sql) == []
    assert forecast.problems == ()
    return int(after) - int(before)


async def test_definitions_are_tried_where_the_server_is_another_or_set_otherwise(
    own_server, tmp_path
):
    """The one that was backed up makes nothing twice while it is set as it was; an older backup says nothing."""
    home, other = (Backstay(own_server().url, tmp_path / "backups") for _ in range(2))
    with Sql(home.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"])
        manifest = await home.backup("d")
        request = RestoreRequest(manifest.backup_id)

        assert await _schemas_made(home, request) == 0
        assert await _schemas_made(other, request) == 1
        sql.run("SET GLOBAL innodb_file_per_table = OFF")
        assert await _schemas_made(home, request) == 1


@pytest.mark.differs("mariadb", reason="no database encrypts by default")
async def test_databases_that_encrypt_by_default_take_tables_as_they_were(own_server, tmp_path):
    """Without a keyring, too; where the server asks for a right to mix them, the right is named."""
    home, other = own_server(), own_server("--default-table-encryption=ON")
    there, here = (Backstay(server.url, tmp_path / "backups") for server in (home, other))
    user = Backstay(other.url.replace("//root", "//u:u", 1), tmp_path / "backups")
    with Sql(home.url) as source, Sql(other.url) as target:
        source.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY) COMMENT 'with it'",
            "CREATE TABLE d.parted (id INT) PARTITION BY HASH (id) PARTITIONS 2",
        ])
        target.script(["CREATE USER u@'%' IDENTIFIED BY 'u'", "GRANT ALL ON *.* TO u@'%'"])
        manifest = await there.backup("d")
        request = RestoreRequest(manifest.backup_id)

        made = await ends_as_foretold(here, request)
        replaced = await ends_as_foretold(here, request)
        target.script([
            "SET GLOBAL table_encryption_privilege_check = ON",
            "REVOKE TABLE_ENCRYPTION_ADMIN ON *.* FROM u@'%'",
        ])
        barred = await ends_as_foretold(user, request, other.url)

        assert made.problems == replaced.problems == ()
        assert "ENCRYPTION='N'" in target.run("SHOW CREATE TABLE d.t")[0][1]
        assert str(barred.problems[0]) == "the database user lacks TABLE_ENCRYPTION_ADMIN on *.*"
