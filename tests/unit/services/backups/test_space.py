"""How large a backup will be at most, before it is made."""

from dataclasses import replace

import pytest

from app.domain.backups.manifest import Codec
from app.services.backups.space import most_bytes
from app.storage.remote.store import MOST_PARTS, part_bytes_for
from tests.fixtures.archives import make_backup


TERABYTE = 10**12


@pytest.mark.parametrize(
    ("data", "codec", "last", "at_least"),
    [
        (0, Codec.GZIP, None, 0),
        # What nothing compresses comes out of gzip longer than it is on the server.
        (TERABYTE, Codec.GZIP, None, 1.14 * TERABYTE),
        (TERABYTE, Codec.NONE, None, 2 * TERABYTE),
        # Twice as much as there was is sent, however small the last one was.
        (TERABYTE, Codec.GZIP, (30, 100), 0.6 * TERABYTE),
        (TERABYTE, Codec.GZIP, (0, 0), 1.14 * TERABYTE),
        # The server tells nothing, or far too little; the last one is known.
        (0, Codec.GZIP, (TERABYTE, 3 * TERABYTE), 1.2 * TERABYTE),
    ],
)
def test_a_file_may_be_as_large_as_its_tables_and_the_last_one_let_expect(
    data, codec, last, at_least, tmp_path
):
    """Neither of them alone is enough; and then its parts are no more than a store takes."""
    catalogue, _ = make_backup(tmp_path)
    known = last and replace(catalogue.entries()[0], size=last[0], raw_size=last[1])

    found = most_bytes(data, codec, known)

    assert at_least <= found <= at_least * 1.06
    assert at_least / part_bytes_for(found) <= MOST_PARTS
