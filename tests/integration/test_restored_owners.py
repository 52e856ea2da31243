"""Owners of objects: one whose objects this user cannot make is found before anything of the live data changes."""

import pytest
import pytest_asyncio

from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase, Progress
from app.errors import PermissionDeniedError
from tests.fixtures.accounts import account, as_account
from tests.fixtures.backstay import Backstay
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.grants import granted, printed
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


VENDOR, RIGHT = ("MySQL", "SET_ANY_DEFINER") if IS_MYSQL else ("MariaDB", "SET USER")
RESTORE = f"{VENDOR}: backups and restores"
SHOP = (
    "CREATE TABLE t (id INT PRIMARY KEY, a INT)",
    "INSERT INTO t VALUES (1, 1)",
    "CREATE DEFINER=`gone`@`nowhere` TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 2",
    'CREATE DEFINER=`with "quote`@`a.b` VIEW v AS SELECT 1 AS one',
    "CREATE DEFINER=`root`@`localhost` EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
)


class Watching(Progress):
    """Does something as soon as a phase begins."""

    def __init__(self, phase: Phase, action) -> None:
        super().__init__()
        self._when = phase
        self._action = action

    def enter(self, phase: Phase) -> None:
        """Enter a phase."""
        super().enter(phase)
        if phase is self._when:
            self._action()


@pytest_asyncio.fixture
async def here(server, tmp_path, database):
    """The services; what restores kept is dropped."""
    made = Backstay(server.url, tmp_path / "backups")
    with Sql(server.url) as administrator:
        administrator.run("SET GLOBAL log_bin_trust_function_creators = 1")
    yield made
    with Sql(server.url) as cleaner:
        drop(cleaner, database)
        cleaner.run("SET GLOBAL log_bin_trust_function_creators = 0")
    await made.close()


def rights(database: str) -> list[str]:
    """Return the grants of docs/production.md as `RIGHT ON SCOPE`, and what the owners of SHOP need besides."""
    wanted = granted(printed(RESTORE, database))
    if IS_MYSQL:  # there SUPER stands for RIGHT as well, and root is guarded
        wanted = [(right, scope) for right, scope in wanted if right != "SUPER"]
        wanted.append(("SYSTEM_USER", "*.*"))
    return [f"{right} ON {scope}" for right, scope in wanted]


async def test_a_right_that_goes_while_the_restore_works_is_missed_before_anything_is_loaded(
    here, sql, database
):
    """An object of each owner is tried in the staging schema; the live triggers stay, nothing is left over."""
    sql.script(SHOP)
    manifest = await here.backup(database)
    before = snapshot(here.url, database)
    with account(sql, *rights(database)) as name:

        def revoke() -> None:
            with Sql(here.url) as administrator:
                administrator.run(f"REVOKE {RIGHT} ON *.* FROM {name}@'%'")

        async with as_account(here, name) as limited:
            plan = await limited.recoveries.plan(RestoreRequest(manifest.backup_id))
            with pytest.raises(PermissionDeniedError, match=RIGHT) as caught:
                await limited.recoveries.restore(plan, Watching(Phase.VERIFY, revoke))

    assert caught.value.hint.startswith(f"GRANT {RIGHT} ON *.*")
    assert_same(before, snapshot(here.url, database))
    assert (scratch(sql, database), here.journals.all()) == (set(), [])


async def test_a_live_trigger_that_could_not_be_put_back_refuses_the_restore(here, sql, database):
    """Its owner is not in the backup; the dry run says so, too."""
    with account(sql, *(right for right in rights(database) if RIGHT not in right)) as name:
        async with as_account(here, name) as limited:
            sql.run("CREATE TABLE t (id INT PRIMARY KEY, a INT)")
            manifest = await here.backup(database)
            plan = await limited.recoveries.plan(RestoreRequest(manifest.backup_id))
            assert (await limited.recoveries.dry_run(plan)).problems == ()
            sql.run("CREATE TRIGGER mine BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 2")
            before = snapshot(here.url, database)

            forecast = await limited.recoveries.dry_run(plan)
            with pytest.raises(PermissionDeniedError, match=f"lacks {RIGHT}"):
                await limited.restore(manifest)

    assert RIGHT in str(forecast.problems)
    assert_same(before, snapshot(here.url, database))


async def test_owners_are_tried_wherever_objects_are_made(here, sql, database):
    """Owners with quotes and dots, absent ones, in place, in a drill and back."""
    sql.script(SHOP)
    manifest = await here.backup(database)
    before = snapshot(here.url, database)
    sql.run("DROP TRIGGER r")
    with account(sql, *rights(database)) as name:
        async with as_account(here, name) as limited:
            await limited.recoveries.drill(
                await limited.recoveries.plan_drill(RestoreRequest(manifest.backup_id))
            )
            done = await limited.restore(manifest)
            assert_same(before, snapshot(here.url, database))
            await limited.recoveries.undo(done.restore_id)

    assert sql.run("SHOW TRIGGERS LIKE 'r'") == []
