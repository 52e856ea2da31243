"""Private servers: real programs, started, stopped and killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import SandboxError
from app.sandbox import server as module
from app.sandbox.server import SOCKET_PATH_BYTES, PrivateServer
from tests.fixtures.servers import Sql


def lives(pid):
    """A zombie counts as dead: nobody may be there to reap an orphan."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lives(pid)


def test_a_fresh_server_works_and_stops(tmp_path):
    """Without a template it is installed, answers as root, and leaves no process behind."""
    with PrivateServer.create(tmp_path / "fresh") as server:
        pid = server.pid
        with Sql(server.url) as sql:
            assert sql.run("SELECT @@port, @@socket, @@log_bin, @@binlog_format, @@server_id") == [
                (server.port, str(server.socket), 1, "ROW", 1)
            ]

    assert not server.is_running()
    assert not lives(pid)


def test_a_name_with_spaces_is_fine(tmp_path):
    """Neither the installation nor the start stumbles over the directory's name."""
    with PrivateServer.create(tmp_path / "with a space") as server:
        assert server.is_running()


def test_a_server_listens_on_the_loopback_only(own_server):
    """Nobody beyond this machine can reach a server without a password."""
    with Sql(own_server().url) as sql:
        assert sql.run("SELECT @@bind_address") == [("127.0.0.1",)]


def test_data_survive_a_kill(own_server):
    """After SIGKILL the server recovers, on the same port, with what was committed."""
    server = own_server()
    with Sql(server.url) as sql:
        sql.script(["CREATE DATABASE d", "CREATE TABLE d.t (a INT)", "INSERT INTO d.t VALUES (7)"])
        port, pid = server.port, server.pid
        server.kill()

    assert not lives(pid)
    assert not server.is_running()
    server.start()
    assert server.port == port
    with Sql(server.url) as sql:
        assert sql.run("SELECT a FROM d.t") == [(7,)]


def test_restart_keeps_the_port(own_server):
    """An address that was handed out stays good."""
    server = own_server()
    url, pid = server.url, server.pid

    server.restart()

    assert server.url == url
    assert server.pid != pid


def test_starting_twice_and_stopping_twice_is_fine(own_server):
    """Both are requests for a state."""
    server = own_server()
    pid = server.pid
    server.start()
    assert server.pid == pid

    server.stop()
    server.stop()
    server.kill()

    assert not server.is_running()


def test_a_server_that_died_alone_is_noticed(own_server):
    """It is not running, has no process id, and can be started again."""
    server = own_server()
    os.kill(server.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while server.is_running() and time.monotonic() < deadline:
        time.sleep(0.02)

    with pytest.raises(SandboxError, match="not running"):
        _ = server.pid
    server.start()
    assert server.is_running()


def test_options_override_ours(own_server):
    """The last option wins."""
    with Sql(own_server("--server-id=42").url) as sql:
        assert sql.run("SELECT @@server_id") == [(42,)]


def test_a_wrong_option_is_reported_with_the_log(own_server):
    """The server's own words are in the message, and nothing runs."""
    with pytest.raises(SandboxError, match="no-such-option"):
        own_server("--no-such-option=1")


def test_a_taken_port_is_replaced(own_server, monkeypatch):
    """Losing the race for a port costs one more try."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        free = module._free_port
        ports = iter([busy])
        monkeypatch.setattr(module, "_free_port", lambda: next(ports, None) or free())

        server = own_server()

        assert server.port != busy
        with Sql(server.url) as sql:
            assert sql.run("SELECT @@port") == [(server.port,)]


def test_a_deep_directory_gets_a_short_socket(tmp_path, server_template):
    """A socket's path has a limit that test directories exceed; the substitute is removed."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with PrivateServer.create(deep, template=server_template) as server:
        short = server.socket
        assert short.is_socket()
        assert len(os.fsencode(short)) <= SOCKET_PATH_BYTES

    assert not short.parent.exists()


def test_a_missing_program_is_told_in_a_sentence(tmp_path, monkeypatch):
    """The hint says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "EXTRA_PATH", ())

    with pytest.raises(SandboxError, match="no mariadb-install-db program") as caught:
        PrivateServer.create(tmp_path / "server")

    assert "mariadb-server" in caught.value.hint


ORPHAN = """
import sys, threading, time
from pathlib import Path
from app.sandbox.server import PrivateServer
server = PrivateServer.create(Path(sys.argv[1]), template=Path(sys.argv[2]))
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
time.sleep(0.5)
print(server.pid, flush=True)
time.sleep(60)
"""


def test_the_server_follows_a_killed_parent_not_its_thread(tmp_path, server_template):
    """It outlives the thread that started it, but not the process, even one that gets SIGKILL."""
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, tmp_path / "server", server_template],
        stdout=subprocess.PIPE,
        cwd=Path(module.__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        alive_before = lives(pid)
        parent.kill()

    assert alive_before
    assert wait_until_gone(pid)
