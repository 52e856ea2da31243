"""Writes to the control database that are cancelled are in nobody's way."""

import asyncio

from sqlalchemy import text

from app.control.database import ControlDatabase


async def test_a_cancelled_write_keeps_no_lock(tmp_path):
    """Wherever it is cancelled, it ends as cancelled and is whole, and the next need not wait."""
    database = ControlDatabase(f"sqlite+aiosqlite:///{tmp_path / 'control.db'}", tmp_path)

    async def add_one(connection):
        await connection.execute(text("INSERT INTO t VALUES (1)"))
        return (await connection.execute(text("SELECT COUNT(*) FROM t"))).scalar()

    tasks = []
    try:
        await database.execute(text("CREATE TABLE t (n INT)"))
        for steps in range(1, 61):
            task = asyncio.create_task(database.write(add_one))
            tasks.append(task)  # with the traceback that it was cancelled in
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            async with asyncio.timeout(60):
                assert await database.write(add_one) == 2 * steps
    finally:
        await database.close()

    assert any(task.cancelled() for task in tasks)
