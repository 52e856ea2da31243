"""What is known of stores, as of their last look."""

import json
from dataclasses import replace

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.keys import NO_KEYS
from app.bootstrap.directories import StoreCatalogues
from app.config import Settings
from app.control.database import ControlDatabase
from app.control.runs import RunRecords
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.runs.run import Origin, Run, RunId, RunKind, RunState
from app.services.stores.history import StoreHistory
from app.services.stores.run_alerts import StoreRunMonitor
from app.services.stores.service import StoreService
from app.services.stores.watch import StoreWatch
from tests.fixtures.archives import backup_id_of, write_backup
from tests.fixtures.clocks import SetClock
from tests.fixtures.monitored_installation import RaisedAlerts


class Watched:
    """A watch of one store that is a directory."""

    def __init__(self, home):
        self.place = home / "store"
        self.place.mkdir()
        state = home / "state"
        state.mkdir()
        self.definitions = state / "stores.toml"
        self.define(self.place)
        self.clock, self.alerts = SetClock(), RaisedAlerts()
        self.control = ControlDatabase(f"sqlite+aiosqlite:///{state / 'control.db'}", state)
        self.catalogues = StoreCatalogues(
            Settings(state_dir=state, backup_dir=home / "backups"), NO_KEYS
        )
        local = Catalogue(home / "backups")
        self.watch = StoreWatch(
            StoreService(state, "", lambda _: None, self.clock),
            lambda name: self.catalogues.get(name) if name else local,
            self.clock,
            self.alerts,
            StoreHistory(RunRecords(self.control), lambda: "host:1"),
            StoreRunMonitor(self.alerts, self.alerts.raised_about),
        )

    def define(self, path):
        text = f'[disk]\nkind = "local"\npath = {json.dumps(str(path))}\n'
        self.definitions.write_text(text)

    async def write(self, number):
        directory = self.catalogues.get("disk").directory
        directory.prepare()
        return await write_backup(directory, number)

    async def seen(self):
        return (await self.watch.report()).places[1]


@pytest.fixture
async def watched(tmp_path):
    """One of a directory that is empty."""
    made = Watched(tmp_path)
    await made.control.prepare()
    yield made
    await made.control.close()
    made.watch.close()
    made.catalogues.close()


def copied(store):
    """The end of a run that has made a copy."""
    return Run(
        run_id=RunId("run_0000000000000001"),
        kind=RunKind.COPY,
        state=RunState.SUCCEEDED,
        requested_by="copies",
        origin=Origin.SCHEDULE,
        owner="host:1",
        created_at=SetClock().now(),
        request={"from": "", "to": store},
    )


async def test_nothing_is_known_before_the_first_look(watched):
    """An empty store and one that nobody has seen are not the same."""
    before = await watched.seen()
    await watched.watch.refresh()
    after = await watched.seen()

    assert (before.looked_at, before.is_known, before.count) == (None, False, 0)
    assert (after.looked_at, after.is_known, after.count) == (watched.clock.now(), True, 0)


async def test_a_run_has_its_store_looked_at_again_and_so_has_time(watched):
    """Between them nobody asks the store."""
    await watched.watch.refresh()
    made = await watched.write(1)
    await watched.watch.refresh()
    assert (await watched.seen()).count == 0
    await watched.watch.ended(copied("disk"))
    await watched.watch.refresh()
    seen = await watched.seen()

    assert (seen.count, seen.size_bytes) == (1, made.size)
    assert seen.newest.backup_id == made.backup_id
    assert seen.checked_at == made.created_at
    await watched.write(2)
    watched.clock.advance(minutes=16)
    await watched.watch.refresh()
    assert (await watched.seen()).count == 2


async def test_a_store_that_is_away_is_not_empty(watched):
    """What was seen stays, with when that was; an alert tells, and is over when it answers."""
    await watched.write(1)
    await watched.watch.refresh()
    looked_at = watched.clock.now()
    away = watched.place.rename(watched.place.with_name("away"))
    watched.clock.advance(minutes=16)
    await watched.watch.refresh()
    seen = await watched.seen()

    assert (seen.count, seen.looked_at, seen.is_known) == (1, looked_at, False)
    assert watched.alerts.about(AlertKind.FAILURE) == ["store disk"]
    away.rename(watched.place)
    watched.clock.advance(minutes=16)
    await watched.watch.refresh()
    assert (await watched.seen()).is_known
    assert watched.alerts.about(AlertKind.FAILURE) == []


async def test_an_older_state_of_a_store_is_told_until_something_new_is_there(watched):
    """Who put what there is in the history; without one nothing is said."""
    for number in range(2):
        await watched.write(number)
    runs = RunRecords(watched.control)
    made = replace(copied("disk"), backup_id=backup_id_of(1), finished_at=watched.clock.now())
    await watched.watch.refresh()
    for path in watched.place.glob(f"*{backup_id_of(1)}*"):
        path.unlink()
    watched.clock.advance(minutes=16)
    await watched.watch.refresh()
    assert (await watched.seen()).lost == ""

    other = replace(made, run_id=RunId("run_0000000000000002"), owner="another installation")
    await runs.add(replace(other, backup_id=backup_id_of(9)))  # into a store of its own
    await runs.add(made)
    await watched.watch.ended(made)
    await watched.watch.refresh()
    assert (await watched.seen()).lost == backup_id_of(1)
    assert f"backup {backup_id_of(1)}, which was put there last" in watched.alerts.message(
        AlertKind.FAILURE
    )
    await watched.write(2)
    await watched.watch.ended(made)
    await watched.watch.refresh()
    assert (await watched.seen()).lost == ""
    assert watched.alerts.about(AlertKind.FAILURE) == []


async def test_an_alert_about_a_backup_in_a_store_ends_with_the_backup(watched):
    """Whoever has deleted it: retention does without a run, others by other means; one that is there stays damaged."""
    for number in range(2):
        await watched.write(number)
    abouts = [f"{backup_id_of(number)} in disk" for number in (0, 1)]
    elsewhere = f"{backup_id_of(0)} in other-disk"
    for kind in (AlertKind.VERIFICATION, AlertKind.DRILL):
        for about in (*abouts, elsewhere):
            await watched.alerts.raise_alert(Alert(kind, about, "it is damaged"))
    await watched.watch.refresh()
    assert watched.alerts.about(AlertKind.VERIFICATION) == sorted([*abouts, elsewhere])

    for path in watched.place.glob(f"*{backup_id_of(0)}*"):
        path.unlink()
    watched.clock.advance(minutes=16)
    await watched.watch.refresh()

    for kind in (AlertKind.VERIFICATION, AlertKind.DRILL):
        assert watched.alerts.about(kind) == sorted([abouts[1], elsewhere])


async def test_of_another_place_of_the_same_name_nothing_is_known(watched, tmp_path):
    """A definition that was changed makes no copies elsewhere."""
    await watched.write(1)
    await watched.watch.refresh()
    watched.define(tmp_path / "other")

    assert (await watched.seen()).looked_at is None


async def test_a_damaged_backup_is_counted_where_it_lies(watched):
    """One of another size than its manifest says."""
    made = await watched.write(1)
    (watched.place / made.file).write_bytes(b"short")
    await watched.watch.refresh()

    assert ((await watched.seen()).count, (await watched.seen()).damaged) == (0, 1)


async def test_definitions_that_make_no_sense_leave_the_directory(watched):
    """It is told of all the same; their page says what is wrong."""
    watched.definitions.write_text("[x")

    assert [place.name for place in (await watched.watch.report()).places] == [""]
