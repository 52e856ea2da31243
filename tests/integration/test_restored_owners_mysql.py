"""Owners that MySQL guards: a dry run, a drill and a restore come to one verdict, before anything begins."""

import pytest
import pytest_asyncio

from app.domain.restores.restore import RestoreRequest
from app.errors import PermissionDeniedError
from tests.fixtures.accounts import account, as_account
from tests.fixtures.backstay import Backstay
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


pytestmark = pytest.mark.differs("mariadb", reason="no account of MariaDB is guarded")

_OF_TABLES = (
    "SELECT, INSERT, CREATE, DROP, ALTER, INDEX, REFERENCES, TRIGGER, CREATE VIEW, SHOW VIEW,"
    " CREATE ROUTINE, ALTER ROUTINE, EVENT"
)
_ANY = "SET_ANY_DEFINER"
_ABSENT = "ALLOW_NONEXISTENT_DEFINER"
_SYSTEM = "SYSTEM_USER"
# Owner, what the restoring user has besides, and what it lacks.
CASES = (
    ("`root`@`localhost`", (), _ANY),
    ("`root`@`localhost`", (_ANY, _ABSENT), _SYSTEM),
    ("`root`@`localhost`", ("SUPER",), _SYSTEM),
    ("`root`@`localhost`", (_ANY, _SYSTEM), ""),
    ("`gone`@`nowhere`", (_ANY, _SYSTEM), _ABSENT),
    ("`gone`@`nowhere`", (_ANY, _ABSENT), ""),
    ("`guarded`@`a.b`", (_ANY,), _SYSTEM),
    ("`guarded`@`a.b`", (_ANY, _SYSTEM), ""),
    ("`plain`@`%`", (_ANY,), ""),
    ("`plain`@`%`", (_SYSTEM, _ABSENT), _ANY),
    ("`a role`@`%`", (_ANY,), ""),
)


@pytest_asyncio.fixture
async def here(server, tmp_path, sql, database):
    """The services; what restores kept is dropped, and so are the owners."""
    sql.script([
        "SET GLOBAL log_bin_trust_function_creators = 1",
        "CREATE USER plain, guarded@'a.b'",
        "GRANT SYSTEM_USER ON *.* TO guarded@'a.b'",
        "CREATE ROLE 'a role'",
    ])
    made = Backstay(server.url, tmp_path / "backups")
    yield made
    with Sql(server.url) as cleaner:
        drop(cleaner, database)
        cleaner.run("DROP USER plain, guarded@'a.b', 'a role'")
        cleaner.run("SET GLOBAL log_bin_trust_function_creators = 0")
    await made.close()


@pytest.mark.parametrize("sees", [False, True])
async def test_dry_run_and_restore_come_to_one_verdict(sees, here, sql, database):
    """Whether or not the user sees accounts; what is refused has changed nothing."""
    for owner, rights, lacking in CASES:
        sql.script([
            "DROP TABLE IF EXISTS t",
            "DROP VIEW IF EXISTS v",
            "DROP EVENT IF EXISTS e",
            "CREATE TABLE t (id INT PRIMARY KEY, a INT)",
            "INSERT INTO t VALUES (1, 1)",
            f"CREATE DEFINER={owner} TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 2",
            f"CREATE DEFINER={owner} VIEW v AS SELECT 1 AS one",
            f"CREATE DEFINER={owner} EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        ])
        manifest = await here.backup(database)
        before = snapshot(here.url, database)
        grants = [
            f"{_OF_TABLES} ON `{database}`.*",
            f"{_OF_TABLES} ON `{database}\\_\\_bk\\_%`.*",
            "SHOW_ROUTINE, PROCESS, RELOAD, SESSION_VARIABLES_ADMIN ON *.*",
            *(f"{right} ON *.*" for right in rights),
            *(["SELECT ON mysql.*"] if sees else []),
        ]
        with account(sql, *grants) as name:
            async with as_account(here, name) as limited:
                plan = await limited.recoveries.plan(RestoreRequest(manifest.backup_id))
                problems = (await limited.recoveries.dry_run(plan)).problems
                if lacking:
                    assert lacking in str(problems[0]), (owner, rights)
                    with pytest.raises(PermissionDeniedError, match=lacking):
                        await limited.restore(manifest)
                    assert scratch(sql, database) == set()
                else:
                    assert problems == (), (owner, rights)
                    await limited.restore(manifest)
        assert_same(before, snapshot(here.url, database))
        drop(sql, *scratch(sql, database))
