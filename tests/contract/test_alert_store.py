"""The store of alerts and of their delivery: one suite, run on SQLite and on MariaDB."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text

from app.control.alerts import GIVEN_UP, WITHDRAWN, AlertRecords
from app.control.database import ControlDatabase
from app.domain.alerts.alert import Alert, AlertKind
from app.domain.alerts.notice import Delivery, NoticeKind
from app.domain.stores import AlertFilter, AlertStore, Page
from app.errors import InvalidRequestError, StorageFullError


NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
ODD = "a'b\"c\\d%e:f?\n\u00fc\u65e5\U0001f600"
DISK = Alert(AlertKind.DISK, "backups", "less than 1 GB is free", "Delete something.", "run_1")
NEVER = NOON - timedelta(days=999)
NEWEST = Page(sort="-opened_at")


def second(number: float) -> datetime:
    """An instant so many seconds after noon."""
    return NOON + timedelta(seconds=number)


@pytest.fixture
def store(control) -> AlertStore:
    """An empty store."""
    return AlertRecords(control)


async def raised(store: AlertStore, at: datetime = NOON, targets=("a", "b"), **changes) -> bool:
    """Report that the disk is full; people are left in peace for ever."""
    return await store.raise_alert(
        DISK, at, **{"told_before": NEVER, "targets": targets, **changes}
    )


async def claimed(store: AlertStore, target: str = "a", at: datetime = NOON) -> Delivery:
    """Take what is due to a target, for ten seconds."""
    found = await store.claim(target, at, at + timedelta(seconds=10))
    assert found is not None
    return found[0]


async def log(store: AlertStore) -> list[tuple[str, str, int, bool, str]]:
    """Target, tone, attempt, whether it was made, and the error of every attempt, oldest first."""
    records, _ = await store.list(AlertFilter(), Page(limit=500, sort="opened_at"))
    found = await store.deliveries([record.alert_id for record in records], 500)
    assert [delivery.number for delivery in found] == sorted(
        (delivery.number for delivery in found), reverse=True
    )
    return [
        (
            delivery.target,
            delivery.kind.value,
            delivery.attempt,
            delivery.at is not None,
            delivery.error,
        )
        for delivery in reversed(found)
    ]


async def test_a_condition_comes_back_as_it_was(store):
    """Every field, to the microsecond and with any character, while it lasts and when it is over."""
    odd = Alert(AlertKind.FAILURE, ODD, ODD, ODD, "run_2")
    assert await store.raise_alert(odd, second(1), told_before=NEVER, targets=())
    assert await raised(store)
    assert not await raised(store, second(2))
    assert await store.resolve(odd.key, second(3), ODD)

    (first, last), total = await store.list(AlertFilter(), Page(sort="opened_at"))

    assert total == 2
    assert first.alert_id != last.alert_id
    assert (first.kind, first.about, first.message) == (DISK.kind, DISK.about, DISK.message)
    assert (first.hint, first.run_id, first.count) == (DISK.hint, DISK.run_id, 2)
    assert (first.opened_at, first.last_rung_at, first.told_at) == (NOON, second(2), NOON)
    assert (first.closed_at, first.closing) == (None, "")
    assert (last.kind, last.about, last.message, last.hint) == (odd.kind, ODD, ODD, ODD)
    assert (last.opened_at, last.closed_at, last.closing) == (second(1), second(3), ODD)


async def test_a_condition_that_lasts_is_one_row(store):
    """It is told once, and its text is always the newest."""
    told = [await raised(store, second(number)) for number in range(5)]
    newer = Alert(DISK.kind, DISK.about, "nothing is free")
    await store.raise_alert(newer, second(9), told_before=NEVER, targets=("a",))

    (record,), total = await store.list(AlertFilter(), NEWEST)
    assert (told, total, record.count) == ([True, False, False, False, False], 1, 6)
    assert (record.message, record.hint, record.run_id) == ("nothing is free", "", "")
    assert await log(store) == [("a", "alarm", 1, False, ""), ("b", "alarm", 1, False, "")]


async def test_a_condition_that_lasts_is_told_again_after_a_while(store):
    """Only those who do not wait for a message anyway get another one."""
    await raised(store)
    await store.finish(await claimed(store), second(1), "", None)

    assert not await raised(store, second(10), told_before=second(-1))
    assert await raised(store, second(20), told_before=second(0))
    assert not await raised(store, second(30), told_before=second(0))

    (record,), _ = await store.list(AlertFilter(), NEWEST)
    assert record.told_at == second(20)
    assert await log(store) == [
        ("a", "alarm", 1, True, ""),
        ("b", "alarm", 1, False, ""),
        ("a", "alarm", 1, False, ""),
    ]


async def test_the_end_is_told_to_those_who_got_the_alarm(store):
    """What was not sent is withdrawn; a new condition of the same name is another one."""
    await raised(store, targets=("a", "b", "c"))
    await store.finish(await claimed(store, "a"), second(1), "", None)
    await store.finish(await claimed(store, "b"), second(1), "http-500", second(5))

    assert await store.resolve(DISK.key, second(2), "all is well")
    assert not await store.resolve(DISK.key, second(3), "again")
    assert not await store.resolve("disk:elsewhere", second(3), "never was")

    assert await log(store) == [
        ("a", "alarm", 1, True, ""),
        ("b", "alarm", 1, True, "http-500"),
        ("c", "alarm", 1, True, WITHDRAWN),
        ("b", "alarm", 2, True, WITHDRAWN),
        ("a", "recovery", 1, False, ""),
    ]
    assert await raised(store, second(4))
    assert [record.closed_at for record in (await store.list(AlertFilter(), NEWEST))[0]] == [
        None, second(2),
    ]  # fmt: skip


async def test_an_end_during_the_delivery_is_told_after_it(store):
    """Who gets an alarm that is over by now gets the recovery too; who refuses it gets neither."""
    await raised(store)
    of_a, of_b = await claimed(store, "a"), await claimed(store, "b")
    await store.resolve(DISK.key, second(1), "all is well")

    await store.finish(of_a, second(2), "", None)
    await store.finish(of_b, second(2), "timeout", second(9))

    assert await log(store) == [
        ("a", "alarm", 1, True, ""),
        ("b", "alarm", 1, True, "timeout"),
        ("a", "recovery", 1, False, ""),
    ]


async def test_a_message_is_claimed_by_one(control, control_address, store, tmp_path):
    """Of many at once, in two programs; each gets another one, and the claim runs out."""
    for number in range(4):
        alert = Alert(AlertKind.MISSED, f"schedule{number}", "nobody was there")
        await store.raise_alert(alert, second(number), told_before=NEVER, targets=("a",))
    database = ControlDatabase(control_address, tmp_path / "state")
    other = AlertRecords(database)

    found = await asyncio.gather(
        *(records.claim("a", second(9), second(19)) for records in (store, other) * 5)
    )

    taken = [claim for claim in found if claim is not None]
    assert len({delivery.number for delivery, _ in taken}) == len(taken) <= 4
    while (rest := await other.claim("a", second(9), second(19))) is not None:
        taken.append(rest)
    assert sorted(record.about for _, record in taken) == [
        f"schedule{number}" for number in range(4)
    ]
    assert await store.next_due("a") == second(19)
    assert await store.claim("a", second(18), second(30)) is None
    again = await store.claim("a", second(19), second(30))
    assert again is not None
    assert again[1].about == "schedule0"
    await database.close()


async def test_many_who_see_a_condition_at_once_open_one(control, control_address, store, tmp_path):
    """In two programs; it is told once and counted each time."""
    database = ControlDatabase(control_address, tmp_path / "state")
    other = AlertRecords(database)

    told = await asyncio.gather(*(raised(records, second(1)) for records in (store, other) * 5))

    (record,), total = await store.list(AlertFilter(), NEWEST)
    assert (told.count(True), total, record.count) == (1, 1, 10)
    assert len(await log(store)) == 2
    await database.close()


async def test_installations_have_conditions_of_their_own(control, store):
    """On one database: what is well with one says nothing of the other; what is of before they were told apart is both's."""
    first, second_one = (AlertRecords(control, partial(str, owner * 16)) for owner in "ab")
    assert await raised(store, targets=("a",))
    assert not await raised(first, targets=("a",))
    assert await first.resolve(DISK.key, second(1), "there is room")
    assert not await second_one.resolve(DISK.key, second(1), "there is room")

    assert await raised(first, second(2), targets=("a",))
    assert await raised(second_one, second(2), targets=("a",))
    own = AlertFilter(is_open=True, kinds=(AlertKind.DISK,), is_own=True)
    assert [(await each.list(own, NEWEST))[1] for each in (first, second_one)] == [1, 1]
    assert (await first.list(AlertFilter(is_open=True), NEWEST))[1] == 2
    assert await first.resolve(DISK.key, second(3), "there is room")
    assert [(await each.list(own, NEWEST))[1] for each in (first, second_one)] == [0, 1]

    def unknown() -> str:
        raise StorageFullError("runs: full")

    lost = AlertRecords(control, unknown)
    assert await raised(lost, second(4), targets=("a",))
    assert (await first.list(own, NEWEST))[1] == 1
    assert await lost.resolve(DISK.key, second(5), "there is room")
    assert (await second_one.list(own, NEWEST))[1] == 1


