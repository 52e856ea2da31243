"""Command line: whatever a setting or an option names, and it is no such file, is refused at once."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures.certificates import Certificates, make_certificates
from tests.fixtures.cli import Cli


NOWHERE = "mysql://nobody:hunter2secret@127.0.0.1:1/d"
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
HOST_KEY = "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIIsmOFDrVYr/ZKLuGA9bZrXMhJYKTXSFlJMqQqsQH9mB"
S3 = "o=s3://bucket?endpoint=https://127.0.0.1:1&access_key=k"
SFTP = f"o=sftp://u@127.0.0.1:1/x?host_key={HOST_KEY}"
HUGE_BYTES = 200 << 30
# A file that is no directory is said to be none, and an empty directory is a good one.
OF_DIRECTORIES = "not a directory"


@dataclass(frozen=True)
class Named:
    """
    What names a path, and which command reads it.

    Attributes:
        command: Its words; PATH stands for the path.
        settings: By the path, and by certificates that are good.
        words: What the message says.
        skipped: Which kinds of path are good, or are told by other words.
    """

    command: tuple[str, ...]
    settings: Callable[[Path, Certificates], dict[str, str]] = lambda path, good: {}
    words: str = ""
    skipped: frozenset[str] = field(default_factory=frozenset)


KEYS = ("key", "check")
SERVE = ("serve", "--port", "0")
TEST = ("store", "test", "o")
NAMED = {
    "ssl_ca": Named(
        ("backup", "create"), lambda path, good: {"DATABASE_URL": f"{NOWHERE}?ssl_ca={path}"}
    ),
    "ssl_ca that is not used": Named(
        ("backup", "create"),
        lambda path, good: {"DATABASE_URL": f"{NOWHERE}?ssl_mode=REQUIRED&ssl_ca={path}"},
    ),
    "ssl_cert": Named(
        ("backup", "create"), lambda path, good: {"DATABASE_URL": f"{NOWHERE}?ssl_cert={path}"}
    ),
    "ssl_key": Named(
        ("backup", "create"),
        lambda path, good: {
            "DATABASE_URL": f"{NOWHERE}?ssl_cert={good.certificate}&ssl_key={path}"
        },
    ),
    "ssl_ca of the control database": Named(
        ("user", "list"), lambda path, good: {"CONTROL_URL": f"{NOWHERE}?ssl_ca={path}"}
    ),
    "the file of the control database": Named(
        ("user", "list"),
        lambda path, good: {"CONTROL_URL": f"sqlite:///{path}"},
        skipped=frozenset({"huge"}),  # one may be; it is no database
    ),
    "BACKSTAY_IDENTITY_FILE": Named(
        KEYS, lambda path, good: {"IDENTITY_FILE": str(path), "ENCRYPT_TO": RECIPIENT}
    ),
    "BACKSTAY_BACKUP_DIR": Named(
        ("backup", "list"),
        lambda path, good: {"BACKUP_DIR": str(path)},
        OF_DIRECTORIES,
        frozenset({"directory"}),
    ),
    "BACKSTAY_STATE_DIR": Named(
        ("user", "list"),
        lambda path, good: {"STATE_DIR": str(path)},
        OF_DIRECTORIES,
        frozenset({"directory"}),
    ),
    "BACKSTAY_IDENTITY_COMMAND": Named(
        KEYS,
        lambda path, good: {"IDENTITY_COMMAND": str(path), "ENCRYPT_TO": RECIPIENT},
        "cannot be run",
    ),
    "BACKSTAY_LOG_FILE": Named(
        SERVE,
        lambda path, good: {"LOG_FILE": str(path)},
        "cannot be opened",
        frozenset({"device", "huge"}),  # /dev/stdout is one, and a large log is rotated
    ),
    "--tls-cert": Named((*SERVE, "--tls-cert", "PATH")),
    "--tls-key": Named((*SERVE, "--tls-cert", "GOOD", "--tls-key", "PATH")),
    "--out": Named(("key", "new", "--out", "PATH"), words="it exists"),
    "secret_file": Named(TEST, lambda path, good: {"STORES": f"{S3}&secret_file={path}"}),
    "ca_file": Named(TEST, lambda path, good: {"STORES": f"{S3}&secret_env=PATH&ca_file={path}"}),
    "key_file": Named(TEST, lambda path, good: {"STORES": f"{SFTP}&key_file={path}"}),
    "secret_file of SFTP": Named(TEST, lambda path, good: {"STORES": f"{SFTP}&secret_file={path}"}),
    "a store of this machine": Named(
        ("backup", "list", "--store", "o"),
        lambda path, good: {"STORES": f"o=local://{path}"},
        "the directory of the store is missing",
        frozenset({"directory"}),
    ),
}
KINDS = ("pipe", "device", "directory", "huge", "socket")
# What is read without being named, by its place.
PLACES = {
    ".env": ("backup", "list"),
    "state/stores.toml": ("store", "list"),
    "state/servers.json": ("backup", "create"),
    "state/jwt.secret": SERVE,
}


@pytest.fixture
def bad(tmp_path):
    """One path of each kind, by its name."""
    there = tmp_path / "bad"
    there.mkdir()
    paths = {kind: there / kind for kind in KINDS if kind != "device"} | {
        "device": Path("/dev/zero")
    }
    os.mkfifo(paths["pipe"])
    paths["directory"].mkdir()
    with paths["huge"].open("wb") as file:
        file.truncate(HUGE_BYTES)
    os.mknod(paths["socket"], stat.S_IFSOCK)
    return paths


def _refusal(cli, command, settings) -> str:
    """Run a command that must end by itself, and return the message of its documented error."""
    result = cli(*command, "--json", **settings)
    assert result.code in {12, 21}, result
    assert "Traceback" not in result.err
    assert "hunter2secret" not in result.out + result.err
    message: str = result.document["error"]["message"]
    return message


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_and_is_no_such_file_is_refused_at_once(tmp_path, bad, name):
    """A pipe that nobody writes to, a device without an end, a directory, a socket, and 200 GB."""
    named = NAMED[name]
    good = make_certificates(tmp_path / "good", "127.0.0.1")
    for kind in KINDS:
        if kind in named.skipped:
            continue
        home = tmp_path / kind
        home.mkdir()
        path = bad[kind]
        words = {"PATH": str(path), "GOOD": str(good.certificate)}
        command = [words.get(word, word) for word in named.command]
        message = _refusal(Cli(NOWHERE, home), command, named.settings(path, good)).lower()

        expected = {"huge": "larger than", "socket": "no such device or address"}
        told = named.words or expected.get(kind, "not a regular file")
        assert told in message or "not a regular file" in message, (kind, message)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_is_always_looked_for_is_no_other_thing(tmp_path, bad, place):
    """The same in its place, of settings, stores, servers and secrets."""
    for kind in KINDS:
        home = tmp_path / kind
        there = home / place
        there.parent.mkdir(parents=True)
        if kind == "directory":
            there.mkdir()
        elif kind == "pipe":
            os.mkfifo(there)
        elif kind == "huge":
            there.touch()
            os.truncate(there, HUGE_BYTES)
            there.chmod(0o600)
        else:
            there.symlink_to(bad[kind])
        settings = {"STATE_DIR": str(home / "state"), "DATABASE_URL": ""}
        message = _refusal(Cli(NOWHERE, home), PLACES[place], settings)

        assert Path(place).name in message, (kind, message)
