"""The order in which connections load tables."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

from app.engine.board import Board, Track, Unit
from app.engine.connection import Session


def board(tables: int, log: list[str], looked: Callable[[], None]) -> Board:
    """Make a board of tables with two steps of one unit and an empty one between."""

    async def unit(name: str, _session: Session) -> None:
        await asyncio.sleep(0)
        log.append(name)

    class Counted(Track):
        """A track that tells when it is looked at."""

        def take(self) -> Unit | None:
            """Count, then take."""
            looked()
            return super().take()

    return Board([
        Counted(
            [[partial(unit, f"load {one}")], [], [partial(unit, f"prove {one}")]],
            partial(log.append, f"finished {one}"),
        )
        for one in range(tables)
    ])


async def work(board: Board, connections: int) -> None:
    """Let connections work on a board until it is empty."""
    session = cast("Session", None)
    await asyncio.gather(*(board.work(session) for _ in range(connections)))


async def test_every_unit_runs_once_and_in_the_order_of_its_table():
    """Each table is loaded, proven and finished, once and in this order, on any connection."""
    log: list[str] = []
    tables = 20
    await work(board(tables, log, lambda: None), 3)
    assert len(log) == 3 * tables
    for one in range(tables):
        steps = [log.index(f"{step} {one}") for step in ("load", "prove", "finished")]
        assert steps == sorted(steps)


async def test_tables_that_are_over_are_not_looked_at_again():
    """Looking for work costs the same however many tables there are."""
    looks: list[None] = []
    tables = 1000
    await work(board(tables, [], lambda: looks.append(None)), 2)
    assert len(looks) < 20 * tables
