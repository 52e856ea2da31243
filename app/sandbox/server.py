"""
A private MariaDB server in one directory: made, started, killed and stopped at will.

It listens on 127.0.0.1 and on a Unix socket, has no passwords, and reads no configuration file, so
neither the user's settings nor the server on port 3306 can meet it. One that is alone has the socket only.

Not guaranteed: durability beyond what the options ask for, and protection from other users of the
machine, who can connect to the port.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

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
# Of what the server must be told when it is made, and ever after.
FROM_THE_FIRST: Final = ("--lower-case-table-names=", "--innodb-page-size=")
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
        alone: Whether nobody can reach it but by the socket, which is in the directory then.
    """

    # Its program, and how to get that.
    program: ClassVar = "mariadbd"
    remedy: ClassVar = (
        "Install the MariaDB server; on Debian and Ubuntu: apt-get install mariadb-server."
    )

    def __init__(
        self,
        directory: Path,
        *,
        options: Sequence[str] = (),
        programs: Path | None = None,
        environment: Mapping[str, str] | None = None,
        alone: bool = False,
    ) -> None:
        """
        Make the way to a server; nothing is done yet.

        Args are the attributes above, and:
            programs: Directory of the server's programs; None = where this machine has them.
            environment: Variables of the program beside ours, such as `TZ`.
        """
        self.directory = directory.absolute()
        self.options = tuple(options)
        self.alone = alone
        self._programs = programs
        self._environment = _own_environment() | dict(environment or {})
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
        server.install(template)
        return server

    def install(self, template: Path | None = None) -> None:
        """Make the data directory; raises as `create` does."""
        (self.directory / "tmp").mkdir(parents=True)
        if template is None:
            self._install()
        else:
            shutil.copytree(template / "data", self.data)

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
                    self._find("mariadb-install-db"),
                    "--no-defaults",
                    *as_root(),
                    f"--datadir={link / self.data.name}",
                    f"--tmpdir={link / 'tmp'}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    REDO_LOG,
                    *self._lasting(),
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
            self._find(self.program),
            "--no-defaults",
            *as_root(),
            f"--datadir={self.data}",
            # A starting server deletes the temporary tables it finds here, any server's: in a shared
            # directory it would break its neighbours, the user's own server among them.
            f"--tmpdir={self.directory / 'tmp'}",
            f"--socket={self.socket}",
            *self._ports(),
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

    def _ports(self) -> list[str]:
        if self.alone:
            return ["--skip-networking"]
        return [f"--port={self.port}", "--bind-address=127.0.0.1"]

    def _lasting(self) -> list[str]:
        return [option for option in self.options if option.startswith(FROM_THE_FIRST)]

    def _find(self, name: str) -> str:
        found = find_program(name, self._programs)
        if found is None:
            raise SandboxError(f"no {name} program found", hint=self.remedy)
        return found

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
                env=self._environment,
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
            if _greets(str(self.socket)) and (self.alone or _greets(("127.0.0.1", self.port))):
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


def find_program(name: str, programs: Path | None = None) -> str | None:
    """Find a server program, also where the search path of ordinary users does not lead; or in one directory."""
    places = [str(programs)] if programs else [*os.get_exec_path(), *EXTRA_PATH]
    return shutil.which(name, path=os.pathsep.join(places))


def _own_environment() -> dict[str, str]:
    """Return our own variables, without settings: they hold passwords."""
    found = os.environ.items()  # noqa: TID251 - handed on
    return {name: value for name, value in found if not name.startswith("BACKSTAY_")}


def as_root() -> list[str]:
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
