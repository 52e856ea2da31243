"""The witness of the clock: it tells a clock that was set from one that has moved."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.errors import ClockJumpedError
from app.storage.clock_witness import BootClock, ClockWitness, ElapsedClock, boot_id, boot_seconds


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


class Machine:
    """A machine whose clock, uptime and starts a test owns; the witness is another process each time."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.at = NOON
        self.up = 1000.0
        self.boot = "one"

    @property
    def witness(self) -> ClockWitness:
        """A witness that knows only what is on disk."""
        return ClockWitness(
            self.home, lambda: self.at, BootClock(lambda: self.boot, lambda: self.up)
        )

    def passes(self, **time: float) -> None:
        """Let time pass as it should."""
        self.at += timedelta(**time)
        self.up += timedelta(**time).total_seconds()

    def written(self) -> bytes:
        """What the witness has on disk."""
        return (self.home / "clock" / "witness.json").read_bytes()


@pytest.fixture
def machine(tmp_path) -> Machine:
    """One that has just been looked at."""
    made = Machine(tmp_path)
    made.witness.record({})
    return made


def test_a_clock_that_moves_is_right(machine):
    """However long nobody looks, and when it is corrected by minutes."""
    for days in (0, 0.001, 30, 900):
        machine.passes(days=days)
        machine.witness.record({"a": NOON})
        assert machine.witness.check({}).at == machine.at
    for minutes in (9, -9, 9):
        machine.at += timedelta(minutes=minutes)
        machine.witness.record({})
        assert machine.witness.check({}).at == machine.at


@pytest.mark.parametrize("jump", [YEAR, -YEAR, timedelta(minutes=11), -timedelta(minutes=11)])
def test_a_clock_that_was_set_is_noticed_until_it_is_right_again(machine, jump):
    """By every later process; what was remembered stays."""
    before = machine.written()
    machine.at += jump
    for _ in range(3):
        machine.passes(hours=5)
        with pytest.raises(ClockJumpedError, match="ahead" if jump > timedelta() else "back"):
            machine.witness.record({})
        with pytest.raises(ClockJumpedError):
            machine.witness.check({})
    assert machine.written() == before

    machine.at -= jump
    machine.witness.record({})
    assert machine.written() != before


def test_asking_records_nothing(machine):
    """A dry run leaves no trace."""
    before = machine.written()
    machine.passes(days=1)
    machine.witness.check({})

    assert machine.written() == before


def test_a_clock_that_is_accepted_is_right(machine):
    """Also when backups say otherwise; those made later are asked again."""
    machine.at -= YEAR
    made = {"backup_1": NOON, "backup_2": NOON - YEAR}
    machine.witness.accept(made)
    machine.witness.record(made)
    machine.passes(hours=1)
    machine.witness.record({**made, "backup_3": machine.at})
    with pytest.raises(ClockJumpedError, match="a backup was made at 2026-01-31"):
        machine.witness.record({**made, "backup_3": NOON})


def test_a_backup_of_the_future_is_noticed(tmp_path):
    """By a witness that knows nothing yet; a few minutes are nothing."""
    machine = Machine(tmp_path)
    machine.witness.record({"a": NOON + timedelta(minutes=4)})
    with pytest.raises(ClockJumpedError):
        machine.witness.record({"a": NOON + timedelta(minutes=6)})


def test_after_a_start_the_clock_may_only_have_moved_on(machine):
    """How much nobody knows, so that far ahead passes, and back does not."""
    machine.boot, machine.up = "two", 3.0
    machine.at -= timedelta(days=1)
    with pytest.raises(ClockJumpedError, match="back"):
        machine.witness.record({})
    machine.at += timedelta(days=300)
    machine.witness.record({})


@pytest.mark.parametrize("boot", ["one", "two"])
def test_no_time_has_come_by_a_clock_that_is_ahead_for_a_moment(machine, boot):
    """Whether it was set while the machine was on or off; when it is right again, nothing is left of it."""
    machine.passes(hours=1)
    machine.boot = boot
    for moved in (timedelta(days=90), -timedelta(days=90)):
        machine.at += moved
        machine.passes(minutes=5)
        with suppress(ClockJumpedError):
            machine.witness.record({})
        assert machine.witness.elapsed() <= machine.at
        assert NOON <= machine.witness.elapsed() <= NOON + timedelta(hours=2)
    machine.passes(days=900)
    machine.witness.record({})
    assert machine.witness.elapsed() == machine.at


def test_a_clock_that_was_far_ahead_after_a_start_is_believed_after_a_day(machine):
    """A machine that was off for long keeps a day longer what is old, and another start changes nothing in that."""
    machine.boot, known = "two", machine.at
    machine.passes(days=40)
    machine.witness.record({})
    for boot in ("two", "three", "four"):
        machine.boot = boot
        assert machine.witness.elapsed() == known
        machine.passes(hours=7)
        machine.witness.record({})
    machine.passes(hours=4)
    machine.witness.record({})
    assert machine.witness.elapsed() == machine.at


def test_a_machine_that_is_started_for_each_backup_is_one_start_behind(machine):
    """What it said at the start before was not set back since, so it has come."""
    for boot in ("two", "three", "four"):
        before, machine.boot = machine.at, boot
        machine.passes(days=7)
        machine.witness.record({})
        assert machine.witness.elapsed() == before


def test_a_clock_that_is_doubted_may_be_accepted(machine):
    """Whoever knows better need not wait."""
    machine.boot = "two"
    machine.passes(days=40)
    machine.witness.record({})
    machine.witness.accept({})
    assert machine.witness.elapsed() == machine.at


def test_a_clock_is_set_back_to_before_what_is_known(machine):
    """Also one that was doubted."""
    machine.boot = "two"
    machine.passes(days=40)
    machine.witness.record({})
    machine.at = NOON - timedelta(days=1)
    with pytest.raises(ClockJumpedError, match="back"):
        machine.witness.record({})
    assert machine.witness.elapsed() <= NOON


def test_by_a_witness_that_cannot_be_understood_nothing_is_old(machine):
    """Until somebody has accepted the clock; without one, the clock is believed."""
    file = machine.home / "clock" / "witness.json"
    file.write_bytes(b"{")
    assert machine.witness.elapsed().year == 1970
    file.unlink()
    assert ElapsedClock(machine.witness).now() == machine.at


def test_a_kernel_that_names_no_start_is_as_after_a_start(tmp_path):
    """Going back is still noticed."""
    machine = Machine(tmp_path)
    machine.boot = ""
    machine.witness.record({})
    machine.at += YEAR
    machine.witness.record({})
    machine.at -= YEAR + timedelta(days=1)
    with pytest.raises(ClockJumpedError):
        machine.witness.record({})


def test_what_cannot_be_understood_counts_as_a_jump(machine):
    """Nobody knows what it said; accepting begins anew."""
    (machine.home / "clock" / "witness.json").write_bytes(b"{")
    with pytest.raises(ClockJumpedError, match="cannot be understood"):
        machine.witness.record({})
    machine.witness.accept({})
    machine.witness.record({})


def test_this_machine_names_its_start_and_counts_from_there():
    """The real clocks."""
    assert boot_id() == boot_id() != ""
    first = boot_seconds()
    assert 0 < first <= boot_seconds()
