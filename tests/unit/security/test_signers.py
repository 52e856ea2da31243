"""Signatures: by whom, of what, and by nobody else."""

import base64
import errno
import os
import stat
import subprocess
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, strategies as st

from app.domain.keys import Signature
from app.errors import InvalidRequestError, SignatureMismatchError, StorageError, UnknownSignerError
from app.security.signers import Signers
from tests.fixtures.kernels import CountingKernel, FailingKernel


DATA = b'{"backup_id": "backup_65ba1f2f3d4e5"}'


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    """An installation that has a key."""
    return Signers(tmp_path_factory.mktemp("state"), "")


@pytest.fixture(scope="module")
def signature(signers):
    """What it has signed."""
    return signers.sign(DATA)


def test_an_installation_believes_itself(tmp_path):
    """By the key that it makes when it first signs, its owner's alone whatever the umask."""
    before = os.umask(0)
    try:
        signature = Signers(tmp_path / "state", "").sign(DATA)
    finally:
        os.umask(before)
    later = Signers(tmp_path / "state", "")

    assert later.verify(DATA, signature) == later.own().signer_id
    assert signature.signer == later.own().key
    assert len(signature.signer) == 60
    assert stat.S_IMODE((tmp_path / "state" / "signing.key").stat().st_mode) == 0o600


def test_to_verify_makes_no_key(tmp_path):
    """Nor does it make a directory: whoever only reads has none."""
    signature = Signers(tmp_path / "there", "").sign(DATA)
    here = Signers(tmp_path / "here", signature.signer)

    assert here.verify(DATA, signature)
    assert here.find_own() is None
    assert [signer.is_own for signer in here.known()] == [False]
    assert not (tmp_path / "here").exists()


def test_an_unknown_signer_is_refused_and_named(tmp_path):
    """Until somebody accepts it, by its id or its key, or a setting names it."""
    there = Signers(tmp_path / "there", "")
    signature, own = there.sign(DATA), there.own()
    here = Signers(tmp_path / "here", "")
    here.own()

    with pytest.raises(UnknownSignerError, match=own.signer_id) as caught:
        here.verify(DATA, signature)
    assert f"--accept-signer {own.signer_id}" in caught.value.hint
    assert own.key in caught.value.hint
    for name in (own.signer_id, own.key):
        assert here.verify(DATA, signature, accepted=[name]) == own.signer_id
    with pytest.raises(UnknownSignerError):
        here.verify(DATA, signature, accepted=[own.signer_id[:-1], ""])


def test_an_accepted_signer_is_still_held_to_its_signature(tmp_path):
    """Whoever takes a signer takes what it has signed, and nothing else."""
    there = Signers(tmp_path / "there", "")
    signature = there.sign(DATA)
    here = Signers(tmp_path / "here", "")

    with pytest.raises(SignatureMismatchError):
        here.verify(DATA + b" ", signature, accepted=[there.own().signer_id])


@given(st.integers(0, len(DATA) * 8 - 1))
def test_any_bit_that_was_changed_is_noticed(signers, signature, place):
    """Of what was signed."""
    changed = bytearray(DATA)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(SignatureMismatchError):
        signers.verify(bytes(changed), signature)


@given(st.integers(0, 511))
def test_any_bit_of_a_signature_counts(signers, signature, place):
    """There is no other signature of the same bytes to be had from it."""
    value = bytearray(base64.b64decode(signature.value))
    value[place // 8] ^= 1 << place % 8
    with pytest.raises(SignatureMismatchError):
        signers.verify(DATA, Signature(signature.signer, base64.b64encode(value).decode()))


@pytest.mark.parametrize("value", ["", "x", "AAAA", "ü", " ", "A" * 5000])
def test_what_is_no_signature_is_refused(signers, signature, value):
    """Whatever a manifest has in its place; another form of the same one as well."""
    for wrong in (
        Signature(signature.signer, value),
        Signature(value, signature.value),
        Signature(signature.signer, signature.value + "\n"),
        Signature(signature.signer + "\n", signature.value),
    ):
        with pytest.raises(SignatureMismatchError):
            signers.verify(DATA, wrong)


def test_a_signer_that_makes_no_sense_is_named_by_its_place(tmp_path, signature):
    """It is refused when anything is to be believed."""
    for text in ("nothing", signature.signer[:-4], base64.b64encode(bytes(44)).decode()):
        with pytest.raises(InvalidRequestError, match="key 2"):
            Signers(tmp_path, f"{signature.signer} {text}").known()


def test_each_signer_is_known_once(tmp_path, signature):
    """This installation first, also when a setting names it."""
    here = Signers(tmp_path, f"{signature.signer}\n{signature.signer}")
    own = here.own()

    assert here.known() == (own, *Signers(tmp_path / "no", signature.signer).known())
    assert Signers(tmp_path, own.key).known() == (own,)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    """They could have signed anything."""
    Signers(tmp_path, "").own()
    (tmp_path / "signing.key").chmod(mode)
    with pytest.raises(InvalidRequestError, match=r"signing\.key"):
        Signers(tmp_path, "").sign(DATA)


@pytest.mark.parametrize("kind", ["empty", "text", "another", "public"])
def test_a_file_that_holds_no_such_key_is_refused(tmp_path, signature, kind):
    """A new one would be a signer that nobody knows; that is for the operator to decide."""
    other = generate_private_key(SECP256R1())
    content = {
        "empty": b"",
        "text": b"hunter2",
        "another": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "public": signature.signer.encode(),
    }[kind]
    (tmp_path / "signing.key").touch(0o600)
    (tmp_path / "signing.key").write_bytes(content)
    with pytest.raises(InvalidRequestError, match="no private key of Ed25519") as caught:
        Signers(tmp_path, "").sign(DATA)
    assert "hunter2" not in str(caught.value)


def test_openssl_proves_a_signature_without_us(tmp_path, signature):
    """As docs/encryption.md says it: the key between two lines, the bytes, the signature."""
    lines = ("-----BEGIN PUBLIC KEY-----", signature.signer, "-----END PUBLIC KEY-----", "")
    (tmp_path / "signer.pem").write_text("\n".join(lines))
    (tmp_path / "SIGNED").write_bytes(DATA)
    (tmp_path / "SIGNATURE").write_bytes(base64.b64decode(signature.value))
    command = (
        "openssl pkeyutl -verify -pubin -inkey signer.pem -rawin -in SIGNED -sigfile SIGNATURE"
    )
    proven = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)
    (tmp_path / "SIGNED").write_bytes(DATA + b" ")
    refused = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False)

    assert (proven.returncode, refused.returncode) == (0, 1)


def own_of(path) -> str:
    """Tell the signer of a state directory; runs in another process."""
    return Signers(path, "").own().signer_id


def test_processes_that_start_at_once_agree(tmp_path):
    """One of them makes the key, all use it."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for attempt in range(3):
            assert len(set(pool.map(own_of, [tmp_path / str(attempt)] * 8))) == 1


def test_whichever_call_fails_there_is_a_whole_key_or_none(tmp_path):
    """An error is told, and the next start finds or makes a good one."""
    kernel = CountingKernel()
    Signers(tmp_path / "count", "", kernel).own()
    for at in range(1, kernel.count + 1):
        path = tmp_path / str(at)
        try:
            told = Signers(path, "", FailingKernel(at, errno.EIO)).own()
        except StorageError:
            told = None
        assert told in {None, Signers(path, "").own()}
