"""Checks: which backups are due, how far, and which is to be restored for proof."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.backups.check_notes import Check, Notes, VerifyLevel
from app.domain.checks import (
    Intervals,
    StoredBackup,
    checks_of,
    due_checks,
    due_drill,
    failed_drill,
    is_recovery_due,
)
from app.domain.ids import BackupId, new_backup_id
from app.domain.restores.proofs import RECOVERY, RECOVERY_DRILL, Proof, proven_at
from tests.fixtures.series import series


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
USUAL = Intervals(sizes=1, hashes=7, content=30, drill=30)
PROOF = Proof(NOON, "drill", True, 1.5, "mariadb", 1, 1, 1, True)
_SIZE, _HASHES, _CONTENT = VerifyLevel.SIZE, VerifyLevel.HASHES, VerifyLevel.CONTENT


def backup(days: float = 0, **facts) -> StoredBackup:
    """Describe a backup that was made so many days before noon, and read back."""
    made = NOON - days * DAY
    plain = StoredBackup(
        backup_id=new_backup_id(made, None),
        created_at=made,
        read_back=True,
        recovery_point=False,
        has_rows=True,
        notes=Notes(),
        proofs=(),
    )
    return replace(plain, **facts)


def looked(days: float, *, success: bool = True) -> Check:
    """Look at a backup so many days before noon."""
    return Check(NOON - days * DAY, success=success, seconds=1.0, error="" if success else "x")


def levels(*stored: StoredBackup, intervals: Intervals = USUAL, period=None) -> list[VerifyLevel]:
    """Return the levels that are due at noon."""
    return [check.level for check in due_checks(stored, intervals, NOON, period)]


@pytest.mark.parametrize(
    ("days", "notes", "due"),
    [
        (0.9, {}, []),
        (1.1, {}, [_SIZE]),
        (7.1, {}, [_HASHES]),
        (30.1, {}, [_CONTENT]),
        (40, {"content": looked(1.1)}, [_SIZE]),
        (40, {"content": looked(8)}, [_HASHES]),
        (40, {"inflate": looked(2), "size": looked(0.5)}, [_CONTENT]),
        (40, {"content": looked(2), "size": looked(0.5)}, []),
        (40, {"content": looked(2, success=False)}, [_SIZE]),
    ],
)
def test_a_backup_is_due_on_the_deepest_level_that_is(days, notes, due):
    """A deeper look counts for shallower ones, whatever it found, and reading back when it was made."""
    assert levels(backup(days, notes=Notes(checks=notes))) == due


def test_a_backup_that_nobody_has_read_is_due_at_once():
    """On the deepest level that is wanted; 0 days = never."""
    fresh = backup(0, read_back=False)

    assert levels(fresh) == [_CONTENT]
    assert levels(fresh, intervals=replace(USUAL, content=0)) == [_HASHES]
    assert levels(fresh, intervals=Intervals(0, 0, 0, 0)) == []


def test_a_restore_of_all_of_it_counts_as_a_look():
    """Every byte was read, and every row compared; a part, or a failure, proves less."""
    assert levels(backup(40, proofs=(PROOF,))) == []
    assert levels(backup(40, proofs=(replace(PROOF, whole=False),))) == [_CONTENT]
    assert levels(backup(40, proofs=(replace(PROOF, success=False),))) == [_CONTENT]


def test_what_happened_in_the_future_has_not_happened():
    """A clock that was wrong once must not keep backups from being checked for years."""
    wrong = Notes(checks={"content": looked(-400)})

    assert levels(backup(40, notes=wrong)) == [_CONTENT]
    assert levels(backup(-400)) == [_CONTENT]


def test_a_pass_comes_a_little_early_rather_than_a_period_late():
    """What was checked at the end of yesterday's pass is due in today's, though not a day has passed."""
    stored = backup(5, notes=Notes(checks={"size": looked(0.9)}))

    assert levels(stored) == []
    assert levels(stored, period=DAY) == [_SIZE]


def test_a_pass_takes_its_share_of_the_levels_that_read_those_first_that_waited_longest():
    """Those without room are looked at less deep, so that nothing is forgotten."""
    stored = [backup(100 + number) for number in range(60)]

    due = due_checks(stored, USUAL, NOON, DAY)

    by_level = {
        level: {check.backup_id for check in due if check.level is level}
        for level in (_SIZE, _HASHES, _CONTENT)
    }
    oldest = [backup.backup_id for backup in reversed(stored)]
    assert by_level[_CONTENT] == set(oldest[:2])
    assert by_level[_HASHES] == set(oldest[2:11])
    assert by_level[_SIZE] == set(oldest[11:])
    assert [check.level.depth for check in due] == sorted(check.level.depth for check in due)


def test_the_share_grows_with_the_time_to_the_next_pass():
    """Passes on working days only take three days' share on Friday."""
    stored = [backup(100 + number) for number in range(60)]

    assert levels(*stored, period=3 * DAY).count(_CONTENT) == 6
    assert levels(*stored).count(_CONTENT) == 60


