"""
Facts that stand on every line: which run works, for which schedule, who asks, by which request.

They belong to a task: what it begins inherits them, tasks and threads alike, and others never see
them. structlog has the like, but a command must not take a quarter of a second to import it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final


_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_facts: ContextVar[Mapping[str, str]] = ContextVar("log_facts", default=_NONE)


def facts() -> Mapping[str, str]:
    """Return what stands on the lines of this task."""
    return _facts.get()


def bind(**more: str) -> None:
    """Put facts on the lines of this task from now on; an empty one takes away what was there."""
    _facts.set({name: value for name, value in {**_facts.get(), **more}.items() if value})


@contextmanager
def bound(**more: str) -> Iterator[None]:
    """Put facts on the lines of this task for the length of a block."""
    before = _facts.set(_facts.get())
    bind(**more)
    try:
        yield
    finally:
        _facts.reset(before)


@contextmanager
def afresh(**first: str) -> Iterator[None]:
    """Begin a block with these facts and no others."""
    before = _facts.set(_NONE)
    bind(**first)
    try:
        yield
    finally:
        _facts.reset(before)