async def test_a_refused_message_is_tried_again_later(store):
    """Not before its time; each attempt is in the log, and after the last one nothing is due."""
    await raised(store, targets=("a",))
    await store.finish(await claimed(store), second(1), "http-500", second(11))
    assert await store.next_due("a") == second(11)
    assert await store.claim("a", second(10), second(99)) is None
    second_one = await claimed(store, at=second(11))
    assert (second_one.attempt, second_one.due_at) == (2, second(11))

    await store.finish(second_one, second(12), "x" * 99, None)
    await store.finish(second_one, second(13), "", None)

    assert await store.next_due("a") is None
    assert await log(store) == [
        ("a", "alarm", 1, True, "http-500"),
        ("a", "alarm", 2, True, "x" * 61 + "..."),
    ]


async def test_a_recovery_is_tried_again_too(store):
    """Although the condition is over."""
    await raised(store, targets=("a",))
    await store.finish(await claimed(store), second(1), "", None)
    await store.resolve(DISK.key, second(2), "all is well")

    recovery = await claimed(store, at=second(2))
    await store.finish(recovery, second(3), "timeout", second(9))

    assert recovery.kind is NoticeKind.RECOVERY
    assert await store.next_due("a") == second(9)


async def test_a_test_is_over_at_once(store):
    """It is in the lists with how it went, and leaves nothing to send."""
    alert = Alert(AlertKind.TEST, "test", "this is a test")
    await store.record(alert, NOON, {"a": "", "b": "refused"})
    await store.record(alert, second(1), {})

    records, total = await store.list(AlertFilter(is_open=False), NEWEST)
    assert (total, records[1].closed_at) == (2, NOON)
    assert await log(store) == [("a", "test", 1, True, ""), ("b", "test", 1, True, "refused")]
    assert await store.next_due("a") is None


