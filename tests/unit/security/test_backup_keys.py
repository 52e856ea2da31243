"""Keys of backups: where they come from, and that nothing of them is told."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.age.identity_file import protected, write_identity
from app.age.x25519 import Identity
from app.domain.keys import IdentityPlace, RecipientProof
from app.errors import DecryptionFailedError, InvalidRequestError, StorageError
from app.security.backup_keys import BackupKeys, IdentitySources, create_identity_file


ME, YOU, SAFE = Identity.new(), Identity.new(), Identity.new()
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
FILE = write_identity(ME, NOON)


def _keys(recipients="", text="", file=None, passphrase="", command=""):
    secrets = (SecretStr(text), file, SecretStr(passphrase), SecretStr(command))
    return BackupKeys(recipients, IdentitySources(*secrets))


def _file(home, data=FILE, mode=0o600):
    path = home / "key.txt"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def _told(error):
    return str(error) + error.hint


def test_recipients_are_separated_by_white_space():
    """Each once, in their order; none is no encryption."""
    keys = _keys(f" {ME.recipient}\n{YOU.recipient}\t{ME.recipient} ")

    assert keys.recipients() == (ME.recipient, YOU.recipient)
    assert keys.encrypts
    assert not _keys(" \n").encrypts
    assert _keys().recipients() == ()


def test_a_recipient_that_makes_no_sense_is_named_by_its_place():
    """An identity in its place is never repeated, and the hint says what it is."""
    secret = SAFE.secret_text()
    for text, hint in ((secret, "secret"), (secret.lower(), "secret"), ("age1nothing", "key new")):
        with pytest.raises(InvalidRequestError, match="recipient 2") as caught:
            _keys(f"{ME.recipient} {text}").recipients()
        assert hint in caught.value.hint
        assert text not in _told(caught.value)


def test_there_are_not_more_recipients_than_a_header_holds():
    """Said before the first backup fails."""
    texts = [str(Identity.new().recipient) for _ in range(101)]

    assert len(_keys(" ".join(texts[:100])).recipients()) == 100
    with pytest.raises(InvalidRequestError, match="more than 100"):
        _keys(" ".join(texts)).recipients()


def test_identities_come_from_all_places_in_their_order(tmp_path):
    """The setting, the file, the command; each says where it is from."""
    keys = _keys(
        text=f"{YOU.secret_text()} {SAFE.secret_text()}",
        file=_file(tmp_path),
        command=f"cat {tmp_path / 'key.txt'}",
    )

    assert [(str(held.identity.recipient), held.variable) for held in keys.held()] == [
        (str(YOU.recipient), "BACKSTAY_IDENTITY"),
        (str(SAFE.recipient), "BACKSTAY_IDENTITY"),
        (str(ME.recipient), "BACKSTAY_IDENTITY_FILE"),
        (str(ME.recipient), "BACKSTAY_IDENTITY_COMMAND"),
    ]
    assert keys.places == (
        IdentityPlace("BACKSTAY_IDENTITY", "the setting itself"),
        IdentityPlace("BACKSTAY_IDENTITY_FILE", str(tmp_path / "key.txt")),
        IdentityPlace("BACKSTAY_IDENTITY_COMMAND", "what cat prints"),
    )


def test_identities_are_read_once(tmp_path):
    """A command is run for the first reading alone; without a place there is none."""
    count = tmp_path / "count"
    script = tmp_path / "print.sh"
    script.write_text(f"echo x >> {count}\ncat {_file(tmp_path)}\n")
    keys = _keys(command=f"sh {script}")

    assert not count.exists()
    assert keys.identities() == keys.identities()
    assert count.read_text() == "x\n"
    assert _keys().identities() == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    """Unless a passphrase protects it."""
    path = _file(tmp_path, mode=mode)
    with pytest.raises(InvalidRequestError, match=r"key\.txt") as caught:
        _keys(file=path).held()
    assert "chmod 600" in caught.value.hint

    path.write_bytes(protected(FILE, "hunter2", work_factor=2))
    assert len(_keys(file=path, passphrase="hunter2").held()) == 1


def test_the_links_to_a_mounted_secret_are_followed(tmp_path):
    """As Kubernetes has them: two links deep."""
    (tmp_path / "..data").mkdir()
    _file(tmp_path / "..data")
    (tmp_path / "key").symlink_to("..data/key.txt")

    assert len(_keys(file=tmp_path / "key").held()) == 1


def test_a_file_that_cannot_be_read_is_named_by_its_setting(tmp_path):
    """Missing, a directory, a link to itself, too large."""
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(1 << 17))
    for name in ("missing", ".", "loop", "pipe", "large"):
        with pytest.raises(InvalidRequestError, match="BACKSTAY_IDENTITY_FILE: "):
            _keys(file=tmp_path / name).held()


def test_a_passphrase_is_asked_for_and_never_told(tmp_path):
    """Missing, wrong; a damaged file is another error."""
    data = protected(FILE, "hunter2", work_factor=2)
    path = _file(tmp_path, data)

    with pytest.raises(InvalidRequestError, match="protected by a passphrase"):
        _keys(file=path).held()
    with pytest.raises(InvalidRequestError, match="is not its passphrase") as caught:
        _keys(file=path, passphrase="hunter3").held()
    assert "hunter3" not in _told(caught.value)
    path.write_bytes(data[:-9])
    with pytest.raises(DecryptionFailedError, match="BACKSTAY_IDENTITY_FILE"):
        _keys(file=path, passphrase="hunter2").held()


def test_what_is_no_identity_is_named_by_its_line_and_never_told(tmp_path):
    """Whatever somebody has put there."""
    for sources in ({"text": "hunter2"}, {"file": _file(tmp_path, b"hunter2\n")}):
        with pytest.raises(InvalidRequestError, match="line 1") as caught:
            _keys(**sources).held()
        assert "hunter2" not in _told(caught.value)
        assert "hunter2" not in repr(_keys(**sources)._sources)


def test_a_proof_names_who_opens_what():
    """Recipients whose identity is elsewhere, and identities of no recipient, are told apart."""
    keys = _keys(f"{ME.recipient} {SAFE.recipient}", text=f"{YOU.secret_text()} {ME.secret_text()}")
    proof = keys.prove()

    assert proof.recipients == (
        RecipientProof(str(ME.recipient), "BACKSTAY_IDENTITY"),
        RecipientProof(str(SAFE.recipient), ""),
    )
    assert proof.others == (RecipientProof(str(YOU.recipient), "BACKSTAY_IDENTITY"),)
    assert proof.unopened == (str(SAFE.recipient),)


def test_a_new_file_is_its_owners_alone_and_never_overwritten(tmp_path):
    """Whatever the umask."""
    before = os.umask(0)
    try:
        create_identity_file(tmp_path / "key", FILE)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert (tmp_path / "key").read_bytes() == FILE
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("key", "link"):
        with pytest.raises(InvalidRequestError, match="exists"):
            create_identity_file(tmp_path / name, b"another")
    assert (tmp_path / "key").read_bytes() == FILE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "link"]


def test_a_new_file_needs_a_directory_and_a_name(tmp_path):
    """Nothing is made that was not asked for."""
    with pytest.raises(StorageError):
        create_identity_file(tmp_path / "missing" / "key", FILE)
    for path in (Path("/"), tmp_path / ".."):
        with pytest.raises(InvalidRequestError):
            create_identity_file(path, FILE)
    assert list(tmp_path.iterdir()) == []
