"""Retention over real files: what it deletes, what it leaves, and what it tells."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.documents.retention import Pruned, PrunePlan
from app.domain.alerts.alert import AlertKind
from app.domain.backups.check_notes import Check, Notes, Pin
from app.domain.backups.retention import RetentionPolicy
from app.domain.restores.proofs import Proof
from app.domain.schedule import Frequency, Schedule
from app.errors import (
    BackupInUseError,
    BackupNotFoundError,
    BackupPinnedError,
    ClockJumpedError,
    IntegrityError,
)
from app.services.backups.retention import RetentionService
from app.services.backups.retention_items import is_good
from app.storage.schedules import ScheduleFile
from tests.fixtures.archives import NOON, leftovers
from tests.fixtures.backup_store import BackupStore


YEAR = timedelta(days=365)


def as_planned(plan) -> Any:
    """The document of a plan."""
    return PrunePlan.of(plan).model_dump(mode="json")


def as_done(result) -> Any:
    """The document of a prune."""
    return Pruned.of(result).model_dump(mode="json")


def entry_of(backup_store, manifest):
    """The line of a backup."""
    return next(
        entry for entry in backup_store.catalogue.entries() if entry.backup_id == manifest.backup_id
    )


async def test_what_goes_is_gone_from_disk_and_in_the_audit(backup_store):
    """Files, notes and the line of metadata.json; the oldest first, by who wanted it."""
    made = await backup_store.days(5)
    await backup_store.pins.pin(made[3].backup_id, "ann")
    await backup_store.pins.unpin(made[3].backup_id)

    result = await backup_store.retention.prune("os:ann")

    gone = [manifest.backup_id for manifest in reversed(made[2:])]
    assert [verdict.item.backup_id for verdict in result.deleted] == gone
    assert (result.failed, result.kept) == ((), 2)
    assert backup_store.ids() == [manifest.backup_id for manifest in made[:2]]
    assert len(leftovers(backup_store.path)) == 4
    assert await backup_store.audited() == [
        ("os:ann", "delete_backup", backup_id, "ok") for backup_id in gone
    ]
    assert not any(
        backup_id in (backup_store.path / "metadata.json").read_text() for backup_id in gone
    )
    assert (await backup_store.retention.prune()).deleted == ()


async def test_a_plan_changes_nothing_and_tells_everything(backup_store):
    """The same backups as the prune after it, each with why."""
    await backup_store.days(4)
    backup_store.catalogue.refresh()
    before = sorted(path.name for path in backup_store.path.iterdir())
    plan = as_planned(await backup_store.retention.plan())

    assert sorted(path.name for path in backup_store.path.iterdir()) == before
    assert not (backup_store.state / "clock").exists()
    assert [row["reason"] for row in plan["delete"]] == ["older than the 2 newest"] * 2
    assert [row["reason"] for row in plan["keep"]] == ["one of the 2 newest"] * 2
    assert plan["freed_bytes"] == sum(row["size"] for row in plan["delete"])
    assert plan["clock"] is None
    done = as_done(await backup_store.retention.prune())
    assert {row["backup_id"] for row in done["deleted"]} == {
        row["backup_id"] for row in plan["delete"]
    }
    assert (done["success"], done["kept"], done["freed_bytes"]) == (True, 2, plan["freed_bytes"])


async def test_an_empty_directory_and_none_at_all_need_nothing(tmp_path):
    """Before the first backup there is nothing to do."""
    backup_store = BackupStore(tmp_path)
    assert (await backup_store.retention.prune()).kept == 0
    shutil.rmtree(backup_store.path)
    assert (await backup_store.retention.plan()).decisions == ()


async def test_a_schedule_has_its_own_policy(backup_store):
    """And what has none has that of the settings; a damaged schedule.json deletes nothing."""
    await backup_store.days(4, schedule="nightly")
    await backup_store.days(4)
    nightly = Schedule(
        "nightly", Frequency.DAILY, backup_store.clock.now(), retention=RetentionPolicy(count=3)
    )
    file = ScheduleFile(backup_store.catalogue.directory)
    file.change(lambda _: (nightly,))
    text = (backup_store.path / "schedule.json").read_bytes()
    (backup_store.path / "schedule.json").write_bytes(b"{")
    with pytest.raises(IntegrityError):
        await backup_store.retention.prune()
    assert len(backup_store.ids()) == 8

    (backup_store.path / "schedule.json").write_bytes(text)
    await backup_store.retention.prune()
    schedules = [entry.schedule for entry in backup_store.catalogue.entries()]
    assert sorted(schedules) == ["", "", *["nightly"] * 3]


async def test_backups_that_failed_push_out_nothing(backup_store):
    """Hazard 112: not read back, or damaged later; the last good ones stay for as long as that lasts."""
    made = await backup_store.days(3)
    await backup_store.retention.prune()
    for number in range(5):
        backup_store.passes(days=1)
        bad = await backup_store.make(verify=False)
        await backup_store.retention.after_backup(bad)
        if number % 2:
            file = backup_store.path / bad.file
            file.write_bytes(file.read_bytes()[:-1])
    await backup_store.retention.prune()

    assert {manifest.backup_id for manifest in made[:2]} <= set(backup_store.ids())
    assert len(await backup_store.audited()) == 1


async def test_backups_of_another_server_push_out_no_last_one(backup_store):
    """A wrong address, or a test server in the same store: however many come, one of each server stays."""
    first = await backup_store.days(2, server_id="db1")
    backup_store.passes(days=1)
    others = await backup_store.days(5, server_id="test")
    await backup_store.retention.prune()
    assert backup_store.ids() == [each.backup_id for each in (*others[:2], first[0])]

    backup_store.passes(days=1)
    again = await backup_store.days(2, server_id="db1")
    await backup_store.retention.prune()
    assert backup_store.ids() == [each.backup_id for each in (*again, others[0])]


async def test_a_check_makes_a_backup_good_and_another_takes_that_back(backup_store):
    """Read back later, restored later, found damaged, notes that nobody understands."""
    made = await backup_store.make(verify=False)
    entry = entry_of(backup_store, made)
    fine, bad = Check(NOON, success=True, seconds=1), Check(NOON, success=False, seconds=1)
    later = replace(bad, at=NOON + timedelta(hours=1))
    proof = Proof(NOON, "drill", True, 1, "x", 1, 1, 1, True)
    broken = replace(proof, success=False, error="checksum-mismatch", at=later.at)

    assert not is_good(entry, Notes(), ())
    assert not is_good(entry, Notes(checks={"size": fine}), ())
    assert is_good(entry, Notes(checks={"hashes": fine}), ())
    assert is_good(entry, Notes(), (proof,))
    assert not is_good(entry, Notes(), (replace(proof, whole=False),))
    assert not is_good(entry, Notes(checks={"hashes": fine, "content": later}), ())
    assert not is_good(entry, Notes(checks={"hashes": fine}), (broken,))
    assert is_good(entry, Notes(checks={"hashes": fine}), (replace(broken, error="stalled"),))
    verified = replace(entry, verify=True)
    assert is_good(verified, Notes(), ())
    assert not is_good(verified, Notes(), (broken,))
    ahead = replace(verified, created_at=NOON + timedelta(days=400))
    assert not is_good(ahead, Notes(), (broken,))
    proven = replace(proof, at=NOON + timedelta(days=400))
    assert not is_good(ahead, Notes(), (broken, proven))
    assert is_good(ahead, Notes(), (proof, broken))


async def test_only_a_verified_backup_that_is_no_recovery_point_prunes(backup_store):
    """What follows a backup by itself."""
    made = await backup_store.days(4)
    point = await backup_store.make(recovery_point=True)
    await backup_store.retention.after_backup(point)
    await backup_store.retention.after_backup(await backup_store.make(verify=False))
    assert len(backup_store.ids()) == 6

    await backup_store.retention.after_backup(made[0])
    assert len(backup_store.ids()) == 4
    assert {actor for actor, *_ in await backup_store.audited()} == {"retention"}


async def test_a_backup_that_is_read_stays_and_the_others_go(backup_store):
    """Held by a restore, a verification or a download; it goes next time."""
    made = await backup_store.days(5)
    with backup_store.catalogue.open(made[3].backup_id):
        plan = as_planned(await backup_store.retention.plan())
        assert [row["reason"] for row in plan["keep"]][2:] == [
            "in use by a restore, verification or download"
        ]
        await backup_store.retention.prune()
        assert backup_store.ids() == [made[number].backup_id for number in (0, 1, 3)]

    await backup_store.retention.prune()
    assert backup_store.ids() == [made[number].backup_id for number in (0, 1)]


class Meddler(BackupStore):
    """A backup_store in which something happens between the look at the backups and the deletion."""

    def __init__(self, home, **settings) -> None:
        super().__init__(home, **settings)
        self.meddle = lambda: None

    @property
    def retention(self):
        """The service; its plan is followed by what the test does."""
        meddle = self.meddle

        class Overtaken(RetentionService):
            async def plan(self, wanted=None):
                plan = await super().plan(wanted)
                await asyncio.to_thread(meddle)
                return plan

        return self._retention(Overtaken)


async def test_what_comes_between_the_look_and_the_deletion_is_kept_and_told(tmp_path):
    """Read, pinned, deleted by hand: reported, no failure; the others go."""
    backup_store = Meddler(tmp_path, max_backups=2)
    made = await backup_store.days(7)
    used, pinned, deleted = (made[number].backup_id for number in (3, 4, 5))
    readers = []

    def meddle() -> None:
        readers.append(backup_store.catalogue.open(used))
        pin = Notes(pin=Pin(NOON, "ann"))
        backup_store.catalogue.change_notes(pinned, lambda _: pin)
        backup_store.catalogue.delete(deleted)

    backup_store.meddle = meddle
    result = await backup_store.retention.prune()
    readers[0].close()

    assert {verdict.item.backup_id: type(error) for verdict, error in result.failed} == {
        used: BackupInUseError,
        pinned: BackupPinnedError,
        deleted: BackupNotFoundError,
    }
    assert as_done(result)["success"] is True
    assert [verdict.item.backup_id for verdict in result.deleted] == [
        made[6].backup_id, made[2].backup_id,
    ]  # fmt: skip


async def test_nothing_goes_when_the_newer_one_went_first(tmp_path):
    """The newer backup is deleted by hand in between: the older one is the last now."""
    backup_store = Meddler(tmp_path, max_backups=1)
    made = await backup_store.days(2)
    backup_store.meddle = lambda: backup_store.catalogue.delete(made[0].backup_id)
    result = await backup_store.retention.prune()

    assert result.deleted == ()
    assert backup_store.ids() == [made[1].backup_id]


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_a_clock_that_jumped_deletes_nothing(backup_store, jump):
    """Hazard 112: an alert, the audit untouched; it goes on when the clock is right, or was accepted."""
    await backup_store.days(2)
    await backup_store.retention.prune()
    made = [await backup_store.make() for _ in range(3)]
    backup_store.clock.at += jump
    for _ in range(2):
        with pytest.raises(ClockJumpedError):
            await backup_store.retention.prune()
        await backup_store.retention.after_backup(made[0])
    plan = as_planned(await backup_store.retention.plan())
    assert "the clock says" in str(plan["clock"])
    assert plan["delete"]
    assert backup_store.alerts.about(AlertKind.CLOCK) == ["clock"]
    assert backup_store.alerts.about(AlertKind.FAILURE) == []
    assert len(backup_store.ids()) == 5
    assert await backup_store.audited() == []

    backup_store.clock.at -= jump
    await backup_store.retention.prune()
    assert backup_store.alerts.raised == {}
    assert len(backup_store.ids()) == 3  # the two newest, and that of the day before


async def test_a_clock_that_is_ahead_after_a_start_makes_nothing_old(tmp_path):
    """Neither a backup nor the log between them; when it was set right, all is as before."""
    backup_store = BackupStore(tmp_path, max_backups=0, keep_days=30, max_days=60)
    await backup_store.days(20)
    await backup_store.retention.prune()
    backup_store.boot, backup_store.up = "next", 5.0
    for moved in (timedelta(days=90), -timedelta(days=90)):
        backup_store.clock.at += moved
        backup_store.passes(minutes=20)
        assert (await backup_store.retention.prune()).deleted == ()
        assert as_planned(await backup_store.retention.plan())["delete"] == []
    backup_store.passes(days=25)
    assert len((await backup_store.retention.prune()).deleted) == 15


async def test_by_rules_that_count_the_clock_makes_nothing_go(tmp_path):
    """Also one that somebody has accepted, whatever it says: what stays is what stays by a clock that is right."""
    backup_store = BackupStore(
        tmp_path, max_backups=3, keep_hourly=2, keep_daily=5, keep_weekly=3, keep_yearly=2
    )
    await backup_store.days(30)
    await backup_store.retention.prune()
    kept = backup_store.ids()
    for jump in (YEAR, -3 * YEAR, 99 * YEAR):
        backup_store.clock.at += jump
        await backup_store.retention.prune(accept_clock=True)
        assert backup_store.ids() == kept


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
async def test_an_accepted_clock_is_right_from_then_on(backup_store, jump):
    """New backups are the newest, whatever the dates of the old ones say."""
    await backup_store.days(3)
    backup_store.clock.at += jump
    await backup_store.retention.prune(accept_clock=True)
    assert backup_store.alerts.raised == {}
    for _ in range(3):
        backup_store.passes(days=1)
        made = await backup_store.make()
        await backup_store.retention.after_backup(made)
        assert backup_store.ids()[0] == made.backup_id
    assert len(backup_store.ids()) == 2
    assert backup_store.alerts.raises == []


async def test_rules_that_are_not_saved_are_tried_on_the_backups_there_are(backup_store):
    """They count for their schedule alone; nothing is written, and the saved ones count as before."""
    made = await backup_store.days(4, schedule="shop")
    others = await backup_store.days(2)
    saved = (await backup_store.retention.plan()).decisions
    wanted = Schedule("shop", Frequency.DAILY, NOON, retention=RetentionPolicy(count=1))

    plan = await backup_store.retention.plan(wanted)

    goes = {decision.item.backup_id for decision in plan.deleted}
    assert goes == {manifest.backup_id for manifest in made[1:]}
    assert {manifest.backup_id for manifest in others}.isdisjoint(goes)
    assert (await backup_store.retention.plan()).decisions == saved
    assert ScheduleFile(backup_store.catalogue.directory).read() == ()
