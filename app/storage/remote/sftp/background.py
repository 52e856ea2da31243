"""An event loop of its own in one thread, for a library that has no other way: asyncssh."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Final, TypeVar


T = TypeVar("T")
_log: Final = logging.getLogger(__name__)


class BackgroundLoop:
    """
    Runs coroutines for threads that wait for them.

    The thread begins with the first of them and ends with `close`, or with the process.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def begin(self, work: Coroutine[object, object, T], seconds: float) -> "Future[T]":
        """Begin a coroutine; it fails with TimeoutError after that long."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._running())

    def run(self, work: Coroutine[object, object, T], seconds: float) -> T:
        """
        Run a coroutine to its end.

        Returns:
            What it returned.

        Raises:
            TimeoutError: It took longer; it was cancelled.
        """
        future = self.begin(work, seconds)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread, and what still runs in it; again is harmless."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_exception_handler(_note)
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Note what fails behind a request that has failed itself, and has told so: no traceback on stderr."""
    kind = type(context.get("exception")).__name__
    _log.debug("A part of a failed request failed as well", extra={"facts": {"error": kind}})


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    finally:
        loop.close()
