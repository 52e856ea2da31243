"""
What signals do to the program, from its first moment to its last; imports nothing that takes time.

1. Before a command works, and while it prints: they end the program at once, with an exit code that is
true. 2. While it works, they cancel it (`execution`). 3. While a person types, they interrupt that.

Signals that are ignored stay so: `nohup` ignores SIGHUP for us, and shells ignore SIGINT for
background jobs.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final


SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CANCELLED: Final = 130  # 128 + SIGINT, as shells report it


def call_on_signals(stop: Callable[[], None]) -> None:
    """Call a function for each signal that asks to stop, from now on; it runs between two steps."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: stop())


def end_on_signals(code: int) -> None:
    """Let a signal end the program at once, without a word, with this code."""
    call_on_signals(lambda: os._exit(code))


def ignore_signals() -> None:
    """Let nothing change any more how the program ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block, which then leaves the terminal as it was."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