class Half:
    """Half a year of passes, and what they have looked at."""

    def __init__(self, intervals: Intervals) -> None:
        self.intervals = intervals
        self.stored: dict[BackupId, StoredBackup] = {}
        self.waited = {level: timedelta() for level in (_SIZE, _HASHES, _CONTENT)}

    def spend(self, now: datetime, made: int, gone: int, *, read_back: bool) -> None:
        """Let a day pass: backups come, the oldest go, and a pass is made."""
        for number in range(made):
            at = now - timedelta(hours=1, seconds=number)
            fresh = replace(backup(), created_at=at, read_back=read_back)
            fresh = replace(fresh, backup_id=new_backup_id(at, None))
            self.stored[fresh.backup_id] = fresh
        for backup_id in sorted(self.stored)[:gone]:
            self.measure(self.stored.pop(backup_id), now)
        due = due_checks(tuple(self.stored.values()), self.intervals, now, DAY)
        assert len({check.backup_id for check in due}) == len(due)
        self.check_share([check.level for check in due])
        for number, check in enumerate(due):
            known = self.stored[check.backup_id]
            self.measure(known, now)
            done = Check(now + timedelta(minutes=number), success=True, seconds=1.0)
            notes = Notes(checks={**known.notes.checks, check.level: done})
            self.stored[check.backup_id] = replace(known, notes=notes)

    def check_share(self, due: list[VerifyLevel]) -> None:
        """Compare with a share that is counted here."""
        count = len(self.stored)
        assert due.count(_HASHES) <= ceil(count / self.intervals.hashes)
        assert due.count(_CONTENT) <= ceil(count / self.intervals.content)

    def measure(self, stored: StoredBackup, now: datetime) -> None:
        """Remember how long a backup has waited at most, before it is looked at or gone."""
        for level in self.waited:
            last = stored.checked_at(level, now) or stored.created_at
            self.waited[level] = max(self.waited[level], now - last)


