"""Bugs in what nobody waits for: told, and the next turn comes all the same."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import AppError


@contextmanager
def outlived(log: logging.Logger, what: str) -> Iterator[None]:
    """
    Outlive a bug: for the turns of loops that go on for as long as the service.

    Args:
        log: Of whoever makes the turns.
        what: Which ones, for people.

    Raises:
        AppError: As the block raises it; so is whatever is no Exception, such as a cancellation.
    """
    try:
        yield
    except AppError:
        raise
    except Exception:  # a loop that is dead does more harm than one that errs
        log.exception("%s met a bug; it goes on", what)


def heard(log: logging.Logger, what: str) -> "Callable[[asyncio.Task[object]], None]":
    """
    Hear how a task ends that everybody may have stopped to wait for.

    Args:
        log: Of whoever has begun it.
        what: What it does, for people.

    Returns:
        Its done callback: a bug is told, and an error of ours belongs to those who wait.
    """

    def hear(task: "asyncio.Task[object]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, AppError):
            log.error("%s met a bug", what, exc_info=error)

    return hear
