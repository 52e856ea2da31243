"""
A private MariaDB server in one directory: made, started, killed and stopped at will.

It listens on 127.0.0.1 and on a Unix socket, has no passwords, and reads no configuration file, so
neither the user's settings nor the server on port 3306 can meet it.

Not guaranteed: durability beyond what the options ask for, and protection from other users of the
machine, who can connect to the port.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import SandboxError


# A start takes 0.2 s here; crash recovery of a busy server on a slow disk takes far longer.
START_SECONDS = 60
STOP_SECONDS = 20
# Often enough not to be noticed beside the start itself, which takes 0.13 s.
POLL_SECONDS = 0.02
PORT_ATTEMPTS = 5
LOG_TAIL_LINES = 15
# sockaddr_un.sun_path has 108 bytes with its final NUL. Source: man 7 unix
SOCKET_PATH_BYTES = 107
# The default of 96 MB would be most of what a fresh directory weighs and of what a copy costs.
REDO_LOG = "--innodb-log-file-size=16M"
# Debian keeps servers in /usr/sbin, which is not on the search path of ordinary users.
EXTRA_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/mysql/bin")
# Runs until our end of its standard input closes, which the kernel does however we die, SIGKILL
# included; then it ends the server whose id is $1, kindly first. Source: man 7 pipe
WATCHDOG = """
while read -r _; do :; done
kill -TERM "$1" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 "$1" 2>/dev/null || exit 0; done
kill -KILL "$1"
"""


class PrivateServer:
    """
    One server program and the directory it lives in.

    `with PrivateServer.create(path) as server:` starts it and stops it again.

    Attributes:
        directory: Everything the server writes, except perhaps its socket (see `socket`).
        options: Command-line options beyond our own; the last one wins, so they may override.
        port: TCP port on 127.0.0.1, chosen by the first start and kept by later ones if free.
        socket: Unix socket; read it after the start, which puts it into a short temporary directory
            when `directory` is too deep for one.
        log: The server's error log, appended by every start.
    """

    def __init__(self, directory: Path, *, options: Sequence[str] = ()) -> None:
        self.directory = directory.absolute()
        self.options = tuple(options)
        self.port = 0
        self.socket = self.directory / "mariadb.sock"
        self.log = self.directory / "error.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._socket_directory: Path | None = None

    @classmethod
    def create(
        cls, directory: Path, *, options: Sequence[str] = (), template: Path | None = None
    ) -> Self:
        """
        Make the data directory of a server; nothing runs yet.

        Args:
            directory: Made if absent; must not hold a server already.
            options: Options of the server program, each `--name=value`.
            template: Directory of another, cleanly stopped `PrivateServer` to copy: six times
                faster than a fresh installation.

        Returns:
            The server, stopped; root has no password.

        Raises:
            SandboxError: No server program, or it could not make its system tables.
        """
        server = cls(directory, options=options)
        (server.directory / "tmp").mkdir(parents=True)
        if template is None:
            server._install()
        else:
            shutil.copytree(template / "data", server.data)
        return server

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.directory / "data"

    @property
    def url(self) -> str:
        """Address of the running server, without a database name."""
        return f"mysql://root@127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """
        Process id of the server program.

        Raises:
            SandboxError: It is not running.
        """
        if self._process is None or not self.is_running():
            raise SandboxError("the private server is not running")
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether the server program lives; a starting one does."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        self._end_watchdog()
        return False

    def start(self) -> None:
        """
        Start the server and wait until it answers; a running one is left alone.

        Raises:
            SandboxError: No server program, or no answer within a minute; nothing runs then.
        """
        if self.is_running():
            return
        self._place_socket()
        for _ in range(PORT_ATTEMPTS):
            self.port = self.port or _free_port()
            logged = self.log.stat().st_size if self.log.exists() else 0
            try:
                self._spawn()
                if self._wait_until_ready():
                    return
            except BaseException:
                self.kill()
                raise
            self.kill()
            if not _port_was_taken(self.log, logged):
                break
            # Somebody took the port between our look and the server's: try the next one.
            self.port = 0
        self._remove_socket_directory()
        raise SandboxError(
            f"the private server did not start; {self.log} ends with:\n{_tail(self.log)}"
        )

    def stop(self) -> None:
        """Shut the server down cleanly; kill it if it takes longer than 20 seconds."""
        if self._process is not None and self.is_running():
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._end_watchdog()
        self._remove_socket_directory()

    def kill(self) -> None:
        """Kill the server as a power cut would; `start` makes it recover."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._end_watchdog()

    def restart(self) -> None:
        """Stop and start again, on the same port unless somebody took it meanwhile."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _install(self) -> None:
        """Make the system tables of an empty server."""
        # The script breaks on a path with a space in it, so it gets one that has none.
        with tempfile.TemporaryDirectory(prefix="backstay-", dir="/tmp") as short:
            link = Path(short) / "server"
            link.symlink_to(self.directory)
            done = subprocess.run(
                [
                    _program("mariadb-install-db"),
                    "--no-defaults",
                    *_as_root(),
                    f"--datadir={link / self.data.name}",
                    f"--tmpdir={link / 'tmp'}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    REDO_LOG,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            output = done.stdout.decode(errors="replace").strip()
            raise SandboxError(f"mariadb-install-db failed:\n{output}")

    def _command(self) -> list[str]:
        return [
            _program("mariadbd"),
            "--no-defaults",
            *_as_root(),
            f"--datadir={self.data}",
            # A starting server deletes the temporary tables it finds here, any server's: in a shared
            # directory it would break its neighbours, the user's own server among them.
            f"--tmpdir={self.directory / 'tmp'}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={self.directory / 'mariadb.pid'}",
            f"--log-error={self.log}",
            "--log-bin=binlog",
            "--binlog-format=ROW",
            "--server-id=1",
            "--innodb-buffer-pool-size=256M",
            REDO_LOG,
            "--skip-name-resolve",
            "--performance-schema=0",
            *self.options,
        ]

    def _spawn(self) -> None:
        """Start the program and what ends it when we die."""
        # Sessions of their own: Ctrl-C on our terminal must reach us alone, so that we can end the
        # server in order.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        # Not prctl(PR_SET_PDEATHSIG): that fires when the THREAD that started the server ends, and
        # a server started through asyncio.to_thread must outlive its thread. It also needs
        # preexec_fn, which can deadlock in a threaded program.
        # The id cannot be reused while the watchdog lives: we end it where we reap the server.
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait_until_ready(self) -> bool:
        """Wait for an answer; False if the program ended or the time is over."""
        deadline = time.monotonic() + START_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            # The socket first: only our server has it, and it is opened after the port, so the
            # one that then answers on the port is ours too.
            if _greets(str(self.socket)) and _greets(("127.0.0.1", self.port)):
                return True
            time.sleep(POLL_SECONDS)
        return False

    def _end_watchdog(self) -> None:
        """End the watchdog of a server that has ended."""
        self._process = None
        if self._watchdog is not None:
            # Killed, not told by closing its input: it would then signal an id that is free again.
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None

    def _place_socket(self) -> None:
        if len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="backstay-", dir="/tmp"))
            self.socket = self._socket_directory / "mariadb.sock"

    def _remove_socket_directory(self) -> None:
        if self._socket_directory is not None:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
            self._socket_directory = None
            self.socket = self.directory / "mariadb.sock"


def find_program(name: str) -> str | None:
    """Find a server program, also where the search path of ordinary users does not lead."""
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), *EXTRA_PATH]))


def _program(name: str) -> str:
    found = find_program(name)
    if found is None:
        raise SandboxError(
            f"no {name} program found",
            hint="Install the MariaDB server; on Debian and Ubuntu: apt-get install mariadb-server.",
        )
    return found


def _as_root() -> list[str]:
    """The server refuses to run as root unless told by name."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _greets(address: str | tuple[str, int]) -> bool:
    """
    Tell whether a server sends its first packet at this address.

    Returns:
        Whether the server takes connections; False also while it is not there yet.

    Source:
        https://mariadb.com/kb/en/connection/#initial-handshake-packet - it is 4 bytes of header,
        then the protocol version 10, or 255 for an error, which a starting server may send.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    try:
        with socket.socket(family) as connection:
            connection.settimeout(1)
            connection.connect(address)
            return connection.recv(5, socket.MSG_WAITALL)[4:] == b"\x0a"
    except OSError:
        return False


def _port_was_taken(log: Path, offset: int) -> bool:
    return b"Address already in use" in log.read_bytes()[offset:]


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_TAIL_LINES:])
