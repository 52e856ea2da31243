"""Dry runs on a server unlike the one backed up: what it lacks is named, all of it at once."""

import shutil
from pathlib import Path

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import ConflictError
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL, NO_HISTORY
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
    """A server that takes two tables or views for one refuses them, and one of them alone passes."""
    plain, folding = own_server(), own_server("--lower-case-table-names=1")
    with Sql(plain.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (i INT)", "CREATE VIEW d.V AS SELECT 1"])
        sql.run("CREATE VIEW d.T AS SELECT i FROM d.t")
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
        "'V' would be 'v' on this server",
    }
    assert alone.problems == ()
    for backstay in (there, here):
        await backstay.target.close()


async def test_a_time_zone_that_is_not_here_is_named(own_server, tmp_path):
    """No session can be in it to make an event; a table alone passes, and so does all where it is known."""
    source, target = own_server(), own_server()
    zone = [
        "INSERT INTO mysql.time_zone VALUES (77, 'N')",
        "INSERT INTO mysql.time_zone_name VALUES ('Moon/Base', 77)",
        "INSERT INTO mysql.time_zone_transition_type VALUES (77, 0, 3600, 0, 'MB')",
    ]
    with Sql(source.url) as sql:
        sql.script(zone)
    with Sql(source.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.t (i INT)",
            "SET time_zone = 'Moon/Base'",
            "CREATE EVENT d.e ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01' DO SELECT 1",
        ])
    there, here = (Backstay(server.url, tmp_path / "backups") for server in (source, target))
    manifest = await there.backup("d")

    lacks = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    alone = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("t",)))
    home = await ends_as_foretold(there, RestoreRequest(manifest.backup_id))

    (problem,) = lacks.problems
    assert "does not know the time zone 'Moon/Base' of event d.e" in str(problem)
    assert alone.problems == home.problems == ()
    for backstay in (there, here):
        await backstay.target.close()


@NO_HISTORY
async def test_a_server_whose_clock_nobody_may_set_takes_no_history(own_server, tmp_path):
    """Rows of today alone pass."""
    source, target = own_server(), own_server("--secure-timestamp=YES")
    with Sql(source.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.t (i INT)",
            "CREATE TABLE d.v (i INT) WITH SYSTEM VERSIONING",
        ])
    there, here = (Backstay(server.url, tmp_path / "backups") for server in (source, target))
    manifest = await there.backup("d")

    lacks = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    alone = await ends_as_foretold(here, RestoreRequest(manifest.backup_id, tables=("t",)))

    (problem,) = lacks.problems
    assert "(secure_timestamp)" in str(problem)
    assert alone.problems == ()
    for backstay in (there, here):
        await backstay.target.close()


async def test_a_server_that_nobody_may_write_to_is_named(own_server, tmp_path):
    """Not even an administrator; nothing is begun there."""
    server = own_server()
    here = Backstay(server.url, tmp_path / "backups")
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (i INT PRIMARY KEY)"])
    manifest = await here.backup("d")
    await here.target.close()
    option = "super-read-only" if IS_MYSQL else "innodb-read-only"
    server.options = (*server.options, f"--{option}=ON")
    server.restart()

    plan = await here.recoveries.plan(RestoreRequest(manifest.backup_id, create_backup=False))
    forecast = await here.recoveries.dry_run(plan)
    with pytest.raises(ConflictError) as refused:
        await here.restore(manifest, create_backup=False)

    said = f"nobody may write to the server ({option.replace('-', '_')})"
    assert [str(problem) for problem in forecast.problems] == [str(refused.value)] == [said]
    await here.target.close()


@pytest.mark.differs("mysql", reason="a role of MySQL is an account like others")
async def test_a_role_that_owns_objects_and_is_not_here_is_named(own_server, tmp_path):
    """Without it they would belong to a user of that name; it is enough that there is one."""
    source, target = own_server(), own_server()
    with Sql(source.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE ROLE `owner's`",
            "CREATE DEFINER=`owner's` PROCEDURE d.p() SELECT 1",
        ])
    there, here = (Backstay(server.url, tmp_path / "backups") for server in (source, target))
    manifest = await there.backup("d")

    lacks = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    with Sql(target.url) as sql:
        sql.run("CREATE ROLE `owner's`")
    made = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))

    (problem,) = lacks.problems
    assert "procedure d.p belongs to role `owner's`, which is not on this server" in str(problem)
    assert made.problems == ()
    for backstay in (there, here):
        await backstay.target.close()
