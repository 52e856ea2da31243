"""
Where the program begins: nothing that takes time is imported before signals are cared for.

An interpreter that is interrupted while it imports prints a traceback of whatever it was at.
"""

import gc
from typing import NoReturn

from app.cli.signals import CANCELLED, end_on_signals


def main() -> NoReturn:
    """Run the command that the arguments name; a signal ends it at once, until it has handlers of its own."""
    end_on_signals(CANCELLED)
    # What a start makes lives to the end: to look through it for garbage is a seventh of its time.
    gc.disable()
    from app.cli.program import main  # noqa: PLC0415 - it takes a while

    main()
