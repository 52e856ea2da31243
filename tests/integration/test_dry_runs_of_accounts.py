"""Dry runs by accounts of less than they seem to have: limits, rights taken away in part, databases nobody writes to."""

import pytest

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import drop, ends_as_foretold, left_over
from tests.fixtures.servers import Sql


USER = "restorer"


@pytest.fixture
def target(own_server):
    """A server of its own with a database, and an administrator's connection to it."""
    server = own_server(*(["--partial-revokes=ON"] if IS_MYSQL else []))
    with Sql(server.url) as sql:
        sql.script([
            "CREATE DATABASE d",
            "CREATE TABLE d.parent (id INT PRIMARY KEY)",
            "INSERT INTO d.parent VALUES (1), (2)",
        ])
        yield server, sql


def _of_user(url):
    return url.replace("//root", f"//{USER}:{USER}", 1)


def _make_user(sql, limit=""):
    sql.script([
        f"DROP USER IF EXISTS {USER}@'%'",
        f"CREATE USER {USER}@'%' IDENTIFIED BY '{USER}' {limit}",
        f"GRANT ALL ON *.* TO {USER}@'%'",
    ])
    if limit and IS_MYSQL:  # its first login goes over another way than ours
        Sql(_of_user(sql.url)).close()


@pytest.mark.parametrize(
    "limit",
    [
        "MAX_QUERIES_PER_HOUR 5000",
        "MAX_UPDATES_PER_HOUR 20",
        "MAX_CONNECTIONS_PER_HOUR 200",
        "MAX_USER_CONNECTIONS 4",
    ],
)
async def test_an_account_whose_limit_could_end_a_restore_is_refused(limit, target, tmp_path):
    """Its undo would need what is used up; nothing is begun, and connections that are enough pass."""
    server, sql = target
    admin = Backstay(server.url, tmp_path / "backups")
    manifest = await admin.backup("d")
    _make_user(sql, f"WITH {limit}")
    user = Backstay(_of_user(server.url), tmp_path / "backups")

    limited = await ends_as_foretold(
        user, RestoreRequest(manifest.backup_id, threads=2), server.url
    )
    _make_user(sql, "WITH MAX_USER_CONNECTIONS 6")
    enough = await ends_as_foretold(user, RestoreRequest(manifest.backup_id, threads=2), server.url)

    assert f"is limited ({limit})" in str(limited.problems[0])
    assert enough.problems == ()
    drop(sql, "d")


@pytest.mark.differs("mariadb", reason="no right can be taken away in part")
async def test_a_right_that_was_taken_away_in_part_is_named(target, tmp_path):
    """With the GRANT that gives it back; a right by a pattern of names is one on no database there."""
    server, sql = target
    admin = Backstay(server.url, tmp_path / "backups")
    manifest = await admin.backup("d")
    request = RestoreRequest(manifest.backup_id)
    _make_user(sql)
    sql.run(f"REVOKE INSERT, DROP ON d.* FROM {USER}@'%'")
    user = Backstay(_of_user(server.url), tmp_path / "backups")

    revoked = await ends_as_foretold(user, request, server.url)
    (problem,) = revoked.problems
    assert str(problem) == "the database user lacks INSERT on `d`.*, DROP on `d`.*"
    sql.script(problem.hint.split("; "))
    given_back = await ends_as_foretold(user, request, server.url)
    sql.script([
        f"REVOKE CREATE ON *.* FROM {USER}@'%'",
        f"GRANT CREATE ON d.* TO {USER}@'%'",
        f"GRANT CREATE ON `d\\_\\_bk\\_%`.* TO {USER}@'%'",
    ])
    by_pattern = await ends_as_foretold(user, request, server.url)

    assert given_back.problems == ()
    assert [str(found) for found in by_pattern.problems] == [
        "the database user lacks CREATE on *.*"
    ]
    drop(sql, "d")


@pytest.mark.differs("mariadb", reason="no database is READ ONLY")
@pytest.mark.parametrize("closed", ["d", "outside"])
async def test_a_database_that_is_read_only_is_named(closed, target, tmp_path):
    """The target itself, and one whose foreign keys would have to be made again; another one is no matter."""
    server, sql = target
    here = Backstay(server.url, tmp_path / "backups")
    manifest = await here.backup("d")
    sql.script([
        "CREATE DATABASE outside",
        "CREATE TABLE outside.t (p INT, FOREIGN KEY (p) REFERENCES d.parent (id))",
        "CREATE DATABASE elsewhere",
        "ALTER DATABASE elsewhere READ ONLY = 1",
        f"ALTER DATABASE {closed} READ ONLY = 1",
    ])

    shut = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))
    sql.run(f"ALTER DATABASE {closed} READ ONLY = 0")
    opened = await ends_as_foretold(here, RestoreRequest(manifest.backup_id))

    assert f"database '{closed}' is READ ONLY" in str(shut.problems[0])
    assert opened.problems == ()
    sql.run("ALTER DATABASE elsewhere READ ONLY = 0")
    drop(sql, "outside", "d")


@pytest.mark.differs("mariadb", reason="every session may set innodb_strict_mode")
async def test_definitions_are_tried_by_who_may_not_switch_rules_off(target, tmp_path):
    """What an administrator restores is refused for the account whose session stays strict, and left alone."""
    server, sql = target
    wide = ", ".join(f"c{number} CHAR(250) CHARACTER SET latin1" for number in range(40))
    sql.script(["SET SESSION innodb_strict_mode = 0", f"CREATE TABLE d.wide ({wide})"])
    admin = Backstay(server.url, tmp_path / "backups")
    manifest = await admin.backup("d")
    request = RestoreRequest(manifest.backup_id)
    _make_user(sql)
    rights = "SESSION_VARIABLES_ADMIN, SYSTEM_VARIABLES_ADMIN, SUPER"
    sql.run(f"REVOKE {rights} ON *.* FROM {USER}@'%'")
    user = Backstay(_of_user(server.url), tmp_path / "backups")

    strict = await ends_as_foretold(user, request, server.url)
    free = await ends_as_foretold(admin, request)

    assert str(strict.problems[0]).startswith("d.wide: error 1118")
    assert free.problems == ()
    assert left_over(sql) == [name for name in left_over(sql) if "__bk_old_" in name]
    drop(sql, "d")
