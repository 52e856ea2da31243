"""Files of identities, protected and not."""

from datetime import UTC, datetime

import pytest

from app.age.armor import dearmor
from app.age.identity_file import (
    is_protected,
    parse_identities,
    protected,
    unprotected,
    write_identity,
)
from app.age.malformed import MalformedError
from app.age.x25519 import Identity
from app.errors import DecryptionFailedError, NoIdentityError


ME, YOU = Identity.new(), Identity.new()
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
FILE = write_identity(ME, NOON)


def test_a_file_is_as_age_keygen_writes_it():
    """With its public key as a comment."""
    assert FILE.decode() == (
        f"# created: 2026-07-01T12:00:00Z\n# public key: {ME.recipient}\n{ME.secret_text()}\n"
    )
    assert not is_protected(FILE)
    assert [str(found.recipient) for found in parse_identities(FILE)] == [str(ME.recipient)]


def test_a_file_may_hold_several_with_comments_between():
    """Line ends of either kind, white space around them."""
    data = (
        b"\r\n# old\r\n  "
        + ME.secret_text().encode()
        + b" \r\n\n#new\xff\n"
        + FILE
        + YOU.secret_text().encode()
    )

    assert [found.recipient for found in parse_identities(data)] == [
        ME.recipient, ME.recipient, YOU.recipient,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no identity"),
        (b"# nothing\n", "no identity"),
        (FILE + b"hunter2\n", "line 4"),
        (b"AGE-PLUGIN-YUBIKEY-1HUNTER2\n", "line 1"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", "line 1"),
        (b"\xff\xfe\n", "line 1"),
    ],
)
def test_what_is_no_identity_is_named_by_its_line(data, words):
    """And not shown."""
    with pytest.raises(MalformedError, match=words) as caught:
        parse_identities(data)
    assert "hunter2" not in str(caught.value).lower()


def test_a_protected_file_is_opened_by_its_passphrase_alone():
    """As armor, or as the bytes in it; a wrong passphrase is not called damage."""
    data = protected(FILE, "hunter2", work_factor=2)

    assert is_protected(data)
    assert is_protected(dearmor(data))
    assert unprotected(data, "hunter2", source="x") == FILE
    assert unprotected(dearmor(data), "hunter2", source="x") == FILE
    with pytest.raises(NoIdentityError):
        unprotected(data, "hunter3", source="x")


def test_a_damaged_file_is_said_to_be_damaged():
    """In its armor, and in what is in it."""
    data = protected(FILE, "hunter2", work_factor=2)
    stored = bytearray(dearmor(data))
    stored[-1] ^= 1

    for changed in (data[:-20], data.replace(b"-----END", b"=\n-----END"), bytes(stored)):
        with pytest.raises(DecryptionFailedError, match=r"^x: "):
            unprotected(changed, "hunter2", source="x")
