"""Databases, tables and files whose names are told apart by the server, and by nothing less exact."""

import shutil
from pathlib import Path

import pytest

from app.domain.restores.restore import RestoreRequest
from app.errors import DatabaseNotFoundError
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import drop, ends_as_foretold
from tests.fixtures.servers import Sql


@pytest.fixture
def alike(sql, database):
    """A database, and two whose names information_schema takes for the same."""
    names = (database.upper(), database.replace("t", "ţ", 1))
    sql.script([
        f"CREATE TABLE {database}.t (i INT PRIMARY KEY)",
        f"CREATE PROCEDURE {database}.p() SELECT 'own'",
        f"CREATE EVENT {database}.e ON SCHEDULE EVERY 1 YEAR DO SELECT 'own'",
    ])
    for name in names:
        sql.script([
            f"CREATE DATABASE `{name}`",
            f"CREATE TABLE `{name}`.t (other INT, UNIQUE (other))",
            f"CREATE TRIGGER `{name}`.tr BEFORE INSERT ON `{name}`.t FOR EACH ROW SET @a = 1",
            f"CREATE VIEW `{name}`.v AS SELECT 1",
            f"CREATE PROCEDURE `{name}`.only_there() SELECT 1",
            f"CREATE PROCEDURE `{name}`.p() SELECT 'other'",
            f"CREATE EVENT `{name}`.e ON SCHEDULE EVERY 2 YEAR DO SELECT 'other'",
        ])
    yield database
    drop(sql, *names)


async def test_names_that_differ_in_case_or_accent_are_other_databases(backstay, sql, alike):
    """A backup holds the objects of its own database alone, and so does what a restore replaces."""
    manifest = await backstay.backup(alike)
    held = [(str(entry.kind), entry.name) for entry in manifest.databases[0].objects]
    sql.run(f"DROP PROCEDURE {alike}.p")

    result = await backstay.restore(manifest)

    assert held == [("procedure", "p"), ("event", "e")]
    assert result.verified
    assert "own" in str(sql.run(f"SHOW CREATE PROCEDURE {alike}.p"))
    assert "other" in str(sql.run(f"SHOW CREATE PROCEDURE `{alike.upper()}`.p"))


async def test_databases_whose_names_are_alike_are_backed_up_together(backstay, sql, alike):
    """Also where the backup has no others: then MariaDB lists one of them, unless it is asked otherwise."""
    others = [alike.upper(), alike.replace("t", "ţ", 1)]
    sql.script(f"INSERT INTO `{name}`.t VALUES (1)" for name in (alike, *others))
    for names in ([alike, others[0]], [alike, *others]):
        manifest = await backstay.backup(*names)
        forecast = await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))

        assert forecast.problems == ()
        held = {entry.name: [len(entry.tables), len(entry.objects)] for entry in manifest.databases}
        assert held == {name: [1, 2 if name == alike else 5] for name in names}
        assert [sql.run(f"SELECT COUNT(*) FROM `{name}`.t") for name in names] == [[(1,)]] * len(
            names
        )


@pytest.mark.parametrize("names", [("Order", "order"), ("café", "cafe"), ("A", "a", "b")])
async def test_tables_whose_names_are_alike_come_back(names, backstay, sql, database):
    """All of a database, and some of it."""
    sql.script(f"CREATE TABLE `{name}` (i INT PRIMARY KEY, j INT, KEY (j))" for name in names)
    sql.script(f"INSERT INTO `{name}` VALUES ({number}, 1)" for number, name in enumerate(names))
    manifest = await backstay.round_trip(database, plain=False)

    for tables in ((), names, names[1:]):
        request = RestoreRequest(manifest.backup_id, tables=tables)
        assert not (await ends_as_foretold(backstay, request)).problems
    assert [sql.run(f"SELECT i FROM `{name}`") for name in names] == [
        [(number,)] for number in range(len(names))
    ]