@settings(max_examples=series(2, 20), deadline=None)
@given(
    hashes=st.integers(2, 10),
    content=st.integers(10, 40),
    days=st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=20, max_size=40
    ),
)
def test_for_half_a_year_every_backup_is_looked_at_on_every_level(hashes, content, days):
    """Within the interval and the time that it is spread over, at most as long; no pass takes more."""
    half = Half(Intervals(1, hashes, content, 0))
    for number in range(182):
        made, read_back, gone = days[number % len(days)]
        is_full = len(half.stored) > 20
        half.spend(NOON + number * DAY, made, gone if is_full else gone // 2, read_back=read_back)

    for stored in half.stored.values():
        half.measure(stored, NOON + 182 * DAY)
    assert half.waited[_SIZE] <= 2 * DAY
    assert half.waited[_HASHES] <= 2 * hashes * DAY + DAY
    assert half.waited[_CONTENT] <= 2 * content * DAY + DAY


def test_the_newest_backup_is_drilled_when_no_drill_is_recent():
    """Recovery points, damaged ones and those without rows are not, while there are others."""
    plain, old = backup(1), backup(9)
    point = backup(0.1, recovery_point=True)
    damaged = backup(0.2, notes=Notes(checks={"hashes": looked(0.1, success=False)}))
    empty = backup(0.3, has_rows=False)

    assert due_drill((point, damaged, empty, plain, old), USUAL, NOON) == plain.backup_id
    assert due_drill((point, damaged, empty), USUAL, NOON) == empty.backup_id
    assert due_drill((point, damaged), USUAL, NOON) is None
    assert due_drill((plain,), replace(USUAL, drill=0), NOON) is None


@pytest.mark.parametrize(
    ("proof", "due"),
    [
        (replace(PROOF, at=NOON - 29 * DAY), False),
        (replace(PROOF, at=NOON - 29 * DAY, success=False), False),
        (replace(PROOF, at=NOON - 31 * DAY), True),
        (replace(PROOF, at=NOON - 29 * DAY, by="restore"), False),
        (replace(PROOF, at=NOON - 29 * DAY, by="restore", whole=False), True),
        (replace(PROOF, at=NOON - 29 * DAY, by="restore", success=False), True),
        (replace(PROOF, at=NOON + 400 * DAY), True),
    ],
)
def test_a_drill_of_any_backup_or_a_restore_of_all_of_one_is_a_trial(proof, due):
    """Whether it succeeded or not; a restore of one table, or one that failed, says too little."""
    stored = (backup(0), backup(50, proofs=(proof,)))

    assert (due_drill(stored, USUAL, NOON) is not None) is due


def test_the_newest_trial_of_all_says_whether_backups_can_be_restored():
    """Also one of another backup."""
    failed = replace(PROOF, success=False, error="proof-failed")
    later = replace(PROOF, at=NOON + DAY)
    old, new = backup(9, proofs=(failed,)), backup(1)

    tomorrow = NOON + DAY
    assert failed_drill((), tomorrow) is None
    assert failed_drill((new, old), tomorrow) == (old.backup_id, failed)
    assert failed_drill((replace(new, proofs=(later,)), old), tomorrow) is None


def test_a_trial_of_a_clock_that_was_ahead_is_older_than_those_of_now():
    """Else a drill that passed then would hide for years that they fail; alone it says what it says."""
    ahead = backup(9, proofs=(replace(PROOF, at=NOON + 400 * DAY),))
    failed = replace(PROOF, success=False, error="proof-failed")
    now = backup(1, proofs=(failed,))

    assert failed_drill((now, ahead), NOON) == (now.backup_id, failed)
    later = replace(ahead, proofs=(replace(failed, at=NOON + 400 * DAY),))
    assert failed_drill((later,), NOON) == (later.backup_id, later.proofs[0])


def test_reading_back_is_shown_as_a_look_until_somebody_looked_as_far():
    """On its level, in the order of depth."""
    notes = Notes(checks={"content": looked(2), "size": looked(1)})

    assert list(checks_of(notes, NOON, read_back=True)) == ["size", "inflate", "content"]
    assert list(checks_of(notes, NOON, read_back=False)) == ["size", "content"]
    assert checks_of(Notes(), NOON, read_back=True)["inflate"].at == NOON


def test_a_recovery_is_due_when_none_was_drilled_for_its_interval():
    """With whatever result; drills of backups and restores do not count, and 0 means never."""
    every = Intervals(0, 0, 0, 0, recovery=30)
    failed = replace(PROOF, by=RECOVERY_DRILL, success=False, error="recover-mismatch")

    assert is_recovery_due((), every, NOON)
    assert not is_recovery_due((), Intervals(0, 0, 0, 0), NOON)
    for at, due in ((NOON - 29 * DAY, False), (NOON - 31 * DAY, True)):
        for proof in (failed, replace(failed, success=True, error="")):
            stored = (backup(1, proofs=(replace(proof, at=at),)),)
            assert is_recovery_due(stored, every, NOON) is due
    assert is_recovery_due((backup(1, proofs=(PROOF,)),), every, NOON)


def test_what_was_restored_for_a_recovery_puts_off_no_drill():
    """The backup is proven whole; that the server would take it, with its rights and settings, is not."""
    restored = replace(PROOF, by=RECOVERY)
    stored = backup(1, proofs=(restored,))

    assert proven_at(stored.proofs) == NOON
    assert due_drill([stored], USUAL, NOON) == stored.backup_id
    assert due_drill([replace(stored, proofs=(replace(PROOF, by="restore"),))], USUAL, NOON) is None
    failed = replace(PROOF, success=False, at=NOON - DAY)
    tried = [replace(stored, proofs=(restored, failed))]
    assert failed_drill(tried, NOON) == (stored.backup_id, failed)
