"""Missing privileges: each is named, with the GRANT that mends it (hazard 16)."""

import re
import uuid

import pytest

from tests.fixtures.accounts import ROUTINE_RIGHT
from tests.fixtures.cli import address


# Each with its scope; `{}` is the database.
BACKUP_RIGHTS = {
    "SELECT": "`{}`.*",
    "SHOW VIEW": "`{}`.*",
    "TRIGGER": "`{}`.*",
    "EVENT": "`{}`.*",
    **(
        {"SELECT on `mysql`.`proc`": "`mysql`.`proc`"}
        if ROUTINE_RIGHT.endswith("proc")
        else {f"{ROUTINE_RIGHT} on *.*": "*.*"}
    ),
}
RESTORE_RIGHTS = (
    "SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "CREATE VIEW",
    "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT",
)  # fmt: skip


@pytest.fixture
def user(sql):
    """Name of a user without any right; its password is its name."""
    name = f"u_{uuid.uuid4().hex[:12]}"
    sql.run(f"CREATE USER {name}@'%' IDENTIFIED BY '{name}'")
    yield name
    sql.run(f"DROP USER {name}@'%'")


def _cure(sql, hint):
    """Run the GRANT statements of a hint, and return them."""
    grants = re.findall(r"GRANT [^;]+;", hint)
    assert grants
    sql.script(grants)
    return grants


@pytest.mark.parametrize("right", BACKUP_RIGHTS)
def test_a_backup_without_one_privilege_names_it_and_its_cure(cli, sql, database, user, right):
    """Exit 20 "Permission denied"; after the GRANT in the hint the same backup works."""
    sql.script([
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id",
        "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR DO SELECT 1",
    ])
    sql.script([
        f"GRANT {privilege.partition(' on ')[0]} ON {scope.format(database)} TO {user}@'%'"
        for privilege, scope in BACKUP_RIGHTS.items()
        if privilege != right
    ])
    url = address(cli.url, login=f"{user}:{user}")
    create = ("backup", "create", "--database", database)

    error = cli.error(*create, code=20, DATABASE_URL=url)
    grants = _cure(sql, error["hint"])
    made = cli.json(*create, DATABASE_URL=url)
    shown = cli.json("backup", "info", made["backup_id"])["contents"][0]["objects"]

    assert (error["code"], error["title"]) == ("permission-denied", "Permission denied")
    assert error["message"].startswith(f"the database user lacks {right}")
    assert len(grants) == 1
    assert sorted(item["name"] for item in shown) == ["e", "r", "v"]


def test_a_restore_names_every_missing_privilege_and_its_cure(cli, sql, database, user):
    """All of them at once, before anything changes; after the GRANTs the restore works."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"])
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    target = f"{database}_new"
    url = address(cli.url, login=f"{user}:{user}")
    run = ("restore", "run", backup_id, "--into", target)

    error = cli.error(*run, code=20, DATABASE_URL=url)
    named = [right for right in RESTORE_RIGHTS if f"{right} on `{target}`.*" in error["message"]]
    there = sql.run(f"SHOW DATABASES LIKE '{target}'")
    _cure(sql, error["hint"])
    try:
        restored = cli.json(*run, DATABASE_URL=url)
    finally:
        sql.run(f"DROP DATABASE IF EXISTS `{target}`")

    assert (named, there) == (list(RESTORE_RIGHTS), [])
    assert restored["rows_count"] == 1


def test_a_restore_without_one_privilege_names_it_alone(cli, sql, database, user):
    """Exit 20; no other privilege is asked for."""
    backup_id = cli.json("backup", "create", "--database", database)["backup_id"]
    target = f"{database}_new"
    url = address(cli.url, login=f"{user}:{user}")
    scratch = f"{target}__bk_%".replace("_", "\\_")
    for scope in (target, scratch):
        sql.run(f"GRANT {', '.join(RESTORE_RIGHTS)} ON `{scope}`.* TO {user}@'%'")

    for right in RESTORE_RIGHTS:
        sql.run(f"REVOKE {right} ON `{target}`.* FROM {user}@'%'")
        error = cli.error("restore", "run", backup_id, "--into", target, code=20, DATABASE_URL=url)
        sql.run(f"GRANT {right} ON `{target}`.* TO {user}@'%'")
        assert error["message"] == f"the database user lacks {right} on `{target}`.*"


def test_the_doctor_prints_the_missing_grants(cli, sql, database, user):
    """Rights for a backup fail the examination, rights for a restore are a warning."""
    sql.run(f"GRANT SELECT ON `{database}`.* TO {user}@'%'")
    url = address(cli.url, login=f"{user}:{user}", database=database)
    sick = {
        check["name"]: check for check in cli.json("doctor", code=20, DATABASE_URL=url)["checks"]
    }
    _cure(sql, sick["backup rights"]["remedy"])
    well = {check["name"]: check for check in cli.json("doctor", DATABASE_URL=url)["checks"]}

    assert sick["backup rights"]["state"] == "fail"
    assert f"GRANT TRIGGER ON `{database}`.* TO '{user}'@'%';" in sick["backup rights"]["remedy"]
    assert well["backup rights"]["state"] == "ok"
    assert well["restore rights"]["state"] == "warn"
    assert f"GRANT INSERT ON `{database}`.* TO '{user}'@'%';" in well["restore rights"]["remedy"]
