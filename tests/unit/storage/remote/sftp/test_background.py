"""A loop of its own for threads that wait."""

import asyncio
import gc
import threading

import pytest

from app.storage.remote.sftp.background import BackgroundLoop


async def answer(value):
    await asyncio.sleep(0)
    return value, threading.current_thread().name


def test_work_is_done_in_one_thread_that_ends():
    """Whoever asks; after the end another begins."""
    loop = BackgroundLoop("of these tests")
    found = {loop.run(answer(number), 5) for number in range(3)}
    loop.close()
    loop.close()

    assert found == {(number, "of these tests") for number in range(3)}
    assert "of these tests" not in {thread.name for thread in threading.enumerate()}
    assert loop.run(answer(3), 5) == (3, "of these tests")
    loop.close()


def test_what_takes_too_long_is_cancelled():
    """And is over then."""
    loop = BackgroundLoop("slow")
    ended = threading.Event()

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        loop.run(wait(), 0.05)
    assert ended.wait(5)
    loop.close()


def test_what_fails_where_nobody_waits_is_no_traceback(capfd):
    """Parts of a request that has failed fail as well; whoever asked was told once."""
    loop = BackgroundLoop("parted")

    async def fail():
        raise ZeroDivisionError

    async def begin():
        task = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task
        gc.collect()

    loop.run(begin(), 5)
    loop.close()

    assert capfd.readouterr().err == ""


def test_closing_ends_what_is_under_way():
    """Nothing is left that nobody waits for."""
    loop = BackgroundLoop("ended")
    begun, ended = threading.Event(), threading.Event()

    async def wait():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    future = loop.begin(wait(), 60)
    assert begun.wait(5)
    loop.close()

    assert ended.is_set()
    assert future.cancelled() or future.done()
