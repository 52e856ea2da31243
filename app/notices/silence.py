"""
The libraries that carry messages, kept from logging.

They log addresses, at some levels with their passwords and tokens; what operators need to know of a
delivery is in our own log, without them.
"""

import logging
from typing import Final


_LIBRARIES: Final = ("apprise", "urllib3", "httpx", "httpcore")


def silence() -> None:
    """Let nothing that these libraries log reach any handler, whoever installs one."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        # Not disabled: apprise reads its own records to say why a message was not taken.
        logger.propagate = False
        if not logger.handlers:  # without any, warnings would go to stderr
            logger.addHandler(logging.NullHandler())
