"""The store of the audit: one suite, run on SQLite and on MariaDB."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from app.domain.access.audit import GENESIS, AuditCut, CutKind
from app.domain.stores import AuditFilter, Page
from app.errors import InvalidRequestError
from tests.fixtures.records import NOON, SEALS, assert_chain, event, second


ODD = "a'b\"c\\d%e:f?\x00\n\u00fc\u65e5\U0001f600"


async def test_the_chain_holds_after_a_round_trip(audit):
    """What is read is what was sealed, with any character and in any zone."""
    first = await audit.append(event(), SEALS)
    odd = event(
        target=ODD,
        actor=ODD,
        changes=ODD * 2000,
        count=7,
        at=NOON.astimezone(timezone(timedelta(hours=-3))),
    )
    second_one = await audit.append(odd, SEALS)

    assert first == SEALS.link(1, event(), GENESIS)
    assert second_one == SEALS.link(2, odd, first.digest)
    assert await audit.read(0, 10) == [first, second_one]
    assert await audit.read(1, 10) == [second_one]
    assert await audit.read(0, 1) == [first]
    await assert_chain(audit, 2)


async def test_nothing_is_too_odd_to_be_audited(audit):
    """Texts of any length and half characters are cut or repaired, then sealed."""
    long = event(
        actor="\u00fc" * 500, role="r" * 99, address="a" * 99, action="a" * 99, target="/" * 99_999
    )
    entry = await audit.append(replace(long, result="e" * 99, run_id="r" * 99), SEALS)
    await audit.append(event(target="\ud83d"), SEALS)

    assert entry.event.actor == "\u00fc" * 126 + "..."
    assert (await audit.read(1, 1))[0].event.target == "?"
    await assert_chain(audit, 2)


async def test_entries_are_listed_by_every_condition_and_order(audit):
    """Each condition, both orders, and the count of all."""
    for number in range(5):
        actor, action = ("alice", "login") if number % 2 else ("bob", "create_backup")
        result = "ok" if number < 3 else "not-found"
        await audit.append(
            event(at=second(number), actor=actor, action=action, result=result), SEALS
        )

    async def found(wanted: AuditFilter, sort: str = "number", **page) -> tuple[list[int], int]:
        rows, count = await audit.list(wanted, Page(sort=sort, **page))
        return [row.number for row in rows], count

    assert await found(AuditFilter(), "-number", limit=2) == ([5, 4], 5)
    assert await found(AuditFilter(), offset=3) == ([4, 5], 5)
    assert await found(AuditFilter(actor="alice")) == ([2, 4], 2)
    assert await found(AuditFilter(action="create_backup", result="not-found")) == ([5], 1)
    assert await found(AuditFilter(since=second(1), until=second(3))) == ([2, 3], 2)
    with pytest.raises(InvalidRequestError, match="number"):
        await audit.list(AuditFilter(), Page())


async def test_a_checkpoint_takes_the_place_of_those_before_it(audit):
    """And comes back as it was sealed."""
    assert await audit.find_cut() is None
    for number, kind in ((7, CutKind.ACCEPTED), (5, CutKind.REMOVED)):
        cut = SEALS.cut(AuditCut(number, "a" * 64, second(number), kind))
        await audit.cut(cut)
        assert await audit.find_cut() == cut
        assert SEALS.is_cut(cut)


async def test_entries_are_removed_up_to_a_number(audit):
    """The next one follows the last that there was, also when all are gone."""
    entries = [await audit.append(event(at=second(number)), SEALS) for number in range(5)]
    assert await audit.newest_before(second(3)) == entries[2]
    assert await audit.newest_before(second(0)) is None

    await audit.cut(SEALS.cut(AuditCut(5, entries[-1].digest, NOON, CutKind.REMOVED)))
    await audit.remove(3)
    assert await audit.read(0, 10) == entries[3:]
    await audit.remove(5)
    await audit.remove(5)
    assert await audit.read(0, 10) == []
    assert await audit.append(event(), SEALS) == SEALS.link(6, event(), entries[-1].digest)
