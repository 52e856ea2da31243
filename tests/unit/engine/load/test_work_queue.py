"""Who works on which table while a backup is loaded."""

import asyncio
import time
from functools import partial
from typing import Any, cast

from app.concurrency import together
from app.engine.load.work_queue import TableSteps, Unit, WorkQueue
from app.engine.server.clock import ServerClock
from app.engine.server.connection import Session


class Diary:
    """Which connection did what, in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.together: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def work(self, name: str, session: object) -> None:
        """Be one unit: long enough for the others to look for work meanwhile."""
        self.together[name] = self.together.get(name, 0) + 1
        self.most[name] = max(self.most.get(name, 0), self.together[name])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.together[name] -= 1
        self.lines.append((str(session), name))

    def table(
        self, table: str, units: int, *, single_file: bool = False, **options: Any
    ) -> TableSteps:
        """Make a table of rows and a proof."""
        load = [partial(self.work, f"{table} rows") for _ in range(units)]
        prove = [partial(self.work, f"{table} proof") for _ in range(units)]
        finished = partial(self.lines.append, ("", f"{table} finished"))
        return TableSteps([load, [], prove], finished, single_file, **options)


async def run(tables, connections=2):
    """Let connections do all of it."""
    queue = WorkQueue(list(tables), connections)
    await together(*(queue.work(cast("Session", str(number))) for number in range(connections)))


async def test_a_step_begins_when_the_one_before_is_done():
    """No proof before the last row, and every unit once."""
    diary = Diary()

    await run([diary.table("a", 5)], connections=3)

    names = [name for _, name in diary.lines]
    assert names == ["a rows"] * 5 + ["a proof"] * 5 + ["a finished"]
    assert diary.most == {"a rows": 3, "a proof": 3}


async def test_connections_share_a_table_that_gains_from_it():
    """The first table is loaded by all before the second one is begun."""
    diary = Diary()

    await run([diary.table("a", 4), diary.table("b", 4)])

    assert [name for _, name in diary.lines][:4] == ["a rows"] * 4


async def test_a_table_in_single_file_is_left_to_one_while_there_is_other_work():
    """The second connection takes the next table; in the end it helps all the same."""
    diary = Diary()

    await run([diary.table("a", 6, single_file=True), diary.table("b", 2)])

    first = [name for _, name in diary.lines][:4]
    assert sorted(first) == ["a rows", "a rows", "b rows", "b rows"]
    assert diary.most["b rows"] == 1
    assert diary.most["a rows"] == 2, "nothing else was left to do"
    assert diary.most["a proof"] == 2, "only rows go in single file"


async def test_one_connection_less_works_while_all_will_wait_for_one_table():
    """The table in single file has more left than the others: nothing but one connection is beside it."""
    diary = Diary()
    large = diary.table("a", 12, single_file=True, weight=100)

    await run(
        [large, diary.table("b", 4, weight=10), diary.table("c", 4, weight=10)], connections=3
    )

    assert diary.most["b rows"] == diary.most["b proof"] == 1
    assert diary.most["a proof"] == 3, "the last step is everybody's"


async def test_all_connections_work_beside_a_table_that_nobody_will_wait_for():
    """The others have more to do, so each connection counts."""
    diary = Diary()
    first = diary.table("a", 4, single_file=True, weight=20)

    await run([first, diary.table("b", 8, weight=100)], connections=3)

    assert diary.most["b rows"] == 2
    assert diary.most["a rows"] == 1


async def test_tables_that_are_over_are_not_looked_at_again():
    """Looking for work costs the same however many tables there are."""
    looks: list[None] = []

    class Counted(TableSteps):
        """A table that tells when it is looked at."""

        def take_unit(self) -> Unit | None:
            """Count, then take."""
            looks.append(None)
            return super().take_unit()

    diary, tables = Diary(), 1000
    all_tables = [diary.table(str(number), 1) for number in range(tables)]
    await run([Counted(table.steps, table.finished) for table in all_tables])

    assert len(looks) < 20 * tables


def clock(*, left: float) -> ServerClock:
    """Make a server's clock whose second is over in some seconds."""
    now = time.monotonic()
    return ServerClock(1000 - left, now, now)


async def test_a_proof_begins_in_a_later_second_than_the_last_row_when_there_is_other_work():
    """A table rests after its rows while others are loaded."""
    diary = Diary()
    tables = [diary.table("a", 1, clock=clock(left=60)), diary.table("b", 3)]

    await run(tables, connections=1)

    names = [name for _, name in diary.lines if name]
    assert names[:2] == ["a rows", "b rows"]
    assert names.index("a proof") > names.index("b finished")


async def test_a_small_table_does_not_hold_up_the_end():
    """Nobody waits for the second to be over when nothing else is left to do."""
    diary = Diary()
    began = time.monotonic()

    await run([diary.table("a", 1, clock=clock(left=60))])

    assert [name for _, name in diary.lines] == ["a rows", "a proof", "a finished"]
    assert time.monotonic() - began < 60


async def test_a_large_table_rests_in_any_case():
    """To prove it twice takes longer than to wait."""
    diary = Diary()
    began = time.monotonic()

    await run([diary.table("a", 2, clock=clock(left=0.3), is_large=True)])

    assert diary.lines[-1][1] == "a finished"
    assert time.monotonic() - began >= 0.3


async def test_indexes_are_built_while_their_table_rests():
    """They change no row, so only the proof waits for the next second."""
    diary = Diary()
    rows, index, proof = (partial(diary.work, f"a {what}") for what in ("rows", "index", "proof"))
    table = TableSteps(
        [[rows], [], [index, proof]], lambda: None, clock=clock(left=60), unrested=True
    )

    await run([table, diary.table("b", 3)], connections=1)

    names = [name for _, name in diary.lines if name]
    assert names[:3] == ["a rows", "a index", "b rows"]
    assert names.index("a proof") > names.index("b finished")


async def test_a_table_without_a_proof_does_not_rest():
    """There is nothing to wait for."""
    finished: list[str] = []
    diary = Diary()
    rows = [partial(diary.work, "a rows")]
    steps = TableSteps([rows, [], []], partial(finished.append, "a"), clock=clock(left=60))

    await run([steps])

    assert finished == ["a"]
