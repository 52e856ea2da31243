"""Bugs in what nobody waits for: told, and the next turn comes all the same."""

import logging
from collections.abc import Iterator
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
