"""What keeps a log from being replayed, by logs of real servers."""

import zlib
from dataclasses import replace

import pytest

from app.binlog.archive.reading import open_streams
from app.binlog.events.headers import CHECKSUM_BYTES, MAGIC
from app.domain.backups.manifest import Codec, PositionEntry
from app.domain.ids import BackupId
from app.domain.restores.points import Place, Point, PointKind, RecoverRequest
from app.engine.schema.databases import is_scratch_of, scratch_schemas
from app.services.binlog.hindrances import Hindrances
from tests.fixtures.archives import draft_of
from tests.fixtures.binlog import VARIANTS, archive, corpus, directory_in, events_of


REQUEST = RecoverRequest(Point(PointKind.TIME, "of a test"))
# Of a format description: behind header and version of the format.
VERSION = slice(21, 21 + 50)


def by(event, version):
    """Return a format description as another server would have written it."""
    changed = bytearray(event[:-CHECKSUM_BYTES])
    changed[VERSION] = version.encode().ljust(50, b"\0")
    return bytes(changed) + zlib.crc32(changed).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("10.11.99-MariaDB-log", ""),
        ("11.8.3-MariaDB-log", "the server was of version 10.11, and is of 11.8 from binlog.000002 on"),
    ],
)  # fmt: skip
def test_a_server_that_was_upgraded_needs_a_later_base(tmp_path, version, reason):
    """Another series may mean something else by the same statement; a newer server of the same one does not."""
    first, second = corpus("mariadb-10.11")
    described, *others = events_of(second)
    upgraded = tmp_path / second.name
    upgraded.write_bytes(MAGIC + b"".join((by(described, version), *others)))
    archive(directory_in(tmp_path / "backups"), [first, upgraded]).close()
    (stream,) = open_streams(tmp_path / "backups")
    draft = draft_of(BackupId("backup_1"), Codec.NONE, {})
    base = replace(
        draft,
        position=PositionEntry("binlog.000001", 4),
        options=replace(draft.options, requested=()),
    )

    found = Hindrances(stream, base, Place(1, 4), REQUEST)
    for transaction in stream.transactions(counts=False):
        found.accept(transaction)

    assert found.reason == reason


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_xa_transaction_that_was_prepared_in_no_log_is_noticed_where_it_ends(tmp_path, variant):
    """MariaDB may be killed between preparing one and logging it; its rows are nowhere then."""
    archive(directory_in(tmp_path / "backups"), corpus(variant)).close()
    (stream,) = open_streams(tmp_path / "backups")
    base = replace(
        draft_of(BackupId("backup_1"), Codec.NONE, {}),
        position=PositionEntry("binlog.000001", 4),
    )
    transactions = list(stream.transactions(counts=False))
    prepared = next(found for found in transactions if found.caveats.prepares_xa)
    ended = next(found for found in transactions if found.caveats.ends_xa)
    whole, lacking = (Hindrances(stream, base, Place(1, 4), REQUEST) for _ in range(2))

    for found in transactions:
        whole.accept(found)
        if found is not prepared:
            lacking.accept(found)

    assert "prepared in no log" not in whole.reason
    assert lacking.reason.startswith(f"the XA transaction that ends at {ended.file}:{ended.start}")


def test_a_schema_of_a_restore_goes_with_its_database_alone():
    """By its whole name: what people call likewise is theirs."""
    scratch = "my_shop__bk_new_0123456789ab"

    assert is_scratch_of(scratch, "my_shop")
    assert not is_scratch_of(scratch, "my")
    assert not is_scratch_of(f"{scratch}c", "my_shop")
    assert not is_scratch_of("my_shop__bk_new_mine", "my_shop")
    new, old = scratch_schemas("my_shop")
    assert new == r"my\_shop\_\_bk\_new\_" + 12 * "_"
    assert old == r"my\_shop\_\_bk\_old\_" + 12 * "_"
