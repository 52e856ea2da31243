"""A journal that is damaged costs only itself: all other restores, undos and repairs go on."""

import pytest

from app.engine.server.server import Server
from app.errors import JournalDamagedError
from app.services.doctor.service import DoctorService
from tests.fixtures.backstay import Backstay
from tests.fixtures.restored_shop import LATER, scratch, untouched
from tests.oracle.snapshots import assert_same, snapshot


LOST = "restore_00000000000f"


def damage(backstay: Backstay, restore_id: str = LOST, data: bytes = b"\0" * 300) -> None:
    """Put bytes that mean nothing in the place of a journal."""
    backstay.journals._directory.prepare()
    (backstay.directory.parent / "state" / "recoveries" / f"{restore_id}.json").write_bytes(data)


async def test_a_damaged_journal_is_in_nobodys_way(backstay, sql, shop):
    """Options, a restore, its undo and a repair succeed; no old tables are dropped meanwhile."""
    manifest = await backstay.backup(shop)
    damage(backstay)
    sql.script(LATER)
    before = snapshot(backstay.url, shop)

    restored = await backstay.restore(manifest)
    options = await backstay.recoveries.options(manifest.backup_id)

    assert [journal.restore_id for journal in options.undoable] == [restored.restore_id]
    assert await backstay.recoveries.repair() == []
    assert scratch(sql, shop) != set()
    await backstay.recoveries.undo(restored.restore_id)
    assert_same(before, snapshot(backstay.url, shop))


async def test_an_undo_never_guesses_which_restore_is_the_newest(backstay, shop):
    """By the backup's id it is refused while one is damaged, by the restore's own id it is not."""
    manifest = await backstay.backup(shop)
    first = await backstay.restore(manifest)
    second = await backstay.restore(manifest)
    damage(backstay, second.restore_id)

    for name in (manifest.backup_id, second.restore_id):
        with untouched(backstay, shop), pytest.raises(JournalDamagedError) as caught:
            await backstay.recoveries.undo(name)
        assert second.restore_id in str(caught.value)
    assert (await backstay.recoveries.find_undoable(first.restore_id)).targets == (shop,)


@pytest.mark.parametrize("answers", [True, False])
async def test_the_doctor_names_a_damaged_journal(answers, backstay):
    """With what to do about it, whether or not the server answers."""
    damage(backstay)
    server = backstay.target if answers else Server()

    checks = await DoctorService(server, backstay.catalogue, backstay.journals).examine()

    (found,) = [check for check in checks if check.name == "journals"]
    assert isinstance(found.error, JournalDamagedError)
    assert f"recoveries/{LOST}.json" in found.detail
    assert "__bk_old_00000000000f" in found.remedy