async def test_alerts_are_listed_by_every_condition_and_order(store):
    """Each condition, each order, pages, and the count of all; of each only the newest attempts."""
    kinds = [AlertKind.DISK, AlertKind.DRILL, AlertKind.DISK, AlertKind.CLOCK]
    for number, kind in enumerate(kinds):
        alert = Alert(kind, str(number), "so it is")
        await store.raise_alert(alert, second(number), told_before=NEVER, targets=("a", "b", "c"))
    await store.raise_alert(
        Alert(AlertKind.DISK, "0", ""), second(9), told_before=NEVER, targets=()
    )
    await store.resolve("drill:1", second(5), "")

    async def found(wanted: AlertFilter, sort: str = "opened_at", **page) -> tuple[str, int]:
        records, total = await store.list(wanted, Page(sort=sort, **page))
        return "".join(record.about for record in records), total

    assert await found(AlertFilter()) == ("0123", 4)
    assert await found(AlertFilter(), "-opened_at", limit=2, offset=1) == ("21", 4)
    assert await found(AlertFilter(), "-last_rung_at") == ("0321", 4)
    assert await found(AlertFilter(is_open=True)) == ("023", 3)
    assert await found(AlertFilter(is_open=False)) == ("1", 1)
    assert await found(AlertFilter(is_open=True, kinds=(AlertKind.DISK,))) == ("02", 2)
    with pytest.raises(InvalidRequestError, match="sort"):
        await found(AlertFilter(), "created_at")
    records, _ = await store.list(AlertFilter(), Page(sort="opened_at", limit=2))
    newest = await store.deliveries([record.alert_id for record in records], 2)
    assert [(delivery.alert_id, delivery.target) for delivery in newest] == [
        (records[1].alert_id, "c"),
        (records[1].alert_id, "b"),
        (records[0].alert_id, "c"),
        (records[0].alert_id, "b"),
    ]
    assert await store.deliveries([], 2) == []


