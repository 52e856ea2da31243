"""Files of other programs are read, and ours by them: `age` of the distribution, and `pyrage`."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, strategies as st

from app.age.encryptor import encrypt
from app.age.identity_file import parse_identities, protected, unprotected, write_identity
from app.age.passphrase import Passphrase
from app.age.reader import decrypt
from app.age.stream import CHUNK_BYTES
from app.age.x25519 import Identity, Recipient
from tests.fixtures.age_files import pattern


NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
ME, YOU = Identity.new(), Identity.new()
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 1_000_000]
SECONDS = 60


def _age(*arguments, data=b""):
    done = subprocess.run(
        ["age", *arguments], input=data, capture_output=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _age_on_a_terminal(arguments: str, typed: str, directory: Path) -> None:
    """Run it as a person does: it reads passphrases from a terminal only."""
    done = subprocess.run(
        ["script", "--quiet", "--return", "--command", f"age {arguments}", "/dev/null"],
        input=typed.encode(),
        capture_output=True,
        check=False,
        timeout=SECONDS,
        cwd=directory,
    )
    assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Our identity in a file of ours."""
    path = tmp_path_factory.mktemp("keys") / "key"
    path.write_bytes(write_identity(ME, NOON))
    return path


@pytest.mark.parametrize("size", SIZES)
def test_age_reads_what_we_write(key, size):
    """By a file of identities that we have written, at every border."""
    plain = pattern(size)

    assert _age("-d", "-i", str(key), data=encrypt(plain, [YOU.recipient, ME.recipient])) == plain


@pytest.mark.parametrize("size", SIZES)
def test_we_read_what_age_writes(size):
    """For several recipients, each of whom opens it."""
    plain = pattern(size)
    stored = _age("-r", str(YOU.recipient), "-r", str(ME.recipient), data=plain)

    assert decrypt(stored, [ME], source="x") == plain
    assert decrypt(stored, [YOU], source="x") == plain


def test_age_keygen_and_we_make_the_same_keys(key):
    """It tells the recipient of ours, and we that of its own."""
    theirs = subprocess.run(["age-keygen"], capture_output=True, check=True, timeout=SECONDS)
    told = subprocess.run(
        ["age-keygen", "-y", key], capture_output=True, check=True, timeout=SECONDS
    )
    (identity,) = parse_identities(theirs.stdout)

    assert told.stdout.decode().strip() == str(ME.recipient)
    assert f"# public key: {identity.recipient}" in theirs.stdout.decode()


def test_age_and_we_protect_identities_the_same_way(tmp_path):
    """A passphrase typed into age opens our file, and ours opens what age has protected."""
    ours, plain = tmp_path / "ours.age", write_identity(ME, NOON)
    ours.write_bytes(protected(plain, "correct horse", work_factor=10))
    (tmp_path / "plain").write_bytes(plain)

    _age_on_a_terminal("-d -o opened ours.age", "correct horse\n", tmp_path)
    _age_on_a_terminal("-p -a -o theirs.age plain", "battery\nbattery\n", tmp_path)

    assert (tmp_path / "opened").read_bytes() == plain
    theirs = (tmp_path / "theirs.age").read_bytes()
    assert unprotected(theirs, "battery", source="x") == plain


@given(st.integers(0, 3 * CHUNK_BYTES), st.integers(1, 4))
def test_pyrage_reads_what_we_write(size, people):
    """Whoever of the recipients asks."""
    plain = pattern(size)
    recipients = [Identity.new().recipient for _ in range(people - 1)]
    stored = encrypt(plain, [*recipients, ME.recipient])

    assert pyrage.decrypt(stored, [pyrage.x25519.Identity.from_str(ME.secret_text())]) == plain


@given(st.integers(0, 3 * CHUNK_BYTES), st.integers(1, 4))
def test_we_read_what_pyrage_writes(size, people):
    """It adds stanzas that nobody knows, which are passed over."""
    plain = pattern(size)
    recipients = [Identity.new().recipient for _ in range(people - 1)]
    texts = [str(recipient) for recipient in (*recipients, ME.recipient)]
    stored = pyrage.encrypt(plain, [pyrage.x25519.Recipient.from_str(text) for text in texts])

    assert decrypt(stored, [ME], source="x") == plain


def test_pyrage_and_we_make_the_same_keys():
    """Ours are taken there, and theirs here."""
    theirs = pyrage.x25519.Identity.generate()

    assert str(Identity.parse(str(theirs)).recipient) == str(theirs.to_public())
    assert str(pyrage.x25519.Identity.from_str(ME.secret_text()).to_public()) == str(ME.recipient)
    assert Recipient.parse(str(theirs.to_public())).key


def test_pyrage_and_we_use_passphrases_the_same_way():
    """In both directions, with a letter that is not ASCII."""
    stored = encrypt(b"text", [Passphrase("hörse", work_factor=4)])

    assert pyrage.passphrase.decrypt(stored, "hörse") == b"text"
    theirs = pyrage.passphrase.encrypt(b"text", "hörse")
    assert decrypt(theirs, [Passphrase("hörse")], source="x") == b"text"
