"""Members that are read before they are asked for."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.domain.backups.manifest import MemberEntry, MemberKind, StatementEntry, StatementKind
from app.engine.load.read_ahead import ReadAhead
from app.errors import ChecksumMismatchError


INSERT = StatementEntry(kind=StatementKind.INSERT, raw_size=1, sha256="", rows=1)
FIRST = MemberEntry(MemberKind.DATA, 0, 1, 1, "", "shop", "users", (INSERT,))
MEMBERS = [replace(FIRST, offset=number) for number in range(4)]


class Shelf:
    """A source that notes what was begun and ended; one member may be damaged."""

    def __init__(self, damaged: int | None = None) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self._damaged = damaged

    async def read(self, member: MemberEntry) -> list[bytes]:
        """Read a member, in more than one step."""
        self.begun.append(member.offset)
        try:
            await asyncio.sleep(0)
            if member.offset == self._damaged:
                raise ChecksumMismatchError("damaged")
            return [b"%d" % member.offset]
        finally:
            self.ended.append(member.offset)

    async def iter_statements(self, member: MemberEntry) -> AsyncIterator[bytes]:
        """Read a member in pieces."""
        yield b"%d" % member.offset


async def test_the_next_member_is_begun_when_one_is_handed_out():
    """One ahead and no more, and each member is read once."""
    shelf = Shelf()
    async with ReadAhead(shelf) as source:
        source.expect(MEMBERS)
        assert await source.read(MEMBERS[0]) == [b"0"]
        await asyncio.sleep(0.01)
        assert shelf.begun == [0, 1]
        texts = [await source.read(member) for member in MEMBERS[1:]]

    assert texts == [[b"1"], [b"2"], [b"3"]]
    assert shelf.begun == [0, 1, 2, 3]


async def test_two_readers_of_one_table_read_each_member_once():
    """Nobody begins what somebody else is reading."""
    shelf = Shelf()
    async with ReadAhead(shelf) as source:
        source.expect(MEMBERS)
        await asyncio.gather(source.read(MEMBERS[0]), source.read(MEMBERS[1]))
        await asyncio.gather(source.read(MEMBERS[2]), source.read(MEMBERS[3]))

    assert sorted(shelf.begun) == [0, 1, 2, 3]


async def test_members_of_large_rows_are_never_held():
    """They are streamed by whoever loads them."""
    sliced = replace(MEMBERS[1], statements=(replace(INSERT, sliced=True),))
    shelf = Shelf()
    async with ReadAhead(shelf) as source:
        source.expect([MEMBERS[0], sliced, MEMBERS[2]])
        await source.read(MEMBERS[0])
        await asyncio.sleep(0.01)
        assert [text async for text in source.iter_statements(sliced)] == [b"1"]

    assert shelf.begun == [0]


async def test_damage_is_told_to_who_asks_for_the_member():
    """Not before, and not to anybody else."""
    async with ReadAhead(Shelf(damaged=1)) as source:
        source.expect(MEMBERS)
        await source.read(MEMBERS[0])
        await asyncio.sleep(0.01)
        with pytest.raises(ChecksumMismatchError):
            await source.read(MEMBERS[1])


async def test_nothing_is_left_behind():
    """What was begun and not asked for has ended with the block."""
    shelf = Shelf(damaged=1)
    async with ReadAhead(shelf) as source:
        source.expect(MEMBERS)
        await source.read(MEMBERS[0])
        await asyncio.sleep(0)

    assert shelf.begun == shelf.ended == [0, 1]
    assert len(asyncio.all_tasks()) == 1
