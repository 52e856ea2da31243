"""
Scratch servers: private, alone, holding copies of a user's data for as long as a recovery takes.

Each lives in a directory of its own below one root, with a lock that is held while its owner lives.
Nothing of it outlives us:

1. On any end of the block the server is killed and its directory removed.
2. When we die, SIGKILL included, the watchdog of the server ends it, and the undertaker removes the
   directory; both are told by the kernel, which closes their input.
3. What even they missed, such as by a power cut, `sweep` removes: the next recovery and every start of
   the service call it.

Not guaranteed: that bytes are overwritten on the disk. Durability, on purpose: what is killed is thrown away.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.concurrency import run_in_thread, shielded
from app.errors import SandboxError, ScratchUnavailableError
from app.sandbox.mysql import PrivateMysql
from app.sandbox.server import PrivateServer


_SERVER: Final = "server"
_OWN: Final = 0o700
# Nothing of it survives a crash, so nothing waits for a disk.
_NOT_DURABLE: Final = (
    "--skip-log-bin",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
)
_KINDS: Final[dict[str, type[PrivateServer]]] = {"mariadb": PrivateServer, "mysql": PrivateMysql}
# Runs until our end of its input closes, however we die, then removes directory $1. A server that is
# still being made, or that its watchdog is about to end, may write there meanwhile: hence again and again.
_UNDERTAKER: Final = """
while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rm -rf "$1" 2>/dev/null; sleep 1; [ -e "$1" ] || exit 0
done
"""


@dataclass(frozen=True, slots=True)
class ScratchOptions:
    """
    Which server is wanted.

    Attributes:
        vendor: `mariadb` or `mysql`.
        options: Of the server program, beyond those of every scratch server.
        zone: IANA name of the zone that it takes for the machine's own; empty = UTC.
        programs: Directory of its programs; None = where this machine has them.
        template: Directory of a cleanly stopped private server of the kind, to be copied instead of
            making another one; None = there is none.
    """

    vendor: str
    options: Sequence[str]
    zone: str = ""
    programs: Path | None = None
    template: Path | None = None


@asynccontextmanager
async def open_scratch(root: Path, wanted: ScratchOptions) -> AsyncIterator[PrivateServer]:
    """
    Run a scratch server for the length of a block.

    Args:
        root: Directory of all scratch servers, made if absent.
        wanted: Which server.

    Yields:
        The server, answering on its socket to root without a password; nobody else can open the
        directory of that.

    Raises:
        ScratchUnavailableError: There is no such program here, or it does not start.
    """
    with _opened(root) as directory:
        server = _KINDS[wanted.vendor](
            directory / _SERVER,
            options=(*_NOT_DURABLE, *wanted.options),
            programs=wanted.programs,
            environment={"TZ": wanted.zone or "UTC"},
            alone=True,
        )
        try:
            await run_in_thread(lambda: _start(server, wanted.template))
            yield server
        finally:
            await shielded(asyncio.to_thread(server.kill))


def sweep(root: Path) -> int:
    """
    Remove what recoveries left behind whose process is gone; blocks.

    Returns:
        How many directories were removed.
    """
    if not root.is_dir():
        return 0
    removed = 0
    with _locked(root):  # so none is about to be made
        for directory in root.iterdir():
            if _is_owned(directory):
                continue
            _kill_server(directory)
            shutil.rmtree(directory, ignore_errors=True)
            removed += 1
    return removed


@contextmanager
def _opened(root: Path) -> Iterator[Path]:
    """Make a directory, with its lock and its undertaker, and remove it in the end; blocks for a moment."""
    root.mkdir(mode=_OWN, parents=True, exist_ok=True)
    directory = root / secrets.token_hex(6)
    with ExitStack() as held:
        with _locked(root):
            directory.mkdir(mode=_OWN)
            held.callback(shutil.rmtree, directory, ignore_errors=True)
            held.enter_context(_locked(directory))
        held.enter_context(_undertaken(directory))
        yield directory


@contextmanager
def _undertaken(directory: Path) -> Iterator[None]:
    """Have a directory removed when we die."""
    undertaker = subprocess.Popen(
        ["/bin/sh", "-c", _UNDERTAKER, "undertaker", str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        undertaker.kill()
        undertaker.communicate()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory, which the kernel lets go when we die."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_owned(directory: Path) -> bool:
    """Tell whether a directory has an owner who lives."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _kill_server(directory: Path) -> None:
    """Kill the server of a directory, should it live; its id may be another process's by now."""
    for file in (directory / _SERVER).glob("*.pid"):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if str(directory) in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)


def _start(server: PrivateServer, template: Path | None) -> None:
    try:
        server.install(template)
        server.start()
    except SandboxError as exc:
        raise ScratchUnavailableError(
            f"the scratch server of a recovery: {exc}",
            hint=exc.hint
            or "Recover on a machine with the server's programs, or name their"
            " directory with BACKSTAY_SCRATCH_BIN.",
        ) from exc
