"""Identities that a program prints, such as the client of a vault: bounded in time and size, never shown."""

import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from typing import Final

from app.age.identity_file import MAX_IDENTITY_FILE_BYTES
from app.errors import InvalidRequestError


VARIABLE: Final = "BACKSTAY_IDENTITY_COMMAND"
# A vault on another continent answers in seconds; a person who types is not waited for.
SECONDS: Final = 30.0
_PIECE_BYTES: Final = 16 << 10
_HINT: Final = "Run it by hand: what it prints on stdout must be a file of identities."


def run_identity_command(command: str, seconds: float = SECONDS) -> bytes:
    """
    Run the command, without a shell.

    Args:
        command: Its words are separated as a shell does it; nothing else in it has a meaning.
        seconds: How long it may take, to its last byte.

    Returns:
        What it printed on stdout; what it said on stderr is nobody's.

    Raises:
        InvalidRequestError: It cannot be run, fails, takes too long or prints too much. Neither its
            words but the first nor anything that it printed is in the message.
    """
    words = program_of(command)
    try:
        process = subprocess.Popen(  # noqa: S603 - it is what the operator has set, without a shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        reason = (
            exc.strerror.lower() if isinstance(exc, OSError) and exc.strerror else "a NUL in it"
        )
        raise InvalidRequestError(f"{VARIABLE}: it cannot be run: {reason}", hint=_HINT) from exc
    with process:
        try:
            printed = _read(process, time.monotonic() + seconds)
        except BaseException:
            # Before it is waited for, so that the group is still its own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise InvalidRequestError(f"{VARIABLE}: it ended with {process.returncode}", hint=_HINT)
    return printed


def program_of(command: str) -> list[str]:
    """Take the words of a command apart; raises InvalidRequestError."""
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise _refusal("a quotation in it has no end") from exc
    if not words:
        raise _refusal("it names no program")
    return words


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Read what it prints, and wait for its end."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    printed = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(process.stdout.fileno(), _PIECE_BYTES)
            printed += piece
            if len(printed) > MAX_IDENTITY_FILE_BYTES:
                raise _refusal(f"it prints more than {MAX_IDENTITY_FILE_BYTES} bytes")
            if not piece:
                break
        else:
            raise _refusal("it took too long")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as exc:
        raise _refusal("it took too long") from exc
    return bytes(printed)


def _refusal(reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"{VARIABLE}: {reason}", hint=_HINT)
