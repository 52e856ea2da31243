"""
Members read before they are asked for.

A connection that loads a table waits for the disk and the decompressor between two statements, and the
server waits with it. So when a member is handed out, the one after it is begun.
Memory: one member for each connection.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Self

from app.domain.backups.manifest import MemberEntry
from app.domain.ports import MemberSource


class ReadAhead:
    """A `MemberSource` in front of another one, and an async context manager."""

    def __init__(self, source: MemberSource) -> None:
        self._source = source
        self._following: dict[tuple[int, int], MemberEntry] = {}
        self._asked: set[tuple[int, int]] = set()
        self._begun: dict[tuple[int, int], asyncio.Task[list[bytes]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End what was begun and never asked for; its errors are nobody's."""
        tasks = list(self._begun.values())
        self._begun.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def expect(self, members: Sequence[MemberEntry]) -> None:
        """Say in which order members will be read; large ones, which are streamed, break the line."""
        self._following |= {
            first.place: second
            for first, second in pairwise(members)
            if not any(entry.sliced for entry in second.statements)
        }

    async def read(self, member: MemberEntry) -> list[bytes]:
        """See `MemberSource.read`."""
        self._asked.add(member.place)
        begun = self._begun.pop(member.place, None)
        texts = await (begun or self._source.read(member))
        following = self._following.pop(member.place, None)
        if following is not None and following.place not in self._asked:
            self._begun[following.place] = asyncio.create_task(self._source.read(following))
        return texts

    def iter_statements(self, member: MemberEntry) -> AsyncIterator[bytes]:
        """See `MemberSource.iter_statements`."""
        return self._source.iter_statements(member)
