"""The same file for other recipients."""

import pytest

from app.age.encryptor import encrypt
from app.age.opening import HEAD_BYTES, rewrap
from app.age.reader import decrypt
from app.age.x25519 import Identity
from app.errors import NoIdentityError
from tests.fixtures.age_files import pattern


OLD, NEW, SAFE = Identity.new(), Identity.new(), Identity.new()
PLAIN = pattern(200_000)


def test_a_file_is_rewrapped_by_its_header_alone():
    """What follows the header is copied; the new recipients open it, the old one does not."""
    stored = encrypt(PLAIN, [OLD.recipient])
    header, size = rewrap(
        stored[:HEAD_BYTES], [NEW, OLD], [NEW.recipient, SAFE.recipient], source="x"
    )
    copy = header + stored[size:]

    assert decrypt(copy, [NEW], source="x") == decrypt(copy, [SAFE], source="x") == PLAIN
    with pytest.raises(NoIdentityError):
        decrypt(copy, [OLD], source="x")
    assert copy.endswith(stored[size:])


def test_nobody_rewraps_what_they_cannot_open():
    """Its key is needed."""
    with pytest.raises(NoIdentityError):
        rewrap(encrypt(PLAIN, [OLD.recipient]), [NEW], [NEW.recipient], source="x")
