"""Until when a log is known to be archived: never later than is true, whatever clocks and pauses there were."""

from datetime import timedelta

import pytest

from app.binlog.archive.writing import StreamWriter
from app.binlog.intake import Intake
from app.binlog.moments import Moments
from app.binlog.status import ArchiverStatus
from app.domain.backups.manifest import Codec
from app.domain.restores.log_archive import ArchiverState
from app.storage.clock_witness import BootClock
from tests.fixtures.archives import NOON
from tests.fixtures.binlog import corpus, directory_in, document_of, events_of
from tests.fixtures.clocks import SetClock
from tests.fixtures.kernels import RelaxedKernel


class Machine:
    """A clock that people set, and one that nobody can."""

    def __init__(self):
        self.clock = SetClock()
        self.ran = 1000.0
        self.boot = BootClock(lambda: "this start", lambda: self.ran)

    def passes(self, seconds):
        """Let both go on."""
        self.clock.advance(seconds=seconds)
        self.ran += seconds


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def intake(machine, tmp_path):
    """One that has all there is."""
    (first, _) = corpus("mariadb-10.11")
    directory = directory_in(tmp_path, RelaxedKernel())
    writer = StreamWriter.begin(directory, document_of(first), Codec.NONE)
    yield Intake(writer, None, Moments(machine.clock, machine.boot))
    writer.close()


def heartbeat(position=4):
    """Make what a server says that has nothing new."""
    small = (0).to_bytes(4, "little") + bytes([27]) + (1).to_bytes(4, "little")
    return small + (19).to_bytes(4, "little") + position.to_bytes(4, "little") + bytes(2)


async def hear(intake, machine, *, after, waited=True):
    """Let a heartbeat be read after so many seconds; returns how long ago all is known to be there."""
    machine.passes(after)
    intake.hear(waited=waited)
    await intake.take(heartbeat())
    return machine.ran - intake.current.boot_seconds


async def test_nothing_new_is_true_of_when_the_one_before_had_come(intake, machine):
    """A heartbeat is sent a pause after that."""
    assert await hear(intake, machine, after=5) == 5
    assert await hear(intake, machine, after=5) == 5
    assert intake.current.ms == (NOON + timedelta(seconds=5)).timestamp() * 1000


async def test_what_was_waiting_while_nobody_read_is_as_old_as_the_pause(intake, machine):
    """A process was stopped, a disk hung: of what came meanwhile nobody knows when it came."""
    await hear(intake, machine, after=5)
    assert await hear(intake, machine, after=600) == 600
    assert await hear(intake, machine, after=0, waited=False) == 600
    assert await hear(intake, machine, after=0.01, waited=False) == pytest.approx(600.01)
    # What comes now was not there before.
    assert await hear(intake, machine, after=5) == pytest.approx(5.01)


async def test_a_clock_that_was_set_back_makes_nothing_younger(intake, machine):
    """Neither what is known nor how old it is; and times go on from where the clock is."""
    await hear(intake, machine, after=5)
    await hear(intake, machine, after=5)
    told = ArchiverStatus(
        ArchiverState.LIVE, current_as_of_ms=intake.current.ms, boot_id="this start",
        boot_seconds=intake.current.boot_seconds,
    )  # fmt: skip
    machine.clock.advance(hours=-1)
    machine.ran += 60

    assert told.lag_seconds(machine.clock.now(), machine.boot) == 65
    elsewhere = BootClock(lambda: "another", lambda: 7.0)
    assert told.lag_seconds(machine.clock.now(), elsewhere) is None
    before = intake.current.ms
    await hear(intake, machine, after=5)
    await hear(intake, machine, after=5)
    assert intake.current.ms < before


async def test_a_commit_is_known_by_its_own_time(intake, machine):
    """As old as it is, not as when it was read."""
    (first, _) = corpus("mariadb-10.11")
    for event in events_of(first):
        await intake.take(event)
    last = intake.current
    assert last.ms <= machine.clock.now().timestamp() * 1000
    assert machine.ran - last.boot_seconds == pytest.approx(
        machine.clock.now().timestamp() - last.ms / 1000
    )
