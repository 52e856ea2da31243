"""A backup is of use without this program, by the vendor's client and ordinary tools alone (hazard 115)."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.domain.backups.manifest import Codec
from tests.corpora import objects, types
from tests.fixtures.chosen_server import CLIENT, IS_MYSQL
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


READERS = {Codec.GZIP: ["zcat"], Codec.ZSTD: ["zstd", "-dc"], Codec.NONE: ["cat"]}
CHECKS = {Codec.GZIP: ["gzip", "-t"], Codec.ZSTD: ["zstd", "-tq"], Codec.NONE: ["test", "-s"]}


# MySQL's client brings the texts of another character set as utf8mb4: test_objects_typed_elsewhere.
TYPED = () if IS_MYSQL else (objects.triggers, objects.routines)


def shell_load(backstay, file: Path, reader: list[str], database: str = "") -> None:
    """Do what a person types: READER FILE | mariadb DATABASE."""
    address = backstay.target.url
    client = shutil.which(CLIENT) or CLIENT
    script = '"${@:2}" | "$0" --no-defaults --protocol=tcp -h "$HOST" -P "$PORT" -u root $1'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, client, database, *reader, str(file)],
        env={"HOST": str(address.host), "PORT": str(address.port), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]


def check(file: Path, codec: Codec) -> None:
    """Let the ordinary tool check a file."""
    subprocess.run([*CHECKS[codec], str(file)], check=True)


@pytest.mark.parametrize("codec", Codec)
async def test_one_database_loads_by_hand(codec, backstay, sql, database):
    """One database loads into a database of any name, with values and objects as they were."""
    for corpus in (types.extreme_values, types.binary_values, *TYPED):
        sql.script(corpus())
    manifest = await backstay.backup(database, codec=codec)
    by_hand = backstay.new_name()
    charset = manifest.databases[0].charset
    sql.run(f"CREATE DATABASE {by_hand} DEFAULT CHARACTER SET {charset}")
    sql.run(f"ALTER DATABASE {by_hand} COLLATE {manifest.databases[0].collation}")

    check(backstay.file(manifest), codec)
    shell_load(backstay, backstay.file(manifest), READERS[codec], by_hand)

    assert_same(snapshot(backstay.url, database), snapshot(backstay.url, by_hand))


async def test_several_databases_load_by_hand(backstay, sql, database, own_server):
    """Several databases load into a server that has none of them, without naming any."""
    second = backstay.new_name()
    sql.run(f"CREATE DATABASE {second} DEFAULT CHARACTER SET koi8r")
    sql.script(types.extreme_values())
    sql.run(f"CREATE TABLE {second}.t (id INT PRIMARY KEY, v VARCHAR(20))")
    sql.run(f"INSERT INTO {second}.t VALUES (1, 'привет'), (2, NULL)")
    sql.run(f"CREATE VIEW {database}.across AS SELECT v FROM {second}.t")
    manifest = await backstay.backup(database, second)

    with own_server() as bare:
        there = type(backstay)(bare.url, backstay.directory)
        shell_load(there, backstay.file(manifest), READERS[Codec.GZIP])

        for name in (database, second):
            assert_same(snapshot(backstay.url, name), snapshot(bare.url, name))
        with Sql(bare.url) as client:
            assert client.run(f"SELECT v FROM {database}.across") == [("привет",), (None,)]
        await there.close()


async def test_the_members_of_a_table_restore_it_alone(backstay, sql, database):
    """The parts of one table, cut out as docs/format.md says, are a file of their own."""
    sql.run("CREATE TABLE one (id INT PRIMARY KEY, t TIMESTAMP)")
    sql.run("INSERT INTO one VALUES (1, '2020-01-01 00:00:00'), (2, '2030-01-01 00:00:00')")
    sql.run("CREATE TABLE two (id INT PRIMARY KEY)")
    manifest = await backstay.backup(database)
    data = backstay.file(manifest).read_bytes()
    cut = backstay.directory.parent / "one.sql.gz"
    recipe = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    parts = [re.findall(r'echo "(SET [^"]+;)"', recipe)[0].encode()]
    for member in manifest.members:
        if member.table == "one":
            text = gzip.decompress(data[member.offset : member.offset + member.size])
            parts.append(text[member.within : member.within + member.raw_size])
    cut.write_bytes(gzip.compress(b"\n".join(parts)))
    by_hand = backstay.new_name()
    sql.run(f"CREATE DATABASE {by_hand}")

    shell_load(backstay, cut, READERS[Codec.GZIP], by_hand)

    assert sql.run(f"SELECT * FROM {by_hand}.one") == sql.run(f"SELECT * FROM {database}.one")
    assert sql.run(f"SHOW TABLES FROM {by_hand}") == [("one",)]
