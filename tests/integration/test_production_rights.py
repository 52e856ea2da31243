"""The GRANT statements of docs/production.md, proven on a server: enough, and not one too many."""

import uuid
from contextlib import asynccontextmanager

import pytest

from app.domain.monitoring import CheckState
from app.domain.restores.restore import RestoreRequest
from app.errors import PermissionDeniedError
from app.services.doctor.service import DoctorService
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.grants import granted, printed
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


VENDOR = "MySQL" if IS_MYSQL else "MariaDB"
BACKUP, RESTORE = f"{VENDOR}: backups", f"{VENDOR}: backups and restores"
VIEWS = "Views over views and functions"
# One of everything, made by another user than the one who restores it.
SHOP = (
    "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, CHECK (id > 0))",
    (
        "CREATE TABLE purchase (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, amount INT,"
        " KEY (amount), CONSTRAINT buys FOREIGN KEY (customer) REFERENCES customer (id))"
    ),
    # MySQL 9 keeps triggers on InnoDB out of other engines (1785).
    f"CREATE TABLE old (id INT PRIMARY KEY, what TEXT) ENGINE={'InnoDB' if IS_MYSQL else 'MyISAM'}",
    *(() if IS_MYSQL else ("CREATE SEQUENCE numbers START WITH 7",)),
    (
        "CREATE FUNCTION turnover() RETURNS INT READS SQL DATA"
        " RETURN (SELECT SUM(amount) FROM purchase)"
    ),
    "CREATE VIEW sales AS SELECT name, turnover() AS total FROM customer",
    "CREATE VIEW best AS SELECT * FROM sales WHERE total > 10",
    "CREATE PROCEDURE tidy() DELETE FROM old",
    (
        "CREATE TRIGGER noted AFTER INSERT ON purchase FOR EACH ROW"
        " INSERT INTO old VALUES (NEW.id, 'purchase')"
    ),
    "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 00:00:00' DO CALL tidy()",
    "INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')",
    "INSERT INTO purchase (customer, amount) VALUES (1, 10), (2, 20)",
)
LATER = (
    "DELETE FROM purchase",
    "DROP VIEW best",
    "DROP PROCEDURE tidy",
    "ALTER TABLE old ADD at INT",
)


def grant(sql, name, grants):
    """Give a user what a section prints."""
    for rights, scope in grants:
        sql.run(f"GRANT {', '.join(rights)} ON {scope} TO {name}@'%'")


@asynccontextmanager
async def user(backstay, sql, grants):
    """The services as a user with these grants, and nothing else, has them."""
    name = f"u_{uuid.uuid4().hex[:10]}"
    sql.run(f"CREATE USER {name}@'%' IDENTIFIED BY '{name}'")
    limited = Backstay(backstay.url.replace("//root", f"//{name}:{name}", 1), backstay.directory)
    try:
        grant(sql, name, grants)
        yield limited, name
    finally:
        await limited.target.close()
        sql.run(f"DROP USER {name}@'%'")


@pytest.fixture
def shop(server, sql, database):
    """SHOP, whose objects belong to a user of their own, as those of an application do."""
    # As the page says: with a binary log, functions and triggers need it from whoever is not SUPER.
    sql.run("SET GLOBAL log_bin_trust_function_creators = 1")
    owner = f"app_{database}"
    sql.run(f"CREATE USER {owner}@'%' IDENTIFIED BY '{owner}'")
    sql.run(f"GRANT ALL ON `{database}`.* TO {owner}@'%'")
    with Sql(server.url.replace("//root", f"//{owner}:{owner}", 1), database) as own:
        own.script(SHOP)
    yield database
    sql.close()
    with Sql(server.url) as cleaner:
        drop(cleaner, database)
        cleaner.run(f"DROP USER {owner}@'%'")
        cleaner.run("SET GLOBAL log_bin_trust_function_creators = 0")


async def states(backstay):
    """What the doctor finds out about rights, by the check's name."""
    checks = await DoctorService(backstay.target, backstay.catalogue, backstay.journals).examine()
    return {check.name: check.state for check in checks if check.name.endswith(" rights")}


async def test_the_user_for_backups_makes_a_full_one(backstay, sql, shop):
    """Everything is in it, by the best snapshot, and the doctor misses nothing but restores."""
    before = snapshot(backstay.url, shop)
    async with user(backstay, sql, printed(BACKUP, shop)) as (limited, _):
        manifest = await limited.backup(shop)
        found = await states(limited)

    sql.script(LATER)
    await backstay.restore(manifest)
    assert_same(before, snapshot(backstay.url, shop))
    assert (manifest.warnings, manifest.position is None) == ((), False)
    assert found == {
        "backup rights": CheckState.OK,
        "snapshot rights": CheckState.OK,
        "restore rights": CheckState.WARN,
    }


async def test_the_user_for_restores_restores_drills_and_undoes(backstay, sql, shop):
    """In place, to exactly what was there; and the doctor misses nothing."""
    grant(sql, f"app_{shop}", printed(VIEWS, shop))
    manifest = await backstay.backup(shop)
    before = snapshot(backstay.url, shop)
    sql.script(LATER)
    changed = snapshot(backstay.url, shop)
    async with user(backstay, sql, printed(RESTORE, shop)) as (limited, _):
        found = await states(limited)
        assert set(found.values()) == {CheckState.OK}
        drill = await limited.recoveries.drill(
            await limited.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
        )
        assert_same(changed, snapshot(backstay.url, shop))
        done = await limited.restore(manifest)
        assert_same(before, snapshot(backstay.url, shop))
        await limited.recoveries.undo(done.restore_id)
        assert_same(changed, snapshot(backstay.url, shop))

    assert (done.verified, done.warnings, drill.warnings) == (True, (), ())
    assert (done.recovery_point is not None, done.fence) == (True, "read_only")


async def test_without_any_one_right_no_backup_is_made(backstay, sql, shop):
    """The right is named with its scope, and the directory stays empty."""
    needed = granted(printed(BACKUP, shop, only_needed=True))
    async with user(backstay, sql, printed(BACKUP, shop, only_needed=True)) as (limited, name):
        for right, scope in needed:
            sql.run(f"REVOKE {right} ON {scope} FROM {name}@'%'")
            with pytest.raises(PermissionDeniedError, match=f"lacks {right} on ") as caught:
                await limited.backup(shop)
            sql.run(f"GRANT {right} ON {scope} TO {name}@'%'")
            assert f"GRANT {right} ON {scope} TO " in caught.value.hint.replace("t\\_", "t_")
            assert not list(backstay.directory.glob("*.sql*"))

    assert len(needed) == 5


async def test_without_any_one_right_nothing_is_restored(backstay, sql, shop):
    """The right is named with its scope, before anything changes."""
    manifest = await backstay.backup(shop)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)
    needed = granted(printed(RESTORE, shop, only_needed=True))
    async with user(backstay, sql, printed(RESTORE, shop, only_needed=True)) as (limited, name):
        for right, scope in needed:
            sql.run(f"REVOKE {right} ON {scope} FROM {name}@'%'")
            with pytest.raises(PermissionDeniedError, match=f"lacks {right} on ") as caught:
                await limited.restore(manifest)
            sql.run(f"GRANT {right} ON {scope} TO {name}@'%'")
            assert f"GRANT {right} ON {scope} TO " in caught.value.hint.replace("t\\_", "t_")

    assert len(needed) == 2 * 13 + 2
    assert_same(before, snapshot(backstay.url, shop))
    assert (scratch(sql, shop), backstay.journals.all()) == (set(), [])
