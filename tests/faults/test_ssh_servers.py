"""SSH servers that are not as they should be, each a real one: without hard links, read-only, without SFTP."""

import os
from pathlib import Path

import asyncssh
import pytest

from app.domain.store_trial import StoreFacts
from app.errors import (
    InvalidRequestError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from app.services.stores.trial import Trial
from app.storage.remote.definitions import SftpDefinition
from app.storage.remote.store import UnfinishedUpload
from tests.fixtures.clocks import SystemClock
from tests.fixtures.shared_processes import Running
from tests.fixtures.store_programs import start_sshd, stop


@pytest.fixture
def started(tmp_path):
    """Start servers with lines of their configuration; each is stopped."""
    running: list[Running] = []

    def start(*options):
        server = start_sshd(tmp_path / f"sshd{len(running)}", *options)
        running.append(server)
        (server.home / "kept").mkdir()
        return server

    yield start
    for server in running:
        stop(server)


def definition_of(server, **changes):
    """A store on a server."""
    table = {
        "kind": "sftp",
        "host": "127.0.0.1",
        "port": int(server.url.rpartition(":")[2]),
        "user": server.user,
        "path": str(server.home / "kept"),
        "host_key": (server.home / "host.pub").read_text().strip(),
        "key_file": server.home / "user",
        **changes,
    }
    return SftpDefinition.model_validate(table)


def tried(store):
    """Try a store, and return its checks."""
    facts = StoreFacts("tried", "sftp", "here", append_only=False, object_lock_days=0)
    trial = Trial(store, facts, SystemClock()).run()
    store.close()
    return {check.name: check for check in trial.checks}


def test_a_server_without_hard_links_is_refused(store_servers, started):
    """By its test, with what to do; nothing is left there."""
    server = started("Subsystem sftp internal-sftp -P hardlink")
    checks = tried(store_servers.open(definition_of(server)))

    assert list(checks) == ["list", "write"]
    assert "no hard links" in checks["write"].detail
    assert "OpenSSH" in checks["write"].remedy
    assert list((server.home / "kept").iterdir()) == []


def test_a_server_that_is_read_only_says_which_right_is_lacking(store_servers, started):
    """Lists and reads work; what writes is denied."""
    server = started("Subsystem sftp internal-sftp -R")
    (server.home / "kept" / "x").write_bytes(b"there")
    store = store_servers.open(definition_of(server))
    assert store.read("x", 0, 5) == b"there"
    for call in (lambda: store.put("y", b"1"), lambda: store.begin("y", 1), store.now):
        with pytest.raises(StorageDeniedError) as caught:
            call()
        assert "write access" in caught.value.hint
    store.close()


def test_a_server_without_sftp_is_told_by_that(store_servers, started):
    """A shell alone is not enough."""
    store = store_servers.open(definition_of(started("PermitTTY yes")))
    with pytest.raises(StorageError) as caught:
        list(store.list())
    assert "SFTP" in f"{caught.value}"
    store.close()


@pytest.mark.parametrize("name", ["missing", "host.pub"])
def test_a_directory_that_is_missing_is_told_and_not_made(name, store_servers, started):
    """It is a mount point without its file system, or no directory at all."""
    server = started()
    store = store_servers.open(definition_of(server, path=str(server.home / name)))
    for call in (
        lambda: list(store.list()),
        lambda: store.stat("x"),
        lambda: store.put("x", b"1"),
        lambda: store.begin("x", 1),
    ):
        with pytest.raises(StorageUnavailableError, match="directory of the store is missing"):
            call()
    assert not (server.home / "missing").exists()
    store.close()


def test_names_of_others_in_any_encoding_keep_nothing_from_being_listed(store_servers, started):
    """They are left out, as everything is that no name of ours can be."""
    server = started()
    for name in (b"x\xff", b"\xe4", "ü".encode()):
        Path(os.fsdecode(os.fsencode(server.home / "kept") + b"/" + name)).write_bytes(b"theirs")
    store = store_servers.open(definition_of(server))
    store.put("x", b"1")

    assert [stored.name for stored in store.list()] == ["x"]
    assert list(store.unfinished(store.now())) == []
    store.close()


def test_a_sweep_removes_nothing_but_uploads(store_servers, started):
    """Whatever it is told."""
    store = store_servers.open(definition_of(started()))
    store.put("x", b"1")
    with pytest.raises(ObjectNotFoundError):
        store.abort_unfinished(UnfinishedUpload("", "x", store.now()))
    assert store.stat("x").size == 1
    store.close()


def test_a_key_with_a_passphrase_needs_it(store_servers, started):
    """With another one it is told that the key cannot be read, and neither is shown."""
    server = started()
    key = asyncssh.read_private_key(server.home / "user")
    key.write_private_key(server.home / "protected", passphrase="hush hush", rounds=50)
    (server.home / "protected").chmod(0o600)
    store_servers.variables.update(RIGHT="hush hush", WRONG="hush")
    definition = definition_of(server, key_file=server.home / "protected", secret_env="RIGHT")
    store = store_servers.open(definition)
    assert list(store.list()) == []
    store.close()

    for changes in ({"secret_env": "WRONG"}, {"secret_env": ""}):
        with pytest.raises(InvalidRequestError, match="protected is no private key") as caught:
            store_servers.open(definition.model_copy(update=changes))
        assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_a_user_who_is_not_let_in_is_told_what_to_do(store_servers, started):
    """By a key that the server does not know, or by a password where it takes none."""
    server = started()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(server.home / "other")
    (server.home / "other").chmod(0o600)
    store_servers.variables.update(PASSWORD="hush hush")
    for changes in (
        {"key_file": server.home / "other"},
        {"key_file": None, "secret_env": "PASSWORD"},
    ):
        store = store_servers.open(definition_of(server, **changes))
        with pytest.raises(StorageDeniedError, match="does not let the user in") as caught:
            list(store.list())
        assert "authorized_keys" in caught.value.hint
        store.close()