async def test_what_is_long_over_is_deleted(store):
    """With its deliveries; of what lasts only the old attempts go, and what nobody sends is given up."""
    await raised(store, targets=("a",))
    await store.finish(await claimed(store), second(1), "", None)
    await store.resolve(DISK.key, second(2), "all is well")
    lasting = Alert(AlertKind.CLOCK, "clock", "it has jumped")
    await store.raise_alert(lasting, second(3), told_before=NEVER, targets=("b",))
    await store.finish(await claimed(store, "b", second(3)), second(4), "refused", second(50))
    await store.record(Alert(AlertKind.TEST, "test", ""), second(60), {"a": ""})

    await store.expire(second(40), before=second(1), stale=second(1))
    assert len(await log(store)) == 5
    await store.expire(second(70), before=second(10), stale=second(55))

    assert await log(store) == [
        ("b", "alarm", 2, True, GIVEN_UP),
        ("a", "test", 1, True, ""),
    ]
    await store.expire(second(200), before=second(150), stale=second(150))
    (left,), _ = await store.list(AlertFilter(), NEWEST)
    assert (left.about, await log(store)) == ("clock", [])


async def test_nothing_is_too_odd_to_be_told(store):
    """Texts of any length and half characters are cut or repaired."""
    odd = Alert(AlertKind.DISK, "\u00fc" * 500, "m" * 9999, "\ud83d", "r" * 99)
    for number in range(2):
        await store.raise_alert(odd, second(number), told_before=NEVER, targets=())
    await store.resolve(odd.key, second(2), "c" * 9999)

    (record,), total = await store.list(AlertFilter(), NEWEST)

    assert (total, record.count, record.closed_at) == (1, 2, second(2))
    assert (record.about, record.hint) == ("\u00fc" * 126 + "...", "?")
    assert (len(record.message), len(record.closing), len(record.run_id)) == (2048, 2048, 64)


async def test_a_row_of_another_version_costs_only_itself(control, store, caplog):
    """Others are listed, and sent as ever; its own messages are sent by whoever knows it."""
    await raised(store)
    async with control.writing() as connection:
        await connection.execute(text("UPDATE alerts SET kind = 'other'"))
    assert await store.next_due("a") is None
    ours = Alert(AlertKind.CLOCK, "clock", "it has jumped")
    await store.raise_alert(ours, second(1), told_before=NEVER, targets=("a",))

    (listed,), total = await store.list(AlertFilter(), NEWEST)

    assert (listed.kind, total) == (AlertKind.CLOCK, 2)
    assert "unreadable" in str([vars(record) for record in caplog.records])
    assert await store.next_due("a") == second(1)
    assert (await claimed(store, at=second(1))).alert_id == listed.alert_id


async def test_what_a_clock_that_was_set_back_has_put_off_is_sent(store):
    """A message that was planned or claimed a year ahead, and the next one about what lasts."""
    year = 365 * 86_400.0
    await raised(store, second(year))
    await claimed(store, "a", second(year))
    await store.finish(
        await claimed(store, "b", second(year)), second(year), "refused", second(year)
    )
    assert await store.claim("a", NOON, second(10)) is None
    assert not await raised(store, told_before=second(-1))

    await store.expire(NOON, before=NEVER, stale=NEVER)

    assert [await store.next_due(target) for target in ("a", "b")] == [NOON, NOON]
    assert (await claimed(store, "a")).attempt == 1
    assert (await claimed(store, "b")).attempt == 2
    assert await raised(store, second(1), told_before=NOON)


async def test_what_is_only_planned_waits(store):
    """Pauses and claims of today stay as they are."""
    await raised(store)
    await store.finish(await claimed(store), second(1), "refused", second(7200))
    await claimed(store, "b")

    await store.expire(NOON, before=NEVER, stale=NEVER)

    assert await store.next_due("a") == second(7200)
    assert await store.next_due("b") == second(10)
