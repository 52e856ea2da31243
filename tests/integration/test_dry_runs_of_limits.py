"""Dry runs where InnoDB takes less: the server itself says which tables it does not make."""

import pymysql
import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import ends_as_foretold
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
    **({} if IS_MYSQL else {"aria": "a VARCHAR(240), KEY (a)) ENGINE=Aria; (x"}),
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
    ],
    ids=["compact, nothing compressed", "pages of 4 KB"],
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