async def test_files_that_the_server_never_made_are_no_databases_and_no_tables(
    backstay, sql, database
):
    """`lost+found`, `.ssh` and a copied .frm stop nothing; what looks like a table is named."""
    home = Path(sql.run("SELECT @@datadir")[0][0])
    sql.script(["CREATE TABLE posts (i INT) ENGINE=MyISAM", "INSERT INTO posts VALUES (1)"])
    strays = [home / "lost+found", home / ".ssh", home / "shop-copy"]
    for path in strays:
        path.mkdir()
    for path in (home / database).glob("posts*.*"):
        shutil.copy(path, path.with_name(path.name.replace("posts", "posts-old")))
    # MySQL keeps its definitions in its dictionary: a copy of what it writes beside the rows is nothing to it.
    (definition,) = (home / database).glob("posts_*.sdi" if IS_MYSQL else "posts.frm")
    shutil.copy(definition, home / "shop-copy")
    try:
        everything = await backstay.backup()
        manifest = await backstay.backup(database)
        copied = await backstay.restore(manifest, backstay.new_name())
        replaced = await backstay.restore(manifest)
    finally:
        for path in strays:
            shutil.rmtree(path)

    assert database in [entry.name for entry in everything.databases]
    assert [entry.name for entry in everything.databases if "#" in entry.name] == []
    found = any(warning.startswith("shop-copy/posts in") for warning in everything.warnings)
    assert found is not IS_MYSQL
    assert [table.name for table in manifest.databases[0].tables] == ["posts"]
    found = any(warning.startswith(f"{database}/posts-old in") for warning in manifest.warnings)
    assert found is not IS_MYSQL
    assert copied.verified
    assert replaced.verified
    assert len(list((home / database).glob("posts-old*.*"))) == 3


@pytest.mark.differs("mariadb", reason="it refuses such names")
async def test_names_that_mariadb_gives_to_files_are_names_on_mysql(backstay, sql, database):
    """A database and a table of that name are backed up, and come back."""
    name = f"#mysql50#{database}"
    sql.script([
        f"CREATE DATABASE `{name}`",
        f"CREATE TABLE `{name}`.`#mysql50#t` (i INT PRIMARY KEY)",
        f"INSERT INTO `{name}`.`#mysql50#t` VALUES (1)",
    ])
    try:
        everything = await backstay.backup()
        manifest = await backstay.backup(name)
        copy = await backstay.copy(manifest)
    finally:
        sql.run(f"DROP DATABASE `{name}`")

    assert name in [entry.name for entry in everything.databases]
    assert manifest.warnings == ()
    assert sql.run(f"SELECT i FROM {copy}.`#mysql50#t`") == [(1,)]


async def test_a_server_of_lower_case_names_is_asked_in_any_case(own_server, tmp_path):
    """There `Shop` is what everybody calls the database `shop`, in the request and in the address."""
    server = own_server("--lower-case-table-names=1")
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE Shop", "CREATE TABLE Shop.T (i INT PRIMARY KEY)"])
    here = Backstay(f"{server.url}Shop", tmp_path / "backups")
    try:
        asked = await here.backup("SHOP", exclude_tables=("None",))
        addressed = await here.backup()
        without = await here.backup("Shop", exclude_tables=("Shop.T",))
        result = await here.restore(asked, databases=("Shop",), tables=("T",))
        with pytest.raises(DatabaseNotFoundError):
            await here.backup("Shop2")
    finally:
        await here.target.close()

    assert [entry.name for entry in asked.databases] == ["shop"]
    assert [entry.name for entry in addressed.databases] == ["shop"]
    assert without.databases[0].tables == ()
    assert result.verified


async def test_tables_and_aliases_go_to_lower_case_names_and_back(own_server, tmp_path):
    """There an alias is printed in lower case, and a trigger's table as it was typed; both are proven."""
    plain, folding = own_server(), own_server("--lower-case-table-names=1")
    with Sql(plain.url) as sql, Sql(folding.url) as folded:
        for client, orders in ((sql, "orders"), (folded, "Orders")):
            client.script([
                "CREATE DATABASE shop",
                f"CREATE TABLE shop.{orders} (Id INT PRIMARY KEY)",
                "INSERT INTO shop.orders VALUES (1)",
                "CREATE DATABASE far",
                "CREATE TABLE far.t (id INT)",
                "CREATE VIEW shop.v AS SELECT O.Id AS Nr FROM shop.orders AS O JOIN far.t AS F ON O.Id = F.id",
            ])
        folded.run("CREATE TRIGGER shop.Noted BEFORE INSERT ON shop.Orders FOR EACH ROW SET @a = 1")
        for source, target in ((folding, plain), (plain, folding)):
            here, there = (
                Backstay(server.url, tmp_path / str(source.port)) for server in (source, target)
            )
            manifest = await here.backup("shop", "far")
            for backstay in (here, there):
                await backstay.recoveries.drill(
                    await backstay.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
                )
                await ends_as_foretold(backstay, RestoreRequest(manifest.backup_id))
                await backstay.prove(manifest.backup_id)
                await backstay.target.close()
        assert sql.run("SELECT Nr FROM shop.v") == []
        assert sql.run("SHOW TRIGGERS FROM shop")[0][:3] == ("Noted", "INSERT", "orders")
