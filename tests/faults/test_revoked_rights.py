"""
Rights that are revoked in the middle of a run, from a user who has what docs/production.md asks for.

Whatever was begun ends with an error about rights; what is left is told, and a repair by who has the rights ends it.
"""

import pytest
import pytest_asyncio

from app.domain.backups.backup import BackupRequest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.progress import Phase
from app.errors import PermissionDeniedError
from tests.fixtures.accounts import account, as_account, files
from tests.fixtures.backstay import Backstay
from tests.fixtures.restored_shop import drop, scratch
from tests.fixtures.servers import Sql
from tests.integration.test_restored_owners import Watching, rights
from tests.oracle.snapshots import assert_same, snapshot


SHOP = (
    "CREATE TABLE t (id INT PRIMARY KEY, a INT)",
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 2",
    "INSERT INTO t VALUES (1, 1), (2, 2)",
    "CREATE VIEW v AS SELECT id FROM t",
)


class Revoked:
    """A database whose backup differs from it, and a user who loses every right when a phase begins."""

    def __init__(self, backstay: Backstay, sql: Sql, database: str, name: str) -> None:
        self.backstay = backstay
        self.sql = sql
        self.database = database
        self._name = name

    def at(self, phase: Phase) -> Watching:
        """Return a progress that takes the rights away as soon as this phase begins."""
        return Watching(phase, self._revoke)

    def _revoke(self) -> None:
        with Sql(self.backstay.url) as administrator:
            administrator.run(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {self._name}@'%'")

    def live(self):
        """Everything in the live database."""
        return snapshot(self.backstay.url, self.database)

    async def repaired(self) -> list[str]:
        """What became of what was left, once somebody with the rights repairs."""
        return [result.outcome for result in await self.backstay.recoveries.repair()]

    def left(self) -> tuple[set[str], int]:
        """Schemas of restores, and journals that are not over."""
        open_ones = [entry for entry in self.backstay.journals.all() if not entry.phase.is_over]
        return scratch(self.sql, self.database), len(open_ones)


@pytest_asyncio.fixture
async def shop(server, tmp_path, sql, database):
    """SHOP, backed up by an administrator, and changed since."""
    made = Backstay(server.url, tmp_path / "backups")
    sql.run("SET GLOBAL log_bin_trust_function_creators = 1")
    sql.script(SHOP)
    manifest = await made.backup(database)
    sql.run("DELETE FROM t WHERE id = 2")
    with account(sql, *rights(database)) as name:
        async with as_account(made, name) as limited:
            yield Revoked(made, sql, database, name), limited, manifest.backup_id
    with Sql(server.url) as cleaner:
        drop(cleaner, database)
        cleaner.run("SET GLOBAL log_bin_trust_function_creators = 0")
    await made.close()


@pytest.mark.differs("mysql", reason="its LOCK INSTANCE holds a REVOKE off until the backup ends")
async def test_a_backup_without_rights_from_its_middle_on_is_whole_or_not_there(shop):
    """Whoever lost the rights before the objects are read has no backup, and nothing of one."""
    here, limited, _ = shop
    before = files(here.backstay)

    with pytest.raises(PermissionDeniedError) as caught:
        await limited.backups.create(BackupRequest((here.database,)), here.at(Phase.INSPECT))

    assert caught.value.hint
    assert files(here.backstay) == before


async def test_a_drill_without_rights_says_so_and_a_repair_sweeps(shop):
    """The live database is not touched; the drill that failed is noted as one of rights."""
    here, limited, backup_id = shop
    before = here.live()
    plan = await limited.recoveries.plan_drill(RestoreRequest(backup_id))

    with pytest.raises(PermissionDeniedError, match="denied") as caught:
        await limited.recoveries.drill(plan, here.at(Phase.LOAD))

    assert "doctor --repair" in caught.value.hint
    (proof,) = here.backstay.catalogue.proofs(backup_id)
    assert proof.error == "permission-denied"
    assert await here.repaired() == ["undone"]
    assert here.left() == (set(), 0)
    assert_same(before, here.live())


@pytest.mark.parametrize("phase", [Phase.LOAD, Phase.SWAP])
async def test_a_restore_without_rights_is_put_back_by_a_repair(phase, shop):
    """The hint says so; a repair by who lacks the rights fails, and one by who has them leaves exactly the old."""
    here, limited, backup_id = shop
    before = here.live()
    plan = await limited.recoveries.plan(RestoreRequest(backup_id))

    with pytest.raises(PermissionDeniedError) as caught:
        await limited.recoveries.restore(plan, here.at(phase))

    assert "doctor --repair" in caught.value.hint
    assert [result.outcome for result in await limited.recoveries.repair()] == ["failed"]
    assert await here.repaired() == ["undone"]
    assert here.left() == (set(), 0)
    assert_same(before, here.live())
