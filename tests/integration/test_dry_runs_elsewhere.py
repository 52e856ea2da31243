"""Dry runs on a server unlike the one backed up: what it lacks is named, all of it at once."""

import shutil
from pathlib import Path

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import by_name, ends_as_foretold
from tests.fixtures.servers import Sql


COLLATION = "utf8mb4_backstay_ci"


def _charsets(directory: Path, sql: Sql) -> Path:
    """Copy the server's character sets, with one more collation."""
    ((there,),) = sql.run("SELECT @@GLOBAL.character_sets_dir")
    shutil.copytree(there, directory)
    index = directory / "Index.xml"
    rules = "<rules><reset>z</reset><p>q</p></rules>"
    added = f'<charset name="utf8mb4"><collation name="{COLLATION}" id="368">{rules}</collation></charset>'
    text = index.read_text(encoding="latin-1")
    index.write_text(text.replace("</charsets>", f"{added}</charsets>"), encoding="latin-1")
    return directory


async def test_engine_collation_and_packet_are_named_together(server, own_server, tmp_path):
    """A server that lacks all three is told so in one problem, and nothing on it changes."""
    with Sql(server.url) as sql:
        charsets = _charsets(tmp_path / "charsets", sql)
    # MySQL has it built in, and MariaDB loads it.
    archive = () if IS_MYSQL else ("--plugin-load-add=ha_archive",)
    rich = own_server(f"--character-sets-dir={charsets}", *archive)
    poor = own_server("--max-allowed-packet=1M", *(["--archive=OFF"] if IS_MYSQL else []))
    with Sql(rich.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.cold (id INT) ENGINE=ARCHIVE",
            f"CREATE TABLE d.words (w VARCHAR(20) COLLATE {COLLATION} PRIMARY KEY)",
            "CREATE TABLE d.wide (id INT PRIMARY KEY, b LONGBLOB)",
            "INSERT INTO d.wide VALUES (1, REPEAT('x', 3000000))",
            "CREATE TABLE d.plain (id INT PRIMARY KEY)",
        ])
    with Sql(poor.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.plain (id INT PRIMARY KEY)"])
    there, here = Backstay(rich.url, tmp_path / "backups"), Backstay(poor.url, tmp_path / "backups")
    manifest = await there.backup("d")

    lacks = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    passes = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("plain",)))
    home = await ends_as_foretold(there, RestoreRequest(manifest.backup_id))

    found = lacks.compatibility
    assert [problem.code for problem in lacks.problems] == ["incompatible-server"]
    assert found.missing_engines == ("ARCHIVE",)
    assert found.missing_collations == (COLLATION,)
    assert (found.largest_table, found.packet_allowed) == ("wide", 1 << 20)
    assert found.packet_needed >= 3_000_000
    for word in ("ARCHIVE", COLLATION, "max_allowed_packet"):
        assert word in str(lacks.problems[0])
    assert passes.problems == home.problems == ()
    assert by_name(home)["wide"].chunks_changed == 0
    for backstay in (there, here):
        await backstay.target.close()


@pytest.mark.differs("mariadb", reason="it cannot disable an engine that it has")
async def test_an_engine_that_makes_no_tables_is_named(server, own_server, tmp_path, sql, database):
    """The server lists it as one of its own all the same; a table of another one passes."""
    sql.script([
        "CREATE TABLE cold (id INT) ENGINE=MyISAM",
        "CREATE TABLE plain (id INT PRIMARY KEY)",
    ])
    there = Backstay(server.url, tmp_path / "backups")
    strict = own_server("--disabled-storage-engines=Archive,MyISAM")
    here = Backstay(strict.url, tmp_path / "backups")
    manifest = await there.backup(database)

    lacks = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    passes = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("plain",)))

    (problem,) = lacks.problems
    assert problem.code == "incompatible-server"
    assert "(disabled_storage_engines), the backup has some of MyISAM" in str(problem)
    assert passes.problems == ()
    for backstay in (there, here):
        await backstay.target.close()


async def test_names_that_are_one_here_are_named(own_server, tmp_path):
    """A server that takes two tables for one refuses them, and one of them alone passes."""
    plain, folding = own_server(), own_server("--lower-case-table-names=1")
    with Sql(plain.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (i INT)", "CREATE TABLE d.T (i INT)"])
    there, here = (
        Backstay(plain.url, tmp_path / "backups"),
        Backstay(folding.url, tmp_path / "backups"),
    )
    manifest = await there.backup("d")

    both = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    alone = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("t",)))

    assert set(both.compatibility.clashing_names) == {
        "'T' and 't' are one name on this server",
        "'T' would be 't' on this server",
    }
    assert alone.problems == ()
    for backstay in (there, here):
        await backstay.target.close()
