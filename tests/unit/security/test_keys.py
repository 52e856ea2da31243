"""The secrets: long enough, kept private, and the same for every process."""

import errno
import hashlib
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from app.errors import InvalidRequestError, StorageError
from app.security.keys import KeyRing, kid_of, load_key_ring
from tests.fixtures.kernels import CountingKernel, FailingKernel


ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 40


def test_kid_is_what_the_documentation_says():
    """Another application can compute it: 16 digits of SHA-256 over a prefix and the secret."""
    digits = hashlib.sha256(b"backstay-kid:" + ONE).hexdigest()[:16]

    assert kid_of(ONE) == digits
    assert KeyRing(ONE).current == digits


def test_a_ring_holds_the_current_and_the_older_secrets():
    """The current one signs, all are found by their kid."""
    ring = KeyRing(ONE, [TWO, ONE])

    assert ring.current == kid_of(ONE)
    assert ring.secrets == {kid_of(ONE): ONE, kid_of(TWO): TWO}


@pytest.mark.parametrize("secret", [b"", b"x", b"x" * 31])
def test_a_short_secret_is_refused_and_not_shown(secret):
    """Whoever guesses it is everybody; the message names the variable only."""
    with pytest.raises(InvalidRequestError, match="BACKSTAY_JWT_SECRET") as caught:
        KeyRing(secret)
    with pytest.raises(InvalidRequestError, match="secret 2"):
        KeyRing(ONE, [secret])
    assert "xx" not in str(caught.value) + caught.value.hint


def test_a_secret_may_hold_white_space_but_not_consist_of_it(tmp_path):
    """Another application's secret is what it is; forty blanks are none."""
    phrase = "correct horse battery staple, and some more"

    assert load_key_ring(phrase, "", tmp_path).secrets[kid_of(phrase.encode())] == phrase.encode()
    with pytest.raises(InvalidRequestError, match="shorter"):
        load_key_ring(" " * 40, "", tmp_path)


def test_settings_take_precedence_over_the_file(tmp_path):
    """With a secret in the settings, no file is made or read."""
    ring = load_key_ring(ONE.decode(), f" {TWO.decode()}\n{THREE.decode()} ", tmp_path)

    assert ring.current == kid_of(ONE)
    assert set(ring.secrets.values()) == {ONE, TWO, THREE}
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_a_secret_is_made_once(tmp_path):
    """It is the owner's alone whatever the umask, 256 bits, and stays."""
    before = os.umask(0)
    try:
        ring = load_key_ring("", "", tmp_path / "state")
    finally:
        os.umask(before)

    file = tmp_path / "state" / "jwt.secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert bytes.fromhex(file.read_text())[31:]
    assert ring.secrets == {kid_of(file.read_bytes().strip()): file.read_bytes().strip()}
    assert load_key_ring("", "", tmp_path / "state").secrets == ring.secrets


def test_two_installations_have_different_secrets(tmp_path):
    """Nothing about them is a default."""
    first, second = (load_key_ring("", "", tmp_path / name) for name in "ab")

    assert first.current != second.current


def test_the_first_line_of_the_file_signs(tmp_path):
    """The others, and old ones of the settings, are accepted: secrets are changed without a cut."""
    file = tmp_path / "jwt.secret"
    file.touch(0o600)
    file.write_bytes(TWO + b"\n\n" + ONE + b"\r\n")

    ring = load_key_ring("", THREE.decode(), tmp_path)

    assert ring.current == kid_of(TWO)
    assert set(ring.secrets.values()) == {ONE, TWO, THREE}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path, mode):
    """They could have signed anything."""
    load_key_ring("", "", tmp_path)
    (tmp_path / "jwt.secret").chmod(mode)

    with pytest.raises(InvalidRequestError, match=r"jwt\.secret") as caught:
        load_key_ring("", "", tmp_path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_an_empty_file_is_an_error(tmp_path, content):
    """A new secret would end all logins; that is for the operator to decide."""
    (tmp_path / "jwt.secret").touch(0o600)
    (tmp_path / "jwt.secret").write_bytes(content)

    with pytest.raises(InvalidRequestError, match="empty"):
        load_key_ring("", "", tmp_path)


def test_a_short_secret_in_the_file_is_refused_by_its_line(tmp_path):
    """The message says where, and not what."""
    (tmp_path / "jwt.secret").touch(0o600)
    (tmp_path / "jwt.secret").write_bytes(ONE + b"\nhunter2\n")

    with pytest.raises(InvalidRequestError, match=r"jwt\.secret: secret 2") as caught:
        load_key_ring("", "", tmp_path)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_a_symbolic_link_is_not_followed(tmp_path):
    """Whoever can write to the directory cannot make us take another file."""
    (tmp_path / "state").mkdir()
    (tmp_path / "elsewhere").touch(0o600)
    (tmp_path / "state" / "jwt.secret").symlink_to(tmp_path / "elsewhere")

    with pytest.raises((StorageError, InvalidRequestError)):
        load_key_ring("", "", tmp_path / "state")


def kid_in(path) -> str:
    """Load the ring of a state directory and tell its kid; runs in another process."""
    return load_key_ring("", "", path).current


def test_processes_that_start_at_once_agree(tmp_path):
    """One of them makes the secret, all use it."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for attempt in range(5):
            kids = set(pool.map(kid_in, [tmp_path / str(attempt)] * 8))
            assert len(kids) == 1


def test_whichever_call_fails_there_is_a_whole_secret_or_none(tmp_path):
    """An error is told, and the next start finds or makes a good one."""
    kernel = CountingKernel()
    load_key_ring("", "", tmp_path / "count", kernel)
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        try:
            told = load_key_ring("", "", path, FailingKernel(at, errno.EIO)).current
        except StorageError:
            told = None
        assert told in {None, load_key_ring("", "", path).current}
